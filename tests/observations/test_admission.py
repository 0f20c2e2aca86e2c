from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON, split
from turnout.observations.admission import (
    COLUMNS,
    DAY,
    ID,
    LONGEST_ATTRIBUTES,
    Admission,
    Record,
    Splits,
    recorded,
)
from turnout.observations.domain.batch import BadRow, Flaw
from turnout.observations.domain.prediction import LONGEST_LABEL, NO_SPLIT, Prediction
from turnout.observations.domain.span import Days, Span
from turnout.observations.wire import OutcomeLine, PredictionLine, read_json
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Spread

SPAN = Span.kept(NOON, timedelta(days=30))
SPLIT = split({"baseline": 9_000, "candidate": 1_000}, shadow="shadow")
VERSIONS: dict[str, int | Flaw] = {
    "1.0.0": 1,
    "2.0.0": 2,
    "3.0.0": 3,
    "9.0.0": Flaw("version", "this model has no version 9.0.0"),
}
ADMISSION = Admission(model_id=1, batch_seq=5, span=SPAN, splits=Splits([SPLIT]), versions=VERSIONS)


def line(**given: Any) -> PredictionLine:
    return msgspec.convert({"prediction_id": "p", "version": "1.0.0"} | given, PredictionLine)


def column(record: Record, name: str) -> Any:
    return record[COLUMNS.index(name)]


def test_columns_are_where_they_are_looked_for():
    assert (COLUMNS[ID], COLUMNS[DAY]) == ("prediction_id", "day")


def test_a_row_is_recorded_as_it_was_sent():
    row = line(
        version="2.0.0",
        unit="u",
        at="2026-03-02T10:00:00+02:00",
        latency_ms=12.5,
        confidence=0.9,
        cost=0.01,
        error="timeout",
        split_id=7,
        features={"age": 41},
        **{"class": 3},
    )

    record = dict(zip(COLUMNS, ADMISSION.record(row), strict=True))

    assert record == {
        "model_id": 1,
        "prediction_id": "p",
        "day": NOON.date(),
        "shadow_version": 0,
        "batch_seq": 5,
        "version_id": 2,
        "split_id": 7,
        "unit": "u",
        "at": NOON - timedelta(hours=4),
        "latency_ms": 12.5,
        "confidence": 0.9,
        "cost": 0.01,
        "label": "3",
        "error": "timeout",
        "features": '{"age":41}',
    }


@pytest.mark.parametrize(
    ("error", "recorded"),
    [(None, None), (False, None), ("", None), (True, ""), ("boom", "boom")],
)
def test_a_failure_may_say_nothing(error: str | bool | None, recorded: str | None):
    assert column(ADMISSION.record(line(error=error)), "error") == recorded


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        pytest.param({"version": "9.0.0"}, "version", "has no version 9.0.0", id="no version"),
        pytest.param({"at": "2026-01-01T00:00:00Z"}, "at", "too far back", id="too old"),
        pytest.param({"at": "2026-03-03T00:00:00Z"}, "at", "in the future", id="too new"),
        pytest.param({"prediction_id": "a\nb"}, "prediction_id", "control", id="a line end"),
        pytest.param({"unit": "a\u200bb"}, "unit", "invisible", id="an invisible character"),
        pytest.param({"class": "\x00"}, "class", "control", id="a NUL in the class"),
        pytest.param({"error": "a\x07"}, "error", "control", id="a bell in the error"),
        pytest.param({"split_id": 8}, "split_id", "never had a split 8", id="no split"),
        pytest.param(
            {"split_id": 7, "version": "3.0.0"}, "split_id", "to answer", id="no arm of the split"
        ),
        pytest.param(
            {"split_id": 7, "shadow": True}, "split_id", "as a shadow", id="no shadow of the split"
        ),
        pytest.param({"features": {"a": "\x00"}}, "features", "control", id="a NUL in a feature"),
        pytest.param({"features": {"a": "\ud800"}}, "features", "surrogate", id="half a character"),
    ],
)
def test_a_row_that_cannot_be_is_refused(given: dict[str, Any], field: str, reason: str):
    with pytest.raises(BadRow) as refusal:
        ADMISSION.record(line(**given))

    assert refusal.value.flaw.field == field
    assert reason in refusal.value.flaw.reason


def test_other_alphabets_are_welcome():
    assert column(ADMISSION.record(line(unit="用户\u3000一")), "unit") == "用户\u3000一"


@pytest.mark.parametrize(
    ("given", "split_id"),
    [
        pytest.param({"split_id": None}, NO_SPLIT, id="the caller says it was not drawn"),
        pytest.param({}, 7, id="no unit: the split may have drawn it"),
        pytest.param({"at": "2026-03-02T11:59:59Z"}, NO_SPLIT, id="before the split"),
        pytest.param({"version": "3.0.0"}, NO_SPLIT, id="a shadow that answered was forced"),
        pytest.param({"version": "3.0.0", "shadow": True}, 7, id="a shadow"),
        pytest.param({"version": "1.0.0", "shadow": True}, NO_SPLIT, id="a shadow of its own"),
    ],
)
def test_a_row_counts_for_the_split_that_drew_it(given: dict[str, Any], split_id: int):
    assert column(ADMISSION.record(line(**given)), "split_id") == split_id


