"""Which rows of a batch are recorded, and as what: pure, and the hot loop of ingestion."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET

from turnout.buckets import bucket
from turnout.observations.domain.batch import BadRow, Flaw, RejectedRow, RowList
from turnout.observations.domain.outcome import ACCURACY, Said, flaw_of
from turnout.observations.domain.prediction import (
    LARGEST,
    LONGEST_LABEL,
    NO_SPLIT,
    Prediction,
    class_text,
)
from turnout.observations.domain.span import Days, Span
from turnout.observations.wire import OutcomeLine, PredictionLine, Submission
from turnout.quantities import check_line
from turnout.traffic.domain.overrides import Attribute
from turnout.traffic.domain.split import Split
from turnout.traffic.domain.terms import terms

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

LONGEST_ATTRIBUTES: Final = 10_000
"""Characters of JSON."""

Line = TypeVar("Line")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An outcome as it is recorded: `said_label` is yet to be compared, else `value` holds."""

    prediction_id: str | None
    unit: str | None
    metric: str
    value: float | None
    said_label: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The good rows of a batch, and what is wrong with the bad ones."""

    records: list[Record]
    remarks: list[Remark]
    rejected: list[RejectedRow]

    @property
    def rows(self) -> int:
        return len(self.records) + len(self.remarks)


class Splits:
    """The splits of a model that were in force in the time of a batch."""

    def __init__(self, splits: Iterable[Split]) -> None:
        in_order = terms(splits)
        self._in_force = [term.split for term in in_order]
        self._since = [term.since for term in in_order]
        self._ids = {split.id for split in self._in_force}
        self._arms = {
            (split.id, variant.version_id, variant.shadow)
            for split in self._in_force
            for variant in split.variants
        }

    def drew(self, version_id: int, unit: str | None, at: datetime, *, shadow: bool) -> int:
        """Name the split that, by itself, could have had the version answer the unit then."""
        place = bisect_right(self._since, at)
        if not place:
            return NO_SPLIT
        split = self._in_force[place - 1]
        if (split.id, version_id, shadow) not in self._arms:
            return NO_SPLIT
        if shadow or unit is None or not split.by_unit:
            return split.id
        answer = split.answers[bisect_right(split.bounds, bucket(split.salt, unit))]
        return split.id if answer.version_id == version_id else NO_SPLIT

    def check(self, split_id: int, version_id: int, *, shadow: bool) -> int:
        """Take the caller's word for the split, if there was such a split."""
        if split_id not in self._ids:
            raise BadRow(Flaw("split_id", f"this model never had a split {split_id}"))
        if (split_id, version_id, shadow) not in self._arms:
            role = "as a shadow" if shadow else "to answer"
            raise BadRow(Flaw("split_id", f"split {split_id} did not have this version {role}"))
        return split_id


class Admission:
    """What the rows of one batch are held against.

    `versions` has every version that the batch names, and for one that is none, why. The time
    that a row takes is what bounds ingestion, so it is spent on explanations only for bad rows.
    """

    def __init__(
        self,
        *,
        model_id: int,
        batch_seq: int,
        span: Span,
        splits: Splits,
        versions: Mapping[str, int | Flaw],
    ) -> None:
        self.span = span
        self._model_id = model_id
        self._batch_seq = batch_seq
        self._splits = splits
        self._versions = versions
        self._days = Days(span)

    def admit(self, batch: Submission) -> Admitted:
        rejected = list(batch.rejected)
        records = _good(batch, batch.predictions, RowList.PREDICTIONS, self.record, rejected)
        remarks = _good(batch, batch.outcomes, RowList.OUTCOMES, self.remark, rejected)
        rejected.sort(key=lambda row: (row.list is not RowList.PREDICTIONS, row.index))
        return Admitted(records=records, remarks=remarks, rejected=rejected)

    def record(self, line: PredictionLine) -> Record:
        version_id = self._versions[line.version]
        if isinstance(version_id, Flaw):
            raise BadRow(version_id)
        at = self._time(line.at)
        prediction_id, unit, label = line.prediction_id, line.unit, line.label
        if label is not None and not isinstance(label, str):
            label = class_text(label)
        if not (
            prediction_id.isprintable()
            and (unit is None or unit.isprintable())
            and (label is None or label.isprintable())
        ):
            _check_lines({"prediction_id": prediction_id, "unit": unit, "class": label})
        return (
            self._model_id,
            prediction_id,
            self._days.of(prediction_id, at),
            version_id if line.shadow else 0,
            self._batch_seq,
            version_id,
            self._split(line, version_id, at),
            unit,
            at,
            line.latency_ms,
            line.confidence,
            line.cost,
            label,
            _failure(line.error) if line.error else None,
            None if line.features is None else _json(line.features),
        )

    def remark(self, line: OutcomeLine) -> Remark:
        if flaw := flaw_of(line):
            raise BadRow(flaw)
        label = line.label if isinstance(line.label, str) else None
        _check_lines(
            {
                "prediction_id": line.prediction_id,
                "unit": line.unit,
                "metric": line.metric,
                "label": label,
            }
        )
        return remark(line, self._time(line.at))

    def _time(self, at: datetime | None) -> datetime:
        span = self.span
        if at is None:
            return span.now
        if not span.oldest <= at <= span.newest:
            flaw = span.flaw(at)
            assert flaw is not None
            raise BadRow(flaw)
        return at if at.tzinfo is UTC else at.astimezone(UTC)

    def _split(self, line: PredictionLine, version_id: int, at: datetime) -> int:
        split_id = line.split_id
        if split_id is UNSET:
            return self._splits.drew(version_id, line.unit, at, shadow=line.shadow)
        if split_id is None:
            return NO_SPLIT
        return self._splits.check(split_id, version_id, shadow=line.shadow)


