import math
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.arguments import BadArgument
from turnout.stats.moments import AdjustedMoments, Moments, Proportion, RatioMoments

values = st.lists(st.floats(-1e6, 1e6), max_size=40)

#: NIST Statistical Reference Datasets, univariate: values, certified mean and deviation.
NIST = {
    "NumAcc1": ([10_000_001.0, 10_000_003.0, 10_000_002.0], 10_000_002.0, 1.0),
    "NumAcc2": ([1.2, *[1.1, 1.3] * 500], 1.2, 0.1),
    "NumAcc3": ([1_000_000.2, *[1_000_000.1, 1_000_000.3] * 500], 1_000_000.2, 0.1),
    "NumAcc4": ([10_000_000.2, *[10_000_000.1, 10_000_000.3] * 500], 10_000_000.2, 0.1),
}


@pytest.mark.parametrize("name", NIST)
@pytest.mark.parametrize("chunk", [1, 2, 7, 100, 5_000])
def test_the_hard_sets_of_nist_keep_their_digits_in_any_chunks(name: str, chunk: int) -> None:
    data, mean, deviation = NIST[name]
    parts = [Moments.of(data[start : start + chunk]) for start in range(0, len(data), chunk)]
    whole = reduce(add, parts)

    assert whole.n == len(data)
    assert whole.mean == pytest.approx(mean, rel=1e-14)
    assert math.sqrt(whole.variance) == pytest.approx(deviation, rel=1e-8)


@given(values, values)
def test_the_moments_of_the_parts_are_those_of_the_whole(
    some: list[float], others: list[float]
) -> None:
    merged, whole = Moments.of(some) + Moments.of(others), Moments.of([*some, *others])
    size = max([1.0, *map(abs, [*some, *others])])

    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, abs=1e-12 * size)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-9 * size)


@given(values.filter(bool))
def test_nothing_added_changes_nothing(some: list[float]) -> None:
    known = Moments.of(some)

    assert known + Moments() == known == Moments() + known


def test_a_shift_moves_the_mean_alone() -> None:
    data = np.random.default_rng(1).normal(0, 1, 500)
    plain, shifted = Moments.of(data), Moments.of(data + 1e12)

    assert shifted.mean - 1e12 == pytest.approx(plain.mean, abs=1e-3)
    assert shifted.variance == pytest.approx(plain.variance, rel=1e-3)


@pytest.mark.parametrize("value", [0.1, 1e12 + 0.1, 0.0])
def test_values_that_are_all_the_same_do_not_vary(value: float) -> None:
    assert (Moments.of([value] * 30) + Moments.of([value] * 7)).variance == 0.0


def test_pairs_merge_with_their_cross_moment() -> None:
    rng = np.random.default_rng(3)
    y, x = rng.normal(3, 1, 90), rng.normal(1e6, 2, 90)
    y += x
    parts = [slice(20), slice(20, 21), slice(21, None)]
    ratio = reduce(add, [RatioMoments.of(y[part], x[part]) for part in parts])
    past = reduce(add, [AdjustedMoments.of(y[part], x[part]) for part in parts])
    expected = float(np.sum((y - y.mean()) * (x - x.mean())))

    assert ratio.cross == pytest.approx(expected, rel=1e-7)
    assert past.cross == pytest.approx(expected, rel=1e-7)


def test_proportions_add() -> None:
    assert Proportion(10, 3) + Proportion(5, 5) == Proportion(15, 8)


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(lambda: Moments(-1, 0.0, 0.0), "n", id="fewer than no values"),
        pytest.param(lambda: Moments(5, math.nan, 0.0), "mean", id="mean is not a number"),
        pytest.param(lambda: Moments(5, 0.0, -1e-9), "m2", id="negative squared deviations"),
        pytest.param(lambda: Moments(1, 0.0, 1.0), "m2", id="one value that deviates"),
        pytest.param(lambda: Moments.of([1.0, math.inf]), "values", id="infinite value"),
        pytest.param(lambda: Moments.of([1.0]).variance, "n", id="variance of one value"),
        pytest.param(lambda: Proportion(5, 6), "successes", id="more successes than units"),
        pytest.param(lambda: Proportion(5, -1), "successes", id="fewer than no successes"),
        pytest.param(lambda: Proportion(0, 0).rate, "n", id="rate of nothing"),
        pytest.param(
            lambda: RatioMoments(Moments(3, 0.0, 1.0), Moments(4, 0.0, 1.0), 0.0),
            "denominator",
            id="sides of different size",
        ),
        pytest.param(
            lambda: RatioMoments(Moments(3, 0.0, 1.0), Moments(3, 0.0, 1.0), 1.1),
            "cross",
            id="more than perfectly correlated",
        ),
    ],
)
def test_what_no_data_can_have_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()
