"""When a distribution became another, by counts in order of time."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from turnout.stats.arguments import BadArgument
from turnout.stats.change import _chi_squared, changed_at

USUAL = (30, 50, 20)
OTHER = (10, 40, 50)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        pytest.param([USUAL] * 15 + [OTHER] * 9, 15, id="after fifteen hours"),
        pytest.param([USUAL] + [OTHER] * 9, 1, id="after the first"),
        pytest.param([USUAL] * 9 + [OTHER], 9, id="at the last"),
        pytest.param([USUAL] * 10, None, id="never"),
        pytest.param([OTHER], None, id="there is one row"),
        pytest.param([], None, id="there is none"),
        pytest.param([(7, 0), (90, 0)], None, id="all of it in one bin"),
        pytest.param([(2, 0), (0, 2)], None, id="too few to show it"),
    ],
)
def test_the_change_is_found_where_it_was(rows: Sequence[Sequence[int]], place: int | None):
    assert changed_at(rows) == place


@given(st.lists(st.lists(st.integers(0, 500), min_size=3, max_size=3), max_size=12))
def test_the_order_of_the_bins_does_not_matter(rows: Sequence[Sequence[int]]):
    assert changed_at(rows) == changed_at([row[::-1] for row in rows])


def test_what_chance_does_is_seldom_taken_for_a_change():
    """1 % of the time at most; of 400 series 4, and hardly ever 11."""
    draw = random.Random(5)
    found = 0
    for _ in range(400):
        rows = []
        for _ in range(12):
            bins = draw.choices(range(4), (40, 30, 20, 10), k=60)
            rows.append([bins.count(k) for k in range(4)])
        found += changed_at(rows) is not None
    assert found <= 10


@pytest.mark.parametrize("freedom", [1, 4, 9, 49])
def test_the_quantile_is_that_of_chi_squared(freedom: int):
    exact = stats.chi2.ppf(0.9995, freedom)

    assert _chi_squared(0.9995, freedom) == pytest.approx(exact, rel=0.05)


def test_rows_of_other_bins_are_refused():
    with pytest.raises(BadArgument, match="rows"):
        changed_at([(1, 2), (1, 2, 3)])
