"""Relative differences between two arms, and how far they can be bounded."""

import math

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from tests.stats.comparisons import assert_dual, excludes, moments
from turnout.stats.comparison import lift
from turnout.stats.moments import Moments, Proportion


def test_koopmans_example() -> None:
    """36 of 40 against 16 of 80: a ratio of 4.5 between 2.939 and 7.152 (Koopman 1984)."""
    result = lift(Proportion(80, 16), Proportion(40, 36))

    assert result.effect == pytest.approx(3.5)
    assert result.interval == pytest.approx((1.939, 6.152), abs=1e-3)


def test_each_end_of_fiellers_interval_is_a_multiple_that_is_just_significant() -> None:
    control, treatment = Moments(800, 10.0, 8e4), Moments(900, 11.0, 9e4)
    result = lift(control, treatment)
    assert result.interval is not None
    assert result.degrees_of_freedom is not None
    t = stats.t.isf(0.025, result.degrees_of_freedom)

    for end in result.interval:
        assert end is not None
        distance = 11.0 - (1 + end) * 10.0
        error = math.sqrt(
            treatment.variance / treatment.n + (1 + end) ** 2 * control.variance / control.n
        )
        assert abs(distance) == pytest.approx(t * error, rel=1e-9)


@given(moments, moments)
def test_the_lift_agrees_with_the_absolute_test(control, treatment) -> None:
    assert_dual(lift(control, treatment), 0.0)


def test_a_negative_control_divides_by_its_size() -> None:
    positive = lift(Moments(1_000, 10.0, 9e4), Moments(1_000, 11.0, 9e4))
    negative = lift(Moments(1_000, -10.0, 9e4), Moments(1_000, -11.0, 9e4))
    assert positive.interval is not None
    low, high = positive.interval
    assert low is not None
    assert high is not None

    assert negative.effect == pytest.approx(-0.1)
    assert negative.interval == pytest.approx((-high, -low))


def test_a_control_that_may_be_zero_bounds_nothing() -> None:
    result = lift(Moments(100, 0.1, 9e4), Moments(100, 5.0, 9e4))

    assert result.interval is None
    assert result.reason == "the control may be 0, so its multiples have no bounds"


def test_nothing_is_relative_to_no_events() -> None:
    assert lift(Proportion(100, 0), Proportion(100, 5)).effect is None


def test_no_events_at_all_are_a_loss_of_everything() -> None:
    result = lift(Proportion(5_000, 10), Proportion(5_000, 0))
    assert result.interval is not None

    assert result.effect == -1.0
    assert result.interval[0] == -1.0
    assert result.interval[1] == pytest.approx(-0.616, abs=1e-3)


def test_the_delta_interval_is_symmetrical() -> None:
    result = lift(Proportion(5_000, 500), Proportion(5_000, 550), method="delta")
    assert result.interval is not None
    assert result.effect is not None

    assert sum(result.interval) / 2 == pytest.approx(result.effect)  # type: ignore[arg-type]


@pytest.mark.parametrize("true", [0.0, 0.5])
def test_the_interval_covers_the_truth_as_often_as_it_says(true: float) -> None:
    rng = np.random.default_rng(11)
    control, treatment = rng.binomial(5_000, [[0.1], [0.1 * (1 + true)]], (2, 1_500))
    missed = 0
    for a, b in zip(control, treatment, strict=True):
        interval = lift(Proportion(5_000, int(a)), Proportion(5_000, int(b))).interval
        assert interval is not None
        missed += excludes(interval, true)

    assert 0.035 <= missed / 1_500 <= 0.067