@given(st.text(min_size=1, max_size=20), st.sampled_from(["1.0.0", "2.0.0"]))
def test_a_unit_counts_only_for_the_version_that_the_split_gives_it(unit: str, version: str):
    drawn = assign(SPLIT, NO_OVERRIDES, unit=unit, attributes={}, draw=0)

    found = Splits([SPLIT]).drew(int(version[0]), unit, NOON, shadow=False)

    assert found == (7 if drawn.version == version else NO_SPLIT)


def test_a_draw_for_each_request_may_give_a_unit_any_version():
    random = Splits([split({"a": 5_000, "b": 5_000}, strategy=Spread.RANDOM)])

    assert {random.drew(version_id, "u", NOON, shadow=False) for version_id in (1, 2)} == {7}


def test_the_split_is_that_in_force_at_the_time():
    later = replace(SPLIT, id=9, created_at=NOON + timedelta(minutes=2))
    splits = Splits([later, SPLIT])

    found = [
        splits.drew(1, None, NOON + timedelta(minutes=minutes), shadow=False)
        for minutes in (-1, 0, 1, 2, 3)
    ]

    assert found == [NO_SPLIT, 7, 7, 9, 9]


def test_a_split_that_came_back_is_in_force_from_then_on():
    minute = timedelta(minutes=1)
    first = replace(SPLIT, reinstated_at=(NOON + 2 * minute, NOON + 4 * minute))
    other = replace(SPLIT, id=9, created_at=NOON + minute)
    last = replace(SPLIT, id=10, created_at=NOON + 3 * minute)
    splits = Splits([other, last, first])

    found = [splits.drew(1, None, NOON + n * minute, shadow=False) for n in range(6)]

    assert found == [7, 9, 7, 10, 7, 7]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"prediction_id": "p"}, "value", id="says nothing"),
        pytest.param({"prediction_id": "p\x00", "correct": True}, "prediction_id", id="a NUL"),
        pytest.param({"prediction_id": "p", "label": "\u2028"}, "label", id="a line separator"),
        pytest.param(
            {"unit": "u", "metric": "a\tb", "value": 1.0}, "metric", id="a tab in the metric"
        ),
        pytest.param(
            {"unit": "u", "correct": True, "at": "2020-01-01T00:00:00Z"}, "at", id="too old"
        ),
    ],
)
def test_an_outcome_that_cannot_be_is_refused(given: dict[str, Any], field: str):
    with pytest.raises(BadRow) as refusal:
        ADMISSION.remark(msgspec.convert(given, OutcomeLine))

    assert refusal.value.flaw.field == field


def test_bad_rows_are_listed_in_order():
    batch = read_json(
        b'{"predictions": [{"prediction_id": "a", "version": "9.0.0"}, {},'
        b' {"prediction_id": "b", "version": "1.0.0"}, {"prediction_id": "c", "version": "9.0.0"}],'
        b' "outcomes": [{}, {"prediction_id": "b", "correct": true}]}',
        None,
    )

    admitted = ADMISSION.admit(batch)

    assert [(row.list, row.index) for row in admitted.rejected] == [
        ("predictions", 0),
        ("predictions", 1),
        ("predictions", 3),
        ("outcomes", 0),
    ]
    assert (len(admitted.records), len(admitted.remarks), admitted.rows) == (1, 1, 2)


PREDICTION = Prediction(prediction_id="p", version_id=3, split_id=None, unit=None, at=NOON)


def test_what_a_model_answered_cannot_spoil_the_sums():
    wild = replace(
        PREDICTION,
        latency_ms=float("inf"),
        confidence=float("nan"),
        cost=-1.0,
        label="x" * 1000,
        shadow=True,
        error=True,
    )

    record = recorded(wild, 1, 5, Days(SPAN))

    assert [column(record, name) for name in ("latency_ms", "confidence", "cost")] == [None] * 3
    assert len(column(record, "label")) == LONGEST_LABEL
    assert (column(record, "shadow_version"), column(record, "split_id")) == (3, NO_SPLIT)
    assert column(record, "error") == ""


def test_every_field_of_a_prediction_is_recorded():
    full = replace(
        PREDICTION,
        split_id=7,
        unit="u",
        latency_ms=1.0,
        confidence=0.5,
        label="a",
        error=True,
        error_text="boom",
        cost=0.25,
        attributes={"country": "DE", "age": 41},
        inputs={"amount": 9.5, "age": 40, "name": "Ada"},
    )

    values = recorded(full, 1, 5, Days(SPAN), ["amount", "age", "plan"])

    for field in fields(Prediction):
        if field.name not in {"error", "shadow", "attributes", "inputs"}:
            assert getattr(full, field.name) in values
    assert column(values, "features") == '{"amount":9.5,"age":41,"country":"DE"}'


def test_attributes_that_cannot_be_kept_with_inputs_are_kept_without():
    inputs = {"a": "x" * LONGEST_ATTRIBUTES}
    row = replace(PREDICTION, attributes={"country": "DE"}, inputs=inputs)

    assert column(recorded(row, 1, 5, Days(SPAN), ["a"]), "features") == '{"country":"DE"}'
    assert column(recorded(row, 1, 5, Days(SPAN)), "features") == '{"country":"DE"}'


@pytest.mark.parametrize("value", ["\x00", "\ud800", "x" * LONGEST_ATTRIBUTES])
def test_attributes_that_cannot_be_kept_do_not_cost_the_row(value: str):
    row = replace(PREDICTION, attributes={"a": value})

    assert column(recorded(row, 1, 5, Days(SPAN)), "features") is None
