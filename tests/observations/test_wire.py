import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.observations import examples
from turnout.observations.domain.batch import (
    MAX_ROWS,
    MalformedBatch,
    RejectedRow,
    RowList,
    TooManyRows,
)
from turnout.observations.wire import BatchBody, described, read_json, read_ndjson

GOOD = {"prediction_id": "p", "version": "1.0.0"}


def rejected(rows: list[RejectedRow]) -> list[tuple[str, int, str]]:
    return [(row.list, row.index, row.field) for row in rows]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        pytest.param('{"version": "1.0.0"}', "prediction_id", "missing", id="no id"),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "colour": 1}',
            "colour",
            "unknown field",
            id="a field that there is not",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "confidence": NaN}',
            "confidence",
            "Expected float | null, got NaN",
            id="not a number",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "latency_ms": -Infinity}',
            "latency_ms",
            "Expected float | null, got -Infinity",
            id="infinity",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "cost": 1e999}',
            "cost",
            "Expected float <= 1000000000000000.0",
            id="a number beyond all floats",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "latency_ms": "12"}',
            "latency_ms",
            "Expected float | null, got str",
            id="a number in quotes",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "at": "2026-03-02T12:00:00"}',
            "at",
            "Expected datetime with a timezone component",
            id="a time without an offset",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "features": {"age": [1]}}',
            "features[...]",
            "Expected bool | int | float | str | null, got array",
            id="a feature that is a list",
        ),
        pytest.param(
            '{"prediction_id": "p", "version": "1.0.0", "at": "\\ud800"}',
            "row",
            "a text holds one half of a surrogate pair",
            id="half a character",
        ),
        pytest.param("[]", "row", "Expected object, got array", id="no object"),
    ],
)
def test_a_bad_row_is_named_and_costs_no_other(row: str, field: str, reason: str):
    good = json.dumps(GOOD)

    batch = read_json(f'{{"predictions": [{good}, {row}, {good}]}}'.encode(), None)
    lines = read_ndjson(f"{good}\n{row.replace(' ', '  ')}\n{good}".encode(), None)

    expected = RejectedRow(list=RowList.PREDICTIONS, index=1, field=field, reason=reason)
    assert batch.rejected == [expected]
    assert [line is not None for line in batch.predictions] == [True, False, True]
    assert [(row.list, row.index) for row in lines.rejected] == [(RowList.LINES, 1)]
    assert [line is not None for line in lines.predictions] == [True, False, True]


def test_rows_of_both_lists_are_told_apart():
    body = {"predictions": [GOOD, {}], "outcomes": [{"value": "much"}]}

    batch = read_json(json.dumps(body).encode(), None)

    assert rejected(batch.rejected) == [
        ("predictions", 1, "prediction_id"),
        ("outcomes", 0, "value"),
    ]
    assert batch.rows == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"", "body", id="nothing"),
        pytest.param(b'{"predictions": [', "body", id="half a document"),
        pytest.param(b"\xff\xfe", "body", id="no text"),
        pytest.param(b"[" * 100_000, "body", id="too deep"),
        pytest.param(b"[]", "row", id="a list"),
        pytest.param(b'{"rows": []}', "rows", id="a list that there is not"),
        pytest.param(b'{"predictions": {}}', "predictions", id="no list"),
        pytest.param(b'{"batch_id": ""}', "batch_id", id="an empty batch id"),
        pytest.param(b'{"batch_id": "a\\u0000b"}', "batch_id", id="a control character"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(body: bytes, field: str):
    with pytest.raises(MalformedBatch) as refusal:
        read_json(body, None)

    assert refusal.value.facts["field"] == field


@pytest.mark.parametrize("row", [b"{}", b"NaN", b"7"])
def test_of_too_many_rows_none_is_explained(row: bytes):
    half = b",".join([row] * (MAX_ROWS // 2 + 1))

    with pytest.raises(TooManyRows):
        read_json(b'{"predictions": [' + half + b'], "outcomes": [' + half + b"]}", None)
    with pytest.raises(TooManyRows):
        read_ndjson((row + b"\n") * (MAX_ROWS + 1), None)


def test_one_batch_has_one_id():
    assert read_json(b'{"batch_id": "a"}', None).batch_id == "a"
    assert read_json(b"{}", "a").batch_id == "a"
    assert read_json(b'{"batch_id": "a"}', "a").batch_id == "a"
    with pytest.raises(MalformedBatch):
        read_json(b'{"batch_id": "a"}', "b")


def test_a_line_with_a_version_is_a_prediction():
    body = (
        b'{"prediction_id": "p", "version": "1.0.0"}\n'
        b"\n"
        b'{"unit": "version", "metric": "revenue", "value": 1}\r\n'
        b"   \n"
        b'{"version" : "1.0.0", "prediction_id": "q"}\n'
        b"{nonsense\n"
    )

    batch = read_ndjson(body, "lines")

    assert [line and line.prediction_id for line in batch.predictions] == ["p", None, "q", None]
    assert [line and line.unit for line in batch.outcomes] == [None, "version", None, None]
    assert rejected(batch.rejected) == [("lines", 3, "row")]
    assert (batch.rows, batch.batch_id) == (4, "lines")


NUMBERS = st.floats(0, 1) | st.none()
ROWS = st.fixed_dictionaries(
    {"prediction_id": st.text(min_size=1, max_size=100), "version": st.text(max_size=100)},
    optional={
        "unit": st.text(min_size=1, max_size=200),
        "confidence": NUMBERS,
        "class": st.text(min_size=1, max_size=200)
        | st.integers(-(2**63), 2**63 - 1)
        | st.booleans(),
        "error": st.booleans() | st.text(max_size=1000),
        "split_id": st.integers(1, 2**63 - 1) | st.none(),
        "shadow": st.booleans(),
        "features": st.dictionaries(st.text(min_size=1, max_size=20), st.integers(-5, 5)),
    },
)


@given(st.lists(ROWS))
def test_both_forms_and_both_parsers_read_the_same_rows(rows: list[dict[str, Any]]):
    whole = read_json(msgspec.json.encode({"predictions": rows}), None)
    lines = read_ndjson(b"\n".join(msgspec.json.encode(row) for row in rows), None)
    with_a_bad_one = read_json(msgspec.json.encode({"predictions": [*rows, {}]}), None)

    assert list(whole.predictions) == list(lines.predictions)
    assert list(whole.predictions) == list(with_a_bad_one.predictions)[:-1]
    assert [line and line.prediction_id for line in whole.predictions] == [
        row["prediction_id"] for row in rows
    ]


def test_the_description_is_of_what_is_read():
    schema = described()

    assert set(schema["properties"]) == {"batch_id", "predictions", "outcomes"}
    row = schema["properties"]["predictions"]["items"]
    assert row["required"] == ["prediction_id", "version"]
    assert "class" in row["properties"]
    assert "label" not in row["properties"]
    for example in examples.BATCH.values():
        msgspec.convert(example["value"], BatchBody)
