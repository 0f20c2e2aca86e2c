"""Whatever a version met, the baseline made of it is read back as it was stored, and what comes
again unchanged falls into the same bins."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from turnout.drift.domain.baseline import Baseline
from turnout.drift.domain.columns import cell, distribution
from turnout.drift.domain.observed import MOST_CELLS, observed, thinned
from turnout.observations.domain.figures import Figures, Mean
from turnout.observations.domain.tally import tally
from turnout.stats.quantile_sketch import QuantileSketch

KEPT = TypeAdapter(Baseline)
NOTHING = Figures(
    predictions=0,
    errors=0,
    labelled=0,
    correct=0,
    latency=Mean(),
    confidence=Mean(),
    cost=Mean(),
    latencies=QuantileSketch(),
)
LONG = "the text of a ticket " * 20
TEXTS = [
    pytest.param(["a", "b", LONG], id="longer than a name may be"),
    pytest.param(["a", "", "b", None], id="empty"),
    pytest.param(["a", "tab\there", "zero\u200bwidth"], id="invisible characters"),
]


@pytest.mark.parametrize("values", TEXTS)
def test_texts_of_any_kind_make_a_baseline_that_is_read_back(values: Sequence[str | None]):
    rows = [{"text": value, "odd\tname": "x", "": 1.0} for value in values]

    made = observed(rows, [], NOTHING)

    assert set(made.features) == {"text"}
    assert KEPT.validate_json(KEPT.dump_json(made)) == made


@pytest.mark.parametrize("values", TEXTS)
def test_what_comes_again_falls_into_the_same_bins(values: Sequence[str | None]):
    rows = [({"text": value}, None) for value in values]
    by_traffic = observed([features for features, _ in rows], [], NOTHING).features["text"]
    uploaded = distribution([cell(value, numeric=False) for value in values])

    for made in (by_traffic, uploaded):
        cut = made.cut("text")
        assert tuple(tally(rows, [cut]).bins(cut)) == made.bins


def test_texts_that_cannot_be_named_are_no_distribution():
    assert observed([{"text": LONG}], [], NOTHING).features == {}
    with pytest.raises(ValueError, match="printable characters"):
        distribution([LONG])


@given(st.integers(1, 300), st.integers(100, 50_000), st.integers(0, 1000))
def test_no_more_than_a_million_values_are_kept(width: int, predictions: int, first: int):
    features = {str(number): 1.0 for number in range(width)}
    places = range(first, first + 1000)
    kept = [thinned(features, place, predictions=predictions) for place in places]
    filled = sum(map(bool, kept))

    assert all(one in ({}, features) for one in kept)
    assert (filled - 1) * width * predictions / 1000 <= MOST_CELLS
    assert filled >= 1000 * min(1, MOST_CELLS / (width * predictions)) / 2 - 1
