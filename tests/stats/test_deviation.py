import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.deviation import deviation

numbers = st.floats(-1e6, 1e6)


def test_it_takes_three_earlier_figures():
    assert deviation(5, [1, 2]) is None
    assert deviation(5, [1, 2, 3]) is not None


@given(numbers, st.lists(numbers, min_size=3, max_size=20))
def test_the_sides_are_alike(value: float, earlier: list[float]):
    here = deviation(value, earlier)
    there = deviation(-value, [-x for x in earlier])

    assert here is not None
    assert there is not None
    assert here == pytest.approx(-there) or math.isinf(here)


@pytest.mark.parametrize("weeks", [3, 4, 8])
def test_three_deviations_are_as_rare_as_those_of_a_normal_distribution(weeks: int):
    source = np.random.default_rng(3)
    draws = source.normal(100, 20, size=(20_000, weeks + 1)).tolist()
    far = [abs(deviation(x, earlier) or 0) > 3 for x, *earlier in draws]

    assert np.mean(far) == pytest.approx(0.0027, abs=0.0012)


def test_counts_vary_at_least_as_counts_do():
    assert deviation(10_100, [10_000] * 4, counted=True) == pytest.approx(0.85, abs=0.1)
    assert deviation(10_100, [10_000] * 4) == math.inf or (deviation(10_100, [10_000] * 4) or 0) > 5
