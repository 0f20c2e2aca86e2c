"""What a sequential test that has stopped can claim, though it chose its moment."""

import math

import pytest
from scipy import stats

from tests.stats.designs import DEFAULT, POCOCK, equal
from turnout.stats.arguments import BadArgument
from turnout.stats.sequential import boundaries, exit_probabilities
from turnout.stats.stopped import stopped


def two_looks(z: float, first: float) -> float:
    """P(stop at the first look, or z at the second), from the bivariate normal."""
    joint = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])
    return float(1 - joint.cdf([first, z]))


def test_a_test_of_one_look_claims_what_it_shows() -> None:
    result = stopped(2.5, [1.0], [])

    assert result.p_value == pytest.approx(stats.norm.sf(2.5), rel=1e-9)
    assert result.drift == pytest.approx(2.5, abs=1e-8)
    assert result.interval == pytest.approx((2.5 - 1.959964, 2.5 + 1.959964), abs=1e-6)


def test_a_stop_at_the_second_look_counts_the_first() -> None:
    result = stopped(2.2, [0.5, 1.0], [2.8])

    assert result.p_value == pytest.approx(two_looks(2.2, 2.8), abs=1e-5)


def test_an_early_winner_is_marked_down() -> None:
    fractions = equal(4)
    upper = boundaries(fractions, alpha=0.025, spending=POCOCK)
    result = stopped(2.6, fractions[:3], upper[:2])
    low, high = result.interval

    assert low < result.drift < 2.6 / math.sqrt(0.75)
    assert result.drift < high


@pytest.mark.parametrize("drift", [0.0, 2.0])
def test_the_estimate_is_too_high_as_often_as_too_low(drift: float) -> None:
    """Of the result that half of all, under this drift, are at least as extreme as."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        exits = exit_probabilities([0.5, 1.0], [2.5, middle], None, drift)
        low, high = (middle, high) if sum(exits.upper) > 0.5 else (low, middle)

    assert stopped(low, [0.5, 1.0], [2.5]).drift == pytest.approx(drift, abs=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
def test_after_a_hundred_looks_it_is_what_the_walk_under_each_drift_says(symmetric: bool) -> None:
    fractions = equal(100)[:70]
    upper = boundaries(fractions, alpha=0.025, spending=DEFAULT)[:-1]
    lower = [-bound for bound in upper] if symmetric else None
    result = stopped(2.7, fractions, upper, lower=lower)
    floor = None if lower is None else [*lower, -math.inf]
    for drift, share in zip(
        [0.0, result.drift, *result.interval], [result.p_value, 0.5, 0.025, 0.975], strict=True
    ):
        exits = exit_probabilities(fractions, [*upper, 2.7], floor, drift)

        assert sum(exits.upper) == pytest.approx(share, rel=1e-9)


def test_an_overwhelming_result_after_looks_that_could_not_stop_is_a_number() -> None:
    result = stopped(37.0, [0.07, 0.5, 1.0], [math.inf, math.inf])

    assert result.drift == pytest.approx(37.0, abs=1e-3)


def test_a_result_that_no_earlier_look_announced_is_a_number() -> None:
    """A treatment that breaks halfway: most of what z says, the first look would have seen."""
    result = stopped(60.0, [0.03, 0.1], [3.9], lower=[-3.9])
    exits = exit_probabilities([0.03, 0.1], [3.9, 60.0], [-3.9, -math.inf], result.drift)

    assert sum(exits.upper) == pytest.approx(0.5)
    assert result.drift < 60 / 0.1**0.5


def test_missing_bounds_are_refused() -> None:
    with pytest.raises(BadArgument, match=r"^upper "):
        stopped(2.0, [0.5, 1.0], [])
