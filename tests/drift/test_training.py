"""Training data is read in one pass, and what is wrong with it is named."""

import io
import itertools
from typing import Any

import pytest

from turnout.drift import training
from turnout.drift.domain.baseline import Frequencies, Histogram, MalformedData
from turnout.drift.training import TrainingData


def table(text: str, **how: Any) -> TrainingData:
    return TrainingData(io.StringIO(text, newline=""), **how)


def test_columns_are_numbers_or_texts_by_their_first_value():
    data = table('a,b,"c"\n,x,007\n1,"y, ""z""",8\n2.5,"x\ny",9\n', categories=["c"])
    found = data.distributions()

    assert found["a"] == Histogram(edges=(1.0, 2.5), counts=(0, 1, 1), missing=1)
    assert found["b"] == Frequencies(categories={"x": 1, 'y, "z"': 1}, other=1)
    assert found["c"] == Frequencies(categories={"007": 1, "8": 1, "9": 1})


@pytest.mark.parametrize(
    ("text", "facts", "words"),
    [
        pytest.param("", {"row": 1}, "the file is empty", id="empty"),
        pytest.param("a,b\n", {"row": 2}, "no row below", id="no rows"),
        pytest.param("a,\n1,2\n", {"row": 1}, "column 2 has no name", id="a column without a name"),
        pytest.param("a,a\n1,2\n", {"column": "a"}, "two columns are named", id="twice"),
        pytest.param("a,b\n1,2\n3\n", {"row": 3}, "1 fields, where the first", id="short row"),
        pytest.param(
            "a,b\n1,2\n3,4\n5,x\n", {"row": 4, "column": "b"}, "'x' is no number", id="text"
        ),
        pytest.param("a\n1\ninf\n", {"row": 3, "column": "a"}, "is not a number", id="infinity"),
        pytest.param("a\n\n\n,\n", {"row": 4}, "2 fields", id="too long"),
        pytest.param('a\n"x\n', {"row": 3}, "cannot be read", id="open quote"),
        pytest.param("a,b\n1,\n2,NA\n", {"column": "b"}, "holds no value", id="an empty column"),
    ],
)
def test_what_is_wrong_is_named(text: str, facts: dict[str, Any], words: str):
    with pytest.raises(MalformedData, match=words) as refused:
        table(text).distributions()

    assert facts.items() <= refused.value.facts.items()


def test_a_column_to_take_as_categories_exists():
    with pytest.raises(MalformedData, match="there is no column 'b'"):
        table("a\n1\n", categories=["b"])


def test_of_long_files_a_sample_is_kept_and_every_row_is_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "MOST_ROWS", 1_000)
    rows = [f"{k}\n" for k in range(20_000)]
    data = TrainingData(iter(["a\n", *rows]))
    found = data.distributions()["a"]

    assert data.rows == 20_000
    assert isinstance(found, Histogram)
    assert sum(found.bins) == 1_000
    assert found.edges[4] == pytest.approx(10_000, rel=0.1)
    with pytest.raises(MalformedData, match="row 20002"):
        TrainingData(itertools.chain(["a\n"], rows, ["x\n"]))
