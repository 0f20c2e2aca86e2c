"""Which rows of a batch are recorded, and as what: pure, and the hot loop of ingestion."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import UNSET

from turnout.observations.domain.batch import BadRow, Flaw
from turnout.observations.domain.outcome import ACCURACY, Said, flaw_of
from turnout.observations.domain.prediction import LONGEST_LABEL, NO_SPLIT, Prediction, class_text
from turnout.observations.domain.span import Span
from turnout.observations.wire import OutcomeLine, PredictionLine
from turnout.quantities import check_line
from turnout.traffic.domain.assignment import bucket
from turnout.traffic.domain.split import Split

Record = tuple[
    int,  # model_id
    str,  # prediction_id
    date,  # day
    int,  # shadow_version
    int,  # batch_seq
    int,  # version_id
    int,  # split_id
    str | None,  # unit
    datetime,  # at
    float | None,  # latency_ms
    float | None,  # confidence
    float | None,  # cost
    str | None,  # label
    str | None,  # error
    str | None,  # features
]
COLUMNS: Final = (
    "model_id",
    "prediction_id",
    "day",
    "shadow_version",
    "batch_seq",
    "version_id",
    "split_id",
    "unit",
    "at",
    "latency_ms",
    "confidence",
    "cost",
    "label",
    "error",
    "features",
)

ID: Final = 1
DAY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An outcome as it is recorded: `said_label` is yet to be compared, else `value` holds."""

    prediction_id: str | None
    unit: str | None
    metric: str
    value: float | None
    said_label: str | None
    at: datetime


class Splits:
    """The splits of a model that were in force in the time of a batch, oldest first."""

    def __init__(self, splits: Iterable[Split]) -> None:
        self._ordered = sorted(splits, key=attrgetter("created_at", "id"))
        self._since = [split.created_at for split in self._ordered]
        self._by_id = {split.id: split for split in self._ordered}

    def named(self, split_id: int) -> Split | None:
        return self._by_id.get(split_id)

    def in_force(self, at: datetime) -> Split | None:
        place = bisect_right(self._since, at)
        return self._ordered[place - 1] if place else None


def drawn_by(split: Split, version_id: int, unit: str | None, *, shadow: bool) -> bool:
    """Whether this split, by itself, could have had the version answer the unit."""
    variant = split.variant(version_id)
    if variant is None or variant.shadow != shadow:
        return False
    if shadow or unit is None or not split.by_unit:
        return True
    place = bisect_right(split.bounds, bucket(split.salt, unit))
    return split.answers[place].version_id == version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the rows of one batch are held against."""

    model_id: int
    batch_seq: int
    now: datetime
    span: Span
    splits: Splits
    versions: Mapping[str, int | Flaw]
    """Every version that the batch names, and why it is none."""

    def record(self, line: PredictionLine) -> Record:
        version_id = self.versions[line.version]
        if isinstance(version_id, Flaw):
            raise BadRow(version_id)
        at = self._time(line.at)
        unit, label = line.unit, line.label
        prediction_id = _plain("prediction_id", line.prediction_id)
        if unit is not None:
            _plain("unit", unit)
        if label is not None:
            label = _plain("class", label if label.__class__ is str else class_text(label))
        return (
            self.model_id,
            prediction_id,
            self.span.day(prediction_id, at),
            version_id if line.shadow else 0,
            self.batch_seq,
            version_id,
            self._split(line, version_id, at),
            unit,
            at,
            line.latency_ms,
            line.confidence,
            line.cost,
            label,
            _failure(line.error),
            None if line.features is None else _json(line.features),
        )

    def remark(self, line: OutcomeLine) -> Remark:
        if flaw := flaw_of(line):
            raise BadRow(flaw)
        for field in ("prediction_id", "unit", "metric"):
            if (given := getattr(line, field)) is not None:
                _plain(field, given)
        if isinstance(line.label, str):
            _plain("label", line.label)
        return remark(line, self._time(line.at))

    def _time(self, at: datetime | None) -> datetime:
        if at is None:
            return self.now
        if flaw := self.span.flaw(at):
            raise BadRow(flaw)
        return at if at.tzinfo is UTC else at.astimezone(UTC)

    def _split(self, line: PredictionLine, version_id: int, at: datetime) -> int:
        """Take the caller's word for the split, or else work out whether it drew this row."""
        if line.split_id is None:
            return NO_SPLIT
        if line.split_id is UNSET:
            split = self.splits.in_force(at)
            drawn = split and drawn_by(split, version_id, line.unit, shadow=line.shadow)
            return split.id if split and drawn else NO_SPLIT
        split = self.splits.named(line.split_id)
        if split is None:
            raise BadRow(Flaw("split_id", f"this model never had a split {line.split_id}"))
        variant = split.variant(version_id)
        if variant is None or variant.shadow != line.shadow:
            role = "as a shadow" if line.shadow else "to answer"
            raise BadRow(Flaw("split_id", f"split {split.id} has no version {line.version} {role}"))
        return split.id


def remark(said: Said, at: datetime) -> Remark:
    value = said.value if said.correct is None else float(said.correct)
    return Remark(
        prediction_id=said.prediction_id,
        unit=said.unit,
        metric=said.metric or ACCURACY,
        value=value,
        said_label=None if said.label is None else class_text(said.label),
        at=at,
    )


def recorded(row: Prediction, model_id: int, batch_seq: int, span: Span) -> Record:
    """Bring what the gateway saw into the form that is recorded."""
    return (
        model_id,
        row.prediction_id,
        span.day(row.prediction_id, row.at),
        row.version_id if row.shadow else 0,
        batch_seq,
        row.version_id,
        row.split_id or NO_SPLIT,
        row.unit,
        row.at,
        row.latency_ms,
        row.confidence,
        row.cost,
        row.label and row.label[:LONGEST_LABEL],
        (row.error_text or "") if row.error else None,
        None,
    )


def _plain(field: str, text: str) -> str:
    # isprintable is a hundred times faster than the rule, and stricter.
    if not text.isprintable():
        try:
            check_line(text)
        except ValueError as error:
            raise BadRow(Flaw(field, str(error))) from None
    return text


def _failure(error: str | bool | None) -> str | None:
    if not error:
        return None
    return "" if error is True else _plain("error", error)


def _json(features: Mapping[str, object]) -> str:
    try:
        text = msgspec.json.encode(features).decode()
    except UnicodeEncodeError:
        raise BadRow(Flaw("features", "holds half of a surrogate pair")) from None
    if "\\u0000" in text:
        raise BadRow(Flaw("features", "control characters are not allowed here"))
    return text
