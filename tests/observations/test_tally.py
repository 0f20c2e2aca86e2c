"""A sorted column is cut at its edges as each of its values would be."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from turnout.observations.domain.grid import PREDICTION, Cut
from turnout.observations.domain.prediction import class_text
from turnout.observations.domain.tally import tally

numbers = st.integers(-5, 5) | st.floats(-5, 5)
values = numbers | st.booleans() | st.none() | st.sampled_from(["", "a", "b", "1", "nan", "2.5"])
rows = st.lists(
    st.tuples(
        st.none() | st.dictionaries(st.sampled_from(["x", "y"]), values),
        st.none() | st.sampled_from(["a", "1", "0.25", "1e999", "nan"]),
    ),
    max_size=30,
)
edges = st.lists(numbers.map(float), min_size=1, max_size=6, unique=True).map(sorted).map(tuple)
names = st.sets(st.sampled_from(["a", "b", "1", "true"]), min_size=1).map(sorted).map(tuple)


def taken(cut: Cut, value: Any) -> Any:
    """A value as a cut takes it: a score may come as text, and names are texts."""
    if cut.categories is not None:
        return None if value is None else class_text(value)
    if cut.feature == PREDICTION and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if abs(number) < float("inf") else None
    return float(value) if type(value) in {int, float} else None


@given(rows, edges, names)
def test_a_column_is_cut_as_its_values_are(given_rows: Any, at: Any, named: Any):
    cuts = [
        cut
        for feature in ("x", "y", PREDICTION)
        for cut in (Cut(feature=feature, edges=at), Cut(feature=feature, categories=named))
    ]
    found = tally(given_rows, cuts)

    for cut in cuts:
        expected = [0] * cut.bins
        for features, label in given_rows:
            if cut.feature == PREDICTION:
                if label is not None:
                    expected[cut.bin_of(taken(cut, label))] += 1
            elif features is not None:
                expected[cut.bin_of(taken(cut, features.get(cut.feature)))] += 1
        assert found.bins(cut) == expected
