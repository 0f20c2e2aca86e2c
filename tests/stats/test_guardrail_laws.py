"""What holds for every guardrail, whatever the arms: the order of verdicts, symmetry, units."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.arms import counts, measured
from tests.stats.guardrails import against_baseline, against_limit
from turnout.stats.finding import Finding, Harm, Proof
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

BEST_FIRST = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INSUFFICIENT_SAMPLE, Verdict.FAIL]


def arms(counted: int, others: int) -> st.SearchStrategy[UnitTotals]:
    """Arms whose units have at most so many events that count, and so many that do not."""
    unit = st.tuples(st.integers(0, counted), st.integers(0, others)).filter(any)
    return st.lists(unit, min_size=1, max_size=60).map(totals)


def totals(units: list[tuple[int, int]]) -> UnitTotals:
    counted, others = np.array(units, dtype=float).T
    return measured(counted, counted + others)


rates = st.floats(0, 1)
harms = st.sampled_from(["above", "below"])
proofs = st.sampled_from(["no_harm", "not_worse"])
some_units = arms(40, 40) | arms(40, 0) | arms(0, 40)


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


def test_a_replay_gives_the_same_finding() -> None:
    candidate = counts(29, of=240)

    assert against_limit(candidate) == against_limit(replace(candidate))
