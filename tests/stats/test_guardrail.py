"""Guardrails on counts and measurements: cases, laws, and how often an innocent candidate fails."""

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.finding import Finding, Harm, Proof
from turnout.stats.guardrail import judge_difference, judge_limit
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

BEST_FIRST = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_SAMPLE, Verdict.FAIL]


def counts(k: int, *, of: int) -> UnitTotals:
    """`of` units with one event each, of which k count."""
    return UnitTotals(units=of, n=of, n2=of, x=k, x2=k, xn=k)


def alike(value: float, *, units: int, each: int = 1) -> UnitTotals:
    """Units with the same number of events, every one of the same value."""
    x = value * each
    return UnitTotals(
        units=units,
        n=units * each,
        n2=units * each**2,
        x=units * x,
        x2=units * x**2,
        xn=units * x * each,
    )


def measured(x: np.ndarray, n: np.ndarray | None = None) -> UnitTotals:
    n = np.ones_like(x) if n is None else n
    return UnitTotals(
        units=len(x),
        n=float(n.sum()),
        n2=float(n @ n),
        x=float(x.sum()),
        x2=float(x @ x),
        xn=float(x @ n),
    )


def against_limit(
    candidate: UnitTotals,
    limit: float = 0.05,
    *,
    harm: Harm = "above",
    proof: Proof = "no_harm",
    proportion: bool = True,
    min_samples: int = 100,
) -> Finding:
    return judge_limit(
        candidate,
        limit=limit,
        harm=harm,
        proportion=proportion,
        alpha=0.05,
        min_samples=min_samples,
        tuned_at=100,
        proof=proof,
    )


def against_baseline(
    candidate: UnitTotals,
    baseline: UnitTotals,
    margin: float = 0.005,
    *,
    harm: Harm = "above",
    proof: Proof = "no_harm",
    proportion: bool = True,
    min_samples: int = 100,
) -> Finding:
    return judge_difference(
        candidate,
        baseline,
        margin=margin,
        harm=harm,
        proportion=proportion,
        alpha=0.05,
        min_samples=min_samples,
        tuned_at=100,
        proof=proof,
    )


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


def test_a_finding_tells_the_operator_its_figures() -> None:
    finding = against_limit(counts(29, of=240))
    assert finding.bound is not None

    assert finding.bound == pytest.approx(0.0606, abs=1e-4)
    assert replace(finding, bound=None) == Finding(
        verdict=Verdict.FAIL,
        candidate=29 / 240,
        baseline=None,
        effect=None,
        bound=None,
        limit=0.05,
        n_candidate=240,
        n_baseline=None,
        reason="harm shown: 12.08 % against the limit 5 %, at least 6.059 % with 95 % confidence, "
        "after 240 events from 240 units",
    )


def test_the_effect_is_candidate_minus_baseline() -> None:
    finding = against_baseline(counts(800, of=1_000), counts(900, of=1_000), 0.01, harm="below")

    assert finding.effect == pytest.approx(-0.1)
    assert finding.bound is not None
    assert finding.effect is not None
    assert finding.effect < finding.bound < -0.01
    assert (finding.n_candidate, finding.n_baseline) == (1_000, 1_000)
    assert "80 % against the baseline's 90 %, allowed -1 points, at most -4" in finding.reason


def test_the_upper_bound_of_independent_events_is_the_score_interval() -> None:
    """Wilson 1927: the root of (p - m)² = z²·m(1 - m)/n, with the anytime-valid z."""
    n, k = 2_000, 37
    finding = against_limit(counts(k, of=n), proof="not_worse")
    upper = finding.bound
    assert upper is not None
    r = n * (-2 * math.log(0.1) + math.log(1 - 2 * math.log(0.1))) / 100
    z2 = 2 * (1 + r) / r * math.log(1 + math.sqrt(1 + r) / 0.1)

    assert (k / n - upper) ** 2 == pytest.approx(z2 * upper * (1 - upper) / n, rel=1e-9)


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


rates = st.floats(0, 1)
harms = st.sampled_from(["above", "below"])
proofs = st.sampled_from(["no_harm", "not_worse"])
some_counts = st.integers(0, 3_000).flatmap(
    lambda n: st.integers(0, n).map(lambda k: counts(k, of=n))
)
some_units = st.lists(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=60,
).map(lambda us: measured(np.array(us)[:, 1] * 1.0, np.array(us)[:, 0] * 1.0))


@given(st.integers(1, 2_000), st.data(), rates, proofs)
def test_more_errors_never_improve_the_verdict(
    n: int, data: st.DataObject, limit: float, proof: Proof
) -> None:
    fewer, more = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    better = against_limit(counts(fewer, of=n), limit, proof=proof)
    worse = against_limit(counts(more, of=n), limit, proof=proof)

    assert BEST_FIRST.index(better.verdict) <= BEST_FIRST.index(worse.verdict)


@given(some_units, some_units, st.tuples(rates, rates), proofs, harms)
def test_a_wider_margin_never_worsens_the_verdict(
    candidate: UnitTotals,
    baseline: UnitTotals,
    margins: tuple[float, float],
    proof: Proof,
    harm: Harm,
) -> None:
    tight, wide = (
        against_baseline(candidate, baseline, margin, proof=proof, harm=harm)
        for margin in sorted(margins)
    )
    shown = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
    if tight.verdict in shown and wide.verdict in shown:
        assert shown.index(wide.verdict) <= shown.index(tight.verdict)


