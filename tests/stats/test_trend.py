import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from turnout.stats.trend import Point, trend


def test_with_equal_weights_it_is_the_line_of_least_squares():
    values = [3.0, 3.4, 2.9, 3.9, 4.1, 4.0]
    found = trend([Point(float(at), value, 7.0) for at, value in enumerate(values)])
    known = stats.linregress(range(6), values)
    reach = stats.t.ppf(0.975, 4) * known.stderr

    assert found.slope == pytest.approx(known.slope)
    assert (found.low, found.high) == pytest.approx((known.slope - reach, known.slope + reach))


def test_a_point_without_events_says_nothing():
    points = [Point(float(at), float(at), 5.0) for at in range(6)]

    assert trend([*points, Point(9.0, -1000.0, 0.0)]) == trend(points)
    assert trend(points).direction == "rising"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_few_points_show_no_direction(count: int):
    found = trend([Point(float(at), float(at), 1.0) for at in range(count)])

    assert (found.slope, found.direction) == (None, "unclear")


@pytest.mark.parametrize("value", [0.0, 0.1, 0.9, 1e6 / 3])
def test_a_figure_that_never_changes_goes_nowhere(value: float):
    """Also where the weights round differently from one time to the next."""
    weights = np.random.default_rng(5).integers(1, 10**6, size=(200, 24)).tolist()
    found = {
        trend([Point(at / 7, value, weight) for at, weight in enumerate(day)]).direction
        for day in weights
    }

    assert found == {"unclear"}


@given(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=20))
def test_turned_round_it_falls_as_it_rose(values: list[float]):
    there = trend([Point(float(at), value, 1.0) for at, value in enumerate(values)])
    back = trend([Point(float(at), value, 1.0) for at, value in enumerate(reversed(values))])

    assert there.slope is not None
    assert back.slope is not None
    assert math.isclose(there.slope, -back.slope, abs_tol=1e-9)


def test_noise_is_called_a_trend_one_time_in_twenty():
    draws = np.random.default_rng(3).normal(size=(2_000, 24)).tolist()
    called = [
        trend([Point(float(at), value, 1.0) for at, value in enumerate(values)]).direction
        for values in draws
    ]

    assert 0.03 < 1 - called.count("unclear") / len(called) < 0.07
