"""A pivot is a way of keeping sums: it changes no statistic, only how many digits are left."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.arms import counts, measured
from tests.stats.guardrails import against_baseline, against_limit
from turnout.stats.arguments import BadArgument
from turnout.stats.baseline import Baseline
from turnout.stats.effect import Stratum, effect, per_exposed_unit
from turnout.stats.finding import Finding, Harm
from turnout.stats.intervals import difference, relative
from turnout.stats.restarts import Restarts
from turnout.stats.spent_guardrail import Spending
from turnout.stats.totals import UnitTotals

Units = list[tuple[int, float]]
"""Of each unit the number of its events, and the mean of their values."""

unit = st.tuples(st.integers(1, 6), st.integers(-800, 800).map(lambda eighths: eighths / 8))
units = st.lists(unit, min_size=2, max_size=40)
many = st.lists(unit, min_size=20, max_size=60)
pivots = st.integers(-1_000, 1_000).map(lambda quarters: quarters / 4)
amid = st.integers(800, 1_600).map(lambda quarters: quarters / 4)
"""Pivots such as the fold chooses for `lifted` values."""
harms = st.sampled_from(["above", "below"])

ROUNDING = 5e-3


def arm(of: Units, pivot: float = 0.0) -> UnitTotals:
    n, mean = np.array(of, dtype=float).T
    return replace(measured(n * (mean - pivot), n), pivot=pivot)


def lifted(of: Units) -> Units:
    """Values far enough from zero for lifts to be known, and for their mean not to be 0."""
    return [(n, 300 + mean) for n, mean in of]


def same(found: UnitTotals, expected: UnitTotals) -> None:
    for field in fields(UnitTotals):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        assert left == pytest.approx(right, rel=1e-9, abs=1e-6), field.name


def close(found: float | None, expected: float | None, *, within: float = 1e-6) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-6, abs_tol=within)


def same_finding(found: Finding, expected: Finding) -> None:
    """As far as the rounding goes that a guardrail allows for in sums of squares."""
    if expected.bound is None or not close(abs(expected.bound), expected.limit, within=ROUNDING):
        assert found.verdict is expected.verdict
        assert close(found.bound, expected.bound, within=ROUNDING)
    for figure in ("candidate", "baseline", "effect", "n_candidate", "n_baseline"):
        assert close(getattr(found, figure), getattr(expected, figure)), figure


class TestTotals:
    @given(units, pivots)
    def test_of_the_same_values_tell_the_same_rate_and_total(self, of: Units, pivot: float) -> None:
        kept, raw = arm(of, pivot), arm(of)

        assert kept.rate == pytest.approx(raw.rate, abs=1e-9)
        assert kept.total == pytest.approx(raw.total, abs=1e-9)

    @given(units, pivots, pivots)
    def test_move_to_any_other_pivot(self, of: Units, pivot: float, other: float) -> None:
        same(arm(of, pivot).about(other), arm(of, other))

    @given(units, units, pivots, pivots)
    def test_add_whatever_their_pivots(
        self, one: Units, two: Units, pivot: float, other: float
    ) -> None:
        added = arm(one, pivot) + arm(two, other)

        assert abs(added.pivot) == min(abs(pivot), abs(other))
        same(added, arm([*one, *two], added.pivot))

    @given(units, pivots)
    def test_of_no_units_change_nothing(self, of: Units, pivot: float) -> None:
        kept = arm(of, pivot)

        assert kept + UnitTotals() == UnitTotals() + kept == kept

    @given(units, units, pivots, pivots)
    def test_lie_above_each_other_by_as_much(
        self, one: Units, two: Units, pivot: float, other: float
    ) -> None:
        raw = arm(one).above(arm(two))

        assert arm(one, pivot).above(arm(two, other)) == pytest.approx(raw, abs=1e-9)

    def test_moved_far_are_still_sums_that_data_can_have(self) -> None:
        """Of ten equal values nothing but rounding errors is left about a pivot elsewhere."""
        alike = arm([(3, 1e9 / 7)] * 10).about(1e9 / 7)

        assert alike.x2 >= alike.x**2 / alike.units

    def test_have_a_finite_pivot(self) -> None:
        with pytest.raises(BadArgument, match=r"^pivot must be a finite number"):
            UnitTotals(pivot=math.nan)

    @given(st.integers(0, 20), pivots)
    def test_of_counts_have_the_complement_of_the_counts(self, k: int, pivot: float) -> None:
        same(counts(k, of=20).about(pivot).complement(), counts(20 - k, of=20))

    @given(units, pivots)
    def test_per_exposed_unit_count_the_silent_units_as_zero(self, of: Units, pivot: float) -> None:
        exposed = counts(0, of=len(of) + 7)

        same(per_exposed_unit(exposed, arm(of, pivot)), per_exposed_unit(exposed, arm(of)))


class TestGuardrails:
    @given(many.map(lifted), pivots | amid, st.floats(250, 350), harms, st.booleans())
    def test_a_limit_is_one_of_the_values_themselves(
        self, of: Units, pivot: float, limit: float, harm: Harm, signed: bool
    ) -> None:
        found, raw = (
            against_limit(totals, limit, harm=harm, proportion=False, signed=signed, min_samples=10)
            for totals in (arm(of, pivot), arm(of))
        )

        same_finding(found, raw)

    @given(many, many, pivots, st.floats(0, 100), harms)
    def test_a_margin_is_one_of_differences(
        self, candidate: Units, baseline: Units, pivot: float, margin: float, harm: Harm
    ) -> None:
        found, raw = (
            against_baseline(
                arm(candidate, about),
                arm(baseline, about),
                margin,
                harm=harm,
                proportion=False,
                min_samples=10,
            )
            for about in (pivot, 0.0)
        )

        same_finding(found, raw)

    @given(units, units, pivots)
    def test_spending_goes_by_units_and_events(
        self, candidate: Units, baseline: Units, pivot: float
    ) -> None:
        looks = [
            Spending().look(arm(candidate, about), arm(baseline, about), share=0.5, alpha=0.05)
            for about in (pivot, 0.0)
        ]

        assert looks[0] == looks[1]

    def test_values_that_are_all_the_same_have_no_spread_about_any_pivot(self) -> None:
        constant = [(1, 300.0)] * 200
        found, raw = (
            against_limit(arm(constant, pivot), 310.0, proportion=False) for pivot in (300.0, 0.0)
        )

        same_finding(found, raw)

    def test_counts_are_checked_by_what_they_count(self) -> None:
        """Two hundred events, each of which counted a million times."""
        with pytest.raises(BadArgument, match=r"^candidate counts 2e\+08 of 200 events"):
            against_limit(arm([(1, 1e6)] * 200, 1e6))

    def test_nothing_is_told_of_a_change_of_values_on_both_sides_of_zero(self) -> None:
        before, now = arm([(1, 300.0)] * 100, 300.0), arm([(1, 301.0)] * 300, 300.0)
        restarts = Restarts().after(before, None, at=10.0)

        assert len(restarts.kept) == 1
        assert not list(restarts.windows(now, None, alpha=0.01, proportion=False))


class TestEffects:
    @given(units.map(lifted), units.map(lifted), pivots | amid)
    def test_are_the_same_with_their_intervals_and_lifts(
        self, control: Units, treatment: Units, pivot: float
    ) -> None:
        kept, raw = (
            [Stratum(control=arm(control, about), treatment=arm(treatment, about))]
            for about in (pivot, 0.0)
        )
        found, expected = (effect(strata, proportion=False) for strata in (kept, raw))

        assert (found is None) == (expected is None)
        if found is None or expected is None:
            return
        for field in fields(found):
            left, right = getattr(found, field.name), getattr(expected, field.name)
            assert left == pytest.approx(right, rel=1e-6, abs=1e-9), field.name
        intervals = (difference(strata, proportion=False, critical=2.0) for strata in (kept, raw))
        assert all(map(close, *intervals))
        lift, raw_lift = (
            relative(strata, proportion=False, critical=2.0) for strata in (kept, raw)
        )
        assert close(lift.value, raw_lift.value)
        assert all(map(close, lift.interval, raw_lift.interval))

    @given(units, pivots)
    def test_are_planned_by_the_same_value_and_variance(self, of: Units, pivot: float) -> None:
        found, raw = (Baseline.of(arm(of, about), proportion=False) for about in (pivot, 0.0))
        spread = {mean for _, mean in of}
        if len(spread) > 1:
            assert found is not None
            assert raw is not None
            assert found.value == pytest.approx(raw.value, abs=1e-9)
            assert found.variance == pytest.approx(raw.variance, rel=1e-6)