@given(some_units, some_units, rates, proofs)
def test_errors_above_are_successes_below(
    candidate: UnitTotals, baseline: UnitTotals, limit: float, proof: Proof
) -> None:
    errors = against_limit(candidate, limit, proof=proof)
    successes = against_limit(candidate.complement(), 1 - limit, harm="below", proof=proof)
    up = against_baseline(candidate, baseline, limit, proof=proof)
    down = against_baseline(
        candidate.complement(), baseline.complement(), limit, harm="below", proof=proof
    )

    if errors.bound is None or not math.isclose(errors.bound, limit, abs_tol=1e-9):
        assert errors.verdict is successes.verdict
    if up.bound is None or not math.isclose(up.bound, limit, abs_tol=1e-9):
        assert up.verdict is down.verdict


@given(some_units, rates, proofs, harms, st.booleans())
def test_the_verdict_follows_from_the_bound(
    candidate: UnitTotals,
    limit: float,
    proof: Proof,
    harm: Harm,
    proportion: bool,
) -> None:
    finding = against_limit(candidate, limit, harm=harm, proof=proof, proportion=proportion)
    beyond = finding.bound is not None and (
        finding.bound > limit if harm == "above" else finding.bound < limit
    )
    match finding.verdict:
        case Verdict.FAIL:
            assert beyond
        case Verdict.PASS:
            assert not beyond
        case Verdict.INCONCLUSIVE:
            assert proof == "not_worse"


@given(some_units, some_units, proofs, harms, st.booleans())
def test_a_finding_is_json(
    candidate: UnitTotals, baseline: UnitTotals, proof: Proof, harm: Harm, proportion: bool
) -> None:
    finding = against_baseline(candidate, baseline, harm=harm, proof=proof, proportion=proportion)

    assert json.loads(json.dumps(asdict(finding), allow_nan=False))["reason"] == finding.reason


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e3, 1e9])
@pytest.mark.parametrize("harm", ["above", "below"])
def test_the_unit_of_measurement_does_not_matter(scale: float, harm: Harm) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.gamma(2, 30, 200), rng.gamma(2, 40, 2_000)

    def finding(factor: float) -> Finding:
        return against_baseline(
            measured(x * factor),
            measured(y * factor),
            5 * factor,
            harm=harm,
            proportion=False,
            proof="not_worse",
        )

    scaled, plain = finding(scale), finding(1.0)
    assert scaled.bound is not None
    assert plain.bound is not None

    assert scaled.verdict is plain.verdict
    assert scaled.bound / scale == pytest.approx(plain.bound, rel=1e-9)


def _clustered(
    rng: np.random.Generator, events: int, units: int, rate: float, share: float
) -> list[tuple[UnitTotals, UnitTotals]]:
    """Two equal arms at 60 looks: units of Zipf size, whose own rates differ (ICC 0.05)."""
    popularity = 1 / np.arange(1, units + 1)
    unit = rng.choice(units, size=events, p=popularity / popularity.sum())
    own_rate = rng.beta(rate * 19, (1 - rate) * 19, units)
    failed = rng.random(events) < own_rate[unit]
    on_candidate = rng.random(units) < share
    looks = np.unique(np.geomspace(20, events, 60).astype(int))
    arms = []
    for look in looks:
        n = np.bincount(unit[:look], minlength=units) * 1.0
        x = np.bincount(unit[:look], weights=failed[:look], minlength=units)
        seen = n > 0
        candidate, baseline = seen & on_candidate, seen & ~on_candidate
        arms.append((measured(x[candidate], n[candidate]), measured(x[baseline], n[baseline])))
    return arms


@pytest.mark.parametrize(
    ("rate", "share"),
    [
        pytest.param(0.001, 0.1, id="one error in a thousand, a tenth of the units"),
        pytest.param(0.01, 0.01, id="one in a hundred, a hundredth of the units"),
        pytest.param(0.1, 0.5, id="one in ten, half of the units"),
        pytest.param(0.1, 0.9, id="one in ten, nearly all of the units"),
    ],
)
def test_equal_arms_rarely_fail_though_judged_at_every_look(rate: float, share: float) -> None:
    rng = np.random.default_rng(20)
    false_alarms = 0
    for _ in range(60):
        looks = _clustered(rng, 6_000, 500, rate, share)
        findings = [against_baseline(c, b, 0.0) for c, b in looks]
        findings += [against_limit(c, rate) for c, _ in looks]
        false_alarms += any(finding.verdict is Verdict.FAIL for finding in findings)

    assert false_alarms <= 3


@pytest.mark.parametrize("harm", ["above", "below"])
def test_skewed_measurements_at_their_limit_rarely_fail(harm: Harm) -> None:
    rng = np.random.default_rng(21)
    false_alarms = 0
    for _ in range(100):
        values = rng.lognormal(0, 1, 3_000)
        looks = np.unique(np.geomspace(20, 3_000, 40).astype(int))
        findings = [
            against_limit(measured(values[:look]), math.exp(0.5), harm=harm, proportion=False)
            for look in looks
        ]
        false_alarms += any(finding.verdict is Verdict.FAIL for finding in findings)

    assert false_alarms <= 5


def test_a_replay_gives_the_same_finding() -> None:
    candidate = counts(29, of=240)

    assert against_limit(candidate) == against_limit(replace(candidate))
