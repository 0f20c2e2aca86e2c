"""Batches as they arrive: JSON or NDJSON into rows, each bad row named with its field and reason.

A good batch is decoded in one go. Only when that fails are the rows taken one by one, by the
parser of the standard library, which can be told about NaN: that is what clients write when a
number is missing, and it must cost them the row and not the batch.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from turnout.observations.domain.batch import (
    MAX_ROWS,
    BadRow,
    Flaw,
    MalformedBatch,
    RejectedRow,
    RowList,
    TooManyRows,
)
from turnout.observations.domain.prediction import LARGEST, LONGEST_LABEL
from turnout.quantities import check_line

_HAS_VERSION = re.compile(rb'"version"\s*:')
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*?)`")

_CONSTANTS: Final = {name: type(name, (), {})() for name in ("NaN", "Infinity", "-Infinity")}

NDJSON: Final = {"application/x-ndjson", "application/ndjson", "application/jsonl"}

Id = Annotated[str, Meta(min_length=1, max_length=100)]
UnitId = Annotated[str, Meta(min_length=1, max_length=200)]
Time = Annotated[datetime, Meta(tz=True)]
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Class = Annotated[str, Meta(min_length=1, max_length=LONGEST_LABEL)] | bool | Integer | Number
SplitId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Feature = Annotated[str, Meta(max_length=1000)] | bool | Integer | Number | None
Features = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=200)], Feature], Meta(max_length=1000)
]


class PredictionLine(Struct, forbid_unknown_fields=True, gc=False):
    """One answer of one version, or its failure to give one."""

    prediction_id: Id
    version: Annotated[str, Meta(max_length=100)]
    unit: UnitId | None = None
    at: Time | None = None
    latency_ms: Annotated[float, Meta(ge=0, le=LARGEST)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    label: Class | None = msgspec.field(default=None, name="class")
    error: bool | Annotated[str, Meta(max_length=1000)] | None = None
    cost: Annotated[float, Meta(ge=0, le=LARGEST)] | None = None
    split_id: SplitId | UnsetType | None = UNSET
    shadow: bool = False
    features: Features | None = None


class OutcomeLine(Struct, forbid_unknown_fields=True, gc=False):
    """What came of a prediction, or of a unit after its latest exposure."""

    prediction_id: Id | None = None
    unit: UnitId | None = None
    metric: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    value: Number | None = None
    correct: bool | None = None
    label: Class | None = None
    at: Time | None = None


class BatchBody(Struct, forbid_unknown_fields=True):
    batch_id: Id | None = None
    predictions: list[PredictionLine] = []
    outcomes: list[OutcomeLine] = []


class _Envelope(Struct, forbid_unknown_fields=True):
    """A batch whose rows are still to be looked at one by one."""

    batch_id: Id | None = None
    predictions: list[Any] = []
    outcomes: list[Any] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A batch as sent. A row stands at its index; where it was bad, or belongs to the other list
    (NDJSON mixes them), stands None."""

    batch_id: str | None
    predictions: Sequence[PredictionLine | None]
    outcomes: Sequence[OutcomeLine | None]
    by_line: bool = False
    rejected: list[RejectedRow] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.predictions) + (0 if self.by_line else len(self.outcomes))


Line = TypeVar("Line", PredictionLine, OutcomeLine)

_batch = msgspec.json.Decoder(BatchBody)
_prediction = msgspec.json.Decoder(PredictionLine)
_outcome = msgspec.json.Decoder(OutcomeLine)


def read_json(body: bytes, batch_id: str | None) -> Submission:
    """Read the two lists; a `batch_id` that was given beside the body stands in for its own."""
    try:
        batch = _batch.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _row_by_row(body, batch_id)
    return Submission(
        batch_id=_agreed(batch.batch_id, batch_id),
        predictions=batch.predictions,
        outcomes=batch.outcomes,
    )