def _good(
    batch: Submission,
    lines: Sequence[Line | None],
    within: RowList,
    admit: Callable[[Line], Row],
    rejected: list[RejectedRow],
) -> list[Row]:
    rows: list[Row] = []
    for index, line in enumerate(lines):
        if line is None:
            continue
        try:
            rows.append(admit(line))
        except BadRow as error:
            rejected.append(error.at(RowList.LINES if batch.by_line else within, index))
    return rows


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


def recorded(
    row: Prediction, model_id: int, batch_seq: int, days: Days, followed: Collection[str] = ()
) -> Record:
    """Bring what the gateway saw into the form that is recorded, of its inputs the features that
    are followed.

    What a model answered is not ours to trust: one NaN would be the sum of all that follows.
    """
    return (
        model_id,
        row.prediction_id,
        days.of(row.prediction_id, row.at),
        row.version_id if row.shadow else 0,
        batch_seq,
        row.version_id,
        row.split_id or NO_SPLIT,
        row.unit,
        row.at,
        _measured(row.latency_ms),
        _measured(row.confidence),
        _measured(row.cost),
        row.label and row.label[:LONGEST_LABEL],
        (row.error_text or "") if row.error else None,
        _kept(row.attributes, _followed(row.inputs, followed) if row.inputs else {}),
    )


def _measured(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= LARGEST else None


def _check_lines(texts: Mapping[str, str | None]) -> None:
    for field, text in texts.items():
        if text is not None:
            _check_line(field, text)


def _check_line(field: str, text: str) -> None:
    # isprintable is a hundred times faster than the rule, and stricter.
    if not text.isprintable():
        try:
            check_line(text)
        except ValueError as error:
            raise BadRow(Flaw(field, str(error))) from None


def _failure(error: str | bool) -> str:
    if isinstance(error, bool):
        return ""
    _check_line("error", error)
    return error


def _followed(inputs: Mapping[str, Attribute], followed: Collection[str]) -> dict[str, Attribute]:
    return {name: inputs[name] for name in followed if name in inputs}


def _kept(
    attributes: Mapping[str, Attribute] | None, features: Mapping[str, Attribute]
) -> str | None:
    """What cannot be kept must not cost the row that it came with, nor attributes for features."""
    if not attributes and not features:
        return None
    try:
        text = _json({**features, **(attributes or {})})
    except BadRow:
        text = None
    if text is not None and len(text) <= LONGEST_ATTRIBUTES:
        return text
    return _kept(attributes, {}) if features else None


def _json(features: Mapping[str, object]) -> str:
    try:
        text = msgspec.json.encode(features).decode()
    except UnicodeEncodeError:
        raise BadRow(Flaw("features", "holds half of a surrogate pair")) from None
    if "\\u0000" in text:
        raise BadRow(Flaw("features", "control characters are not allowed here"))
    return text
