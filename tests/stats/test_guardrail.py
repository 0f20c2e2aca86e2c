"""Guardrails on counts and measurements: the verdict of each case, its figures and its bound."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.stats.arms import alike, counts, measured
from tests.stats.guardrails import against_baseline, against_limit
from turnout.stats.arguments import BadArgument
from turnout.stats.finding import Finding, Harm
from turnout.stats.guardrail import judge_limit
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        pytest.param(UnitTotals(), Verdict.NO_DATA, id="no traffic is neither success nor failure"),
        pytest.param(counts(1, of=10), Verdict.INSUFFICIENT_SAMPLE, id="one error in ten requests"),
        pytest.param(counts(9, of=9), Verdict.INSUFFICIENT_SAMPLE, id="not before the burn-in"),
        pytest.param(counts(30, of=30), Verdict.FAIL, id="gross harm does not wait for the sample"),
        pytest.param(counts(15, of=30), Verdict.FAIL, id="half of thirty requests fail"),
        pytest.param(counts(13, of=65), Verdict.FAIL, id="a fifth of sixty-five requests fail"),
        pytest.param(counts(0, of=99), Verdict.INSUFFICIENT_SAMPLE, id="healthy, but too few"),
        pytest.param(counts(0, of=100), Verdict.PASS, id="healthy, and enough"),
        pytest.param(counts(8, of=100), Verdict.PASS, id="above the limit, but maybe by chance"),
        pytest.param(counts(500, of=5_000), Verdict.FAIL, id="twice the limit over many requests"),
        pytest.param(
            alike(1.0, units=3, each=1_000),
            Verdict.INSUFFICIENT_SAMPLE,
            id="all that fails comes from three units",
        ),
        pytest.param(alike(1.0, units=20, each=50), Verdict.FAIL, id="twenty units, all failing"),
    ],
)
def test_an_error_rate_is_judged_against_its_limit(candidate: UnitTotals, verdict: Verdict) -> None:
    assert against_limit(candidate).verdict is verdict


@pytest.mark.parametrize(
    ("candidate", "baseline", "verdict"),
    [
        pytest.param(counts(80, of=5_000), counts(0, of=5_000), Verdict.FAIL, id="zero in control"),
        pytest.param(counts(0, of=500), counts(0, of=500), Verdict.PASS, id="no errors in either"),
        pytest.param(counts(500, of=500), counts(500, of=500), Verdict.PASS, id="both fail always"),
        pytest.param(counts(12, of=12), counts(1, of=108), Verdict.FAIL, id="all fail, at 10 %"),
        pytest.param(counts(30, of=30), counts(1, of=30), Verdict.FAIL, id="all fail, at 50 %"),
        pytest.param(counts(100, of=1_000), counts(90, of=9_000), Verdict.FAIL, id="ten times"),
        pytest.param(counts(10, of=1_000), counts(90, of=9_000), Verdict.PASS, id="the same"),
        pytest.param(counts(5, of=50), counts(0, of=9), Verdict.INSUFFICIENT_SAMPLE, id="baseline"),
        pytest.param(counts(5, of=50), UnitTotals(), Verdict.NO_DATA, id="no baseline at all"),
        pytest.param(
            counts(99, of=9_900), counts(0, of=100), Verdict.PASS, id="a small baseline is luck"
        ),
    ],
)
def test_an_error_rate_is_judged_against_the_baseline(
    candidate: UnitTotals, baseline: UnitTotals, verdict: Verdict
) -> None:
    assert against_baseline(candidate, baseline).verdict is verdict


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        pytest.param(counts(0, of=120), Verdict.INCONCLUSIVE, id="no error yet proves little"),
        pytest.param(counts(0, of=250), Verdict.PASS, id="no error in many requests proves it"),
        pytest.param(counts(400, of=10_000), Verdict.PASS, id="well within the limit"),
        pytest.param(counts(480, of=10_000), Verdict.INCONCLUSIVE, id="too close to the limit"),
        pytest.param(counts(700, of=10_000), Verdict.FAIL, id="beyond the limit"),
    ],
)
def test_a_proof_asks_for_the_opposite_bound(candidate: UnitTotals, verdict: Verdict) -> None:
    assert against_limit(candidate, proof="not_worse").verdict is verdict


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        pytest.param(
            against_limit(counts(7_500, of=10_000), 0.8, harm="below"),
            Verdict.FAIL,
            id="accuracy below its limit",
        ),
        pytest.param(
            against_limit(counts(8_500, of=10_000), 0.8, harm="below", proof="not_worse"),
            Verdict.PASS,
            id="accuracy shown to be above its limit",
        ),
        pytest.param(
            against_baseline(counts(850, of=1_000), counts(8_100, of=9_000), 0.01, harm="below"),
            Verdict.FAIL,
            id="accuracy five points down",
        ),
        pytest.param(
            against_limit(counts(0, of=400), 0.01, harm="below"),
            Verdict.INSUFFICIENT_SAMPLE,
            id="no conversion where four were expected is chance",
        ),
        pytest.param(
            against_limit(alike(250.0, units=100), 200, proportion=False),
            Verdict.FAIL,
            id="every latency the same, above the limit",
        ),
        pytest.param(
            against_limit(alike(0.1, units=100), 0.1, proportion=False),
            Verdict.PASS,
            id="every value at the limit",
        ),
        pytest.param(
            against_baseline(alike(0.1, units=100), alike(0.1, units=300), 0, proportion=False),
            Verdict.PASS,
            id="identical and tied values in both arms",
        ),
        pytest.param(
            against_limit(alike(0.0, units=500), 5.0, proportion=False),
            Verdict.PASS,
            id="no cost at all is within the limit",
        ),
        pytest.param(
            against_limit(alike(0.0, units=500), 5.0, harm="below", proportion=False),
            Verdict.INSUFFICIENT_SAMPLE,
            id="no revenue yet has no known spread",
        ),
        pytest.param(
            against_limit(alike(250.0, units=5, each=100), 200, proportion=False),
            Verdict.INSUFFICIENT_SAMPLE,
            id="slow, but only for five units",
        ),
    ],
)
def test_every_kind_of_metric_has_its_verdict(finding: Finding, verdict: Verdict) -> None:
    assert finding.verdict is verdict


@pytest.mark.parametrize("harm", ["above", "below"])
def test_differences_around_zero_are_soon_shown_to_be_within_a_limit(harm: Harm) -> None:
    """Their mean is next to nothing; that of measurements would leave the spread unknown."""
    alike = UnitTotals(units=1_000, n=1_000, n2=1_000, x=0.5, x2=1_000, xn=0.5)
    limit = 0.2 if harm == "above" else -0.2
    asked: dict[str, Any] = {"harm": harm, "proof": "not_worse", "proportion": False}

    verdicts = [against_limit(alike, limit, signed=signed, **asked) for signed in (True, False)]

    assert [found.verdict for found in verdicts] == [Verdict.PASS, Verdict.INCONCLUSIVE]


def test_a_finding_tells_the_operator_its_figures() -> None:
    finding = against_limit(counts(29, of=240))
    assert finding.bound is not None

    assert finding.bound == pytest.approx(0.0700, abs=1e-4)
    assert replace(finding, bound=None) == Finding(
        verdict=Verdict.FAIL,
        candidate=29 / 240,
        baseline=None,
        effect=None,
        bound=None,
        limit=0.05,
        n_candidate=240,
        n_baseline=None,
        reason="harm shown: 12.08 % against the limit 5 %, at least 7.004 % with 95 % confidence, "
        "after 240 events from 240 units",
    )


def test_the_effect_is_candidate_minus_baseline() -> None:
    finding = against_baseline(counts(800, of=1_000), counts(900, of=1_000), 0.01, harm="below")

    assert finding.effect == pytest.approx(-0.1)
    assert finding.bound is not None
    assert finding.effect is not None
    assert finding.effect < finding.bound < -0.01
    assert (finding.n_candidate, finding.n_baseline) == (1_000, 1_000)
    assert "80 % against the baseline's 90 %, allowed -1 points, at most -5" in finding.reason


def test_the_bound_is_where_the_score_test_turns() -> None:
    """By brute force over the difference, with the variance of the restricted ratios."""
    rng = np.random.default_rng(5)
    n1, n2 = rng.integers(1, 30, 80) * 1.0, rng.integers(1, 30, 400) * 1.0
    x1, x2 = rng.gamma(2, 50, 80) * n1, rng.gamma(2, 40, 400) * n2
    c, b = measured(x1, n1), measured(x2, n2)
    bound = against_baseline(c, b, proportion=False).bound
    assert bound is not None
    effect = c.x / c.n - b.x / b.n

    def clock(one: float, other: float) -> float:
        return one * other / (one + other)

    def critical(time: float) -> float:
        r = time * (-2 * math.log(0.1) + math.log(1 - 2 * math.log(0.1))) / 100
        return math.sqrt(2 * (1 + r) / r * math.log(1 + math.sqrt(1 + r) / 0.1))

    def z(m: float) -> float:
        pooled = (c.x + b.x - m * c.n) / (c.n + b.n)
        q1 = float(np.sum((x1 - (pooled + m) * n1) ** 2))
        q2 = float(np.sum((x2 - pooled * n2) ** 2))
        v1, v2 = max(q1, q2 * c.n / b.n) / c.n**2, max(q2, q1 * b.n / c.n) / b.n**2
        return (effect - m) / math.sqrt(v1 + v2)

    limit = max(critical(clock(80, 400)), critical(clock(c.n, b.n)))
    assert z(bound) == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        pytest.param({"limit": math.nan}, "limit", id="limit is not a number"),
        pytest.param({"alpha": 0.5}, "alpha", id="alpha decides nothing"),
        pytest.param({"tuned_at": 0}, "tuned_at", id="tuned at nothing"),
        pytest.param(
            {"candidate": alike(1.5, units=20)}, "candidate", id="more errors than events"
        ),
    ],
)
def test_a_question_without_sense_is_refused(arguments: dict[str, Any], argument: str) -> None:
    question: dict[str, Any] = {
        "candidate": counts(1, of=20),
        "limit": 0.05,
        "harm": "above",
        "proportion": True,
        "alpha": 0.05,
        "min_samples": 100,
        "tuned_at": 100,
        "proof": "no_harm",
    } | arguments
    with pytest.raises(BadArgument, match=f"^{argument} "):
        judge_limit(question.pop("candidate"), **question)


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(BadArgument, match=r"^margin "):
        against_baseline(counts(1, of=20), counts(1, of=20), -0.01)