def read_ndjson(body: bytes, batch_id: str | None) -> Submission:
    """Read one row per line: a line with a `version` is a prediction, any other an outcome."""
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    _check_count(len(lines))
    predictions: list[PredictionLine | None] = [None] * len(lines)
    outcomes: list[OutcomeLine | None] = [None] * len(lines)
    rejected: list[RejectedRow] = []
    for index, line in enumerate(lines):
        try:
            if _HAS_VERSION.search(line):
                predictions[index] = _decode(line, PredictionLine, _prediction)
            else:
                outcomes[index] = _decode(line, OutcomeLine, _outcome)
        except BadRow as error:
            rejected.append(error.at(RowList.LINES, index))
    return Submission(
        batch_id=batch_id,
        predictions=predictions,
        outcomes=outcomes,
        by_line=True,
        rejected=rejected,
    )


def _decode(line: bytes, kind: type[Line], decoder: msgspec.json.Decoder[Line]) -> Line:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        value = _parse(line)
    except (ValueError, RecursionError) as error:
        raise BadRow(Flaw("row", f"not JSON: {error}")) from None
    return _convert(value, kind)


def _row_by_row(body: bytes, batch_id: str | None) -> Submission:
    try:
        envelope = msgspec.convert(_parse(body), _Envelope)
    except msgspec.ValidationError as error:
        flaw = _flaw(error)
        raise MalformedBatch(f"{flaw.field}: {flaw.reason}", field=flaw.field) from None
    except (ValueError, RecursionError) as error:
        raise MalformedBatch(f"the body is not JSON: {error}", field="body") from None
    _check_count(len(envelope.predictions) + len(envelope.outcomes))
    rejected: list[RejectedRow] = []
    return Submission(
        batch_id=_agreed(envelope.batch_id, batch_id),
        predictions=_rows(envelope.predictions, PredictionLine, RowList.PREDICTIONS, rejected),
        outcomes=_rows(envelope.outcomes, OutcomeLine, RowList.OUTCOMES, rejected),
        rejected=rejected,
    )


def _check_count(rows: int) -> None:
    """To name what is wrong with each of a million rows takes longer than others can wait."""
    if rows > MAX_ROWS:
        raise TooManyRows(rows)


def _rows(
    values: Sequence[Any], kind: type[Line], within: RowList, rejected: list[RejectedRow]
) -> list[Line | None]:
    rows: list[Line | None] = []
    for index, value in enumerate(values):
        try:
            rows.append(_convert(value, kind))
        except BadRow as error:
            rows.append(None)
            rejected.append(error.at(within, index))
    return rows


def _convert(value: Any, kind: type[Line]) -> Line:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRow(_flaw(error)) from None
    except UnicodeEncodeError:
        raise BadRow(Flaw("row", "a text holds one half of a surrogate pair")) from None


def _agreed(inside: str | None, beside: str | None) -> str | None:
    if inside is None or beside is None:
        found = inside or beside
    elif inside == beside:
        found = inside
    else:
        raise MalformedBatch(
            f"batch_id is {inside!r} in the body and {beside!r} in the query: send one",
            field="batch_id",
        )
    try:
        return found and check_line(found)
    except ValueError as error:
        raise MalformedBatch(f"batch_id: {error}", field="batch_id") from None


def _parse(text: bytes) -> Any:
    """Parse JSON; NaN and its kin become a value that fits no field and says its name."""
    return json.loads(text, parse_constant=_CONSTANTS.__getitem__)


def _flaw(error: msgspec.ValidationError) -> Flaw:
    message = str(error)
    if named := _NAMED.match(message):
        what, name = named.groups()
        return Flaw(name, "missing" if what.startswith("missing") else "unknown field")
    reason, _, path = message.partition(" - at `$")
    return Flaw(path.strip(".`") or "row", reason.replace("`", ""))


def described() -> dict[str, Any]:
    """The JSON schema of a batch, drawn from the types that decode it."""
    _, found = msgspec.json.schema_components([BatchBody], ref_template="{name}")
    body: dict[str, Any] = found["BatchBody"]
    for name in ("predictions", "outcomes"):
        rows = body["properties"][name]
        rows["items"] = found[rows["items"]["$ref"]]
    return body
