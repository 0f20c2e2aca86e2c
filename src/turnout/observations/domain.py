"""What was predicted, what came of it, and what it adds up to."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Protocol

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.errors import TooLarge, Unprocessable
from turnout.quantities import STRICT, Line
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals

MAX_ROWS: Final = 50_000
"""Rows in one batch."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of callers may run ahead of the server's."""

WAIT_FOR_PREDICTION: Final = timedelta(days=1)
"""How long an outcome waits for the prediction, or the unit's exposure, that it speaks of."""

NO_SPLIT: Final = 0
"""Stands for the split of a prediction that no split randomised (forced, pinned, targeted)."""

ACCURACY: Final = "accuracy"

RESERVED: Final = {
    "error_rate",
    "success_rate",
    "latency_mean",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "confidence",
    "cost",
}
"""Metrics that predictions bring with them; outcomes cannot be called so."""

LARGEST: Final = 1e15
"""Bounds values, so that no sum of squares can overflow."""

LONGEST_LABEL: Final = 200

_EXACT = 2.0**53
"""Below this, every whole number is a float of its own."""

Identity = Annotated[Line, MinLen(1), MaxLen(100)]
Unit = Annotated[Line, MinLen(1), MaxLen(200)]
MetricName = Annotated[Line, MinLen(1), MaxLen(100)]
Value = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
Integer = Annotated[int, Ge(-(2**63)), Le(2**63 - 1)]
Label = Annotated[Line, MinLen(1), MaxLen(LONGEST_LABEL)] | bool | Integer | Value
"""A class. Numbers and booleans are classes too, and equal to their text in JSON."""


class BatchRefused(Unprocessable):
    """Sent with `atomic=true`, and not all rows are good."""

    def __init__(self, rejected: "Sequence[RejectedRow]", rows: int) -> None:
        first = rejected[0]
        super().__init__(
            f"{len(rejected)} of {rows} rows are bad, so none was recorded; the first is"
            f" {first.list}[{first.index}], {first.field}: {first.reason}",
            rejected=[
                {"list": row.list, "index": row.index, "field": row.field, "reason": row.reason}
                for row in rejected
            ],
        )


class MalformedBatch(Unprocessable):
    pass


class OutcomeRefused(Unprocessable):
    def __init__(self, flaw: "Flaw") -> None:
        super().__init__(f"{flaw.field}: {flaw.reason}", field=flaw.field)


class TooManyRows(TooLarge):
    def __init__(self, rows: int) -> None:
        super().__init__(
            f"a batch holds at most {MAX_ROWS} rows, not {rows}: send it in parts, each with a"
            f" batch_id of its own",
            rows=rows,
            limit=MAX_ROWS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer of one version, or its failure to give one.

    `split_id` is None for whatever the split did not randomise; such predictions are no evidence.
    A shadow's answer carries the id of the prediction that was served beside it, so that one
    label reaches both; a failure that another version then answered for needs an id of its own.
    """

    prediction_id: str
    version_id: int
    split_id: int | None
    unit: str | None
    at: datetime
    latency_ms: float | None = None
    confidence: float | None = None
    label: str | None = None
    error: bool = False
    error_text: str | None = None
    cost: float | None = None
    shadow: bool = False


class Said(Protocol):
    """What an outcome says, in whichever form it arrived."""

    @property
    def prediction_id(self) -> str | None: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def metric(self) -> str | None: ...
    @property
    def value(self) -> float | None: ...
    @property
    def correct(self) -> bool | None: ...
    @property
    def label(self) -> str | float | bool | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a prediction, or of a unit after its latest exposure.

    Exactly one of `correct`, `label` (compared with the predicted class) and `value` is given;
    the first two speak of the metric `accuracy` unless another is named.
    """

    __pydantic_config__ = STRICT

    prediction_id: Identity | None = None
    unit: Unit | None = None
    metric: MetricName | None = None
    value: Value | None = None
    correct: bool | None = None
    label: Label | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        if flaw := flaw_of(self):
            raise ValueError(f"{flaw.field}: {flaw.reason}")
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError("at: a time has an offset, such as 2026-03-02T12:00:00Z")


@dataclass(frozen=True, slots=True)
class Flaw:
    field: str
    reason: str


def flaw_of(said: Said) -> Flaw | None:
    """Find what is wrong with an outcome whose fields are well-formed one by one."""
    if (said.prediction_id is None) == (said.unit is None):
        return Flaw("prediction_id", "an outcome names either its prediction_id or its unit")
    if (said.value is None) + (said.correct is None) + (said.label is None) != 2:
        return Flaw("value", "an outcome says exactly one of correct, label and value")
    if said.label is not None and said.prediction_id is None:
        return Flaw("label", "a label is compared with one prediction: name its prediction_id")
    return _flaw_of_metric(said)


def _flaw_of_metric(said: Said) -> Flaw | None:
    if said.value is not None and said.metric is None:
        return Flaw("metric", "a value belongs to a metric: name it, such as 'revenue'")
    if said.metric in RESERVED:
        return Flaw("metric", f"{said.metric} is measured from predictions: choose another name")
    if said.metric == ACCURACY and said.value not in {None, 0.0, 1.0}:
        return Flaw("value", "accuracy is 1 for a correct prediction and 0 for any other")
    return None


def class_text(label: str | float | bool) -> str:
    """Write a class as text: `3` and `3.0` as "3", `true` as "true"."""
    if isinstance(label, str):
        return label
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(int(label)) if abs(label) < _EXACT and label == int(label) else str(label)


class RowList(StrEnum):
    """Which list of a batch an index refers to."""

    PREDICTIONS = "predictions"
    OUTCOMES = "outcomes"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """`index` counts from 0; `list` is `lines` where the batch came as NDJSON."""

    list: RowList
    index: int
    field: str
    reason: str


class BadRow(Exception):
    """One row of a batch cannot be recorded; the others can."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw

    def at(self, within: RowList, index: int) -> RejectedRow:
        return RejectedRow(list=within, index=index, field=self.flaw.field, reason=self.flaw.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What became of a batch: every row is in exactly one of the four counts.

    `unknown` outcomes speak of a prediction that is not known yet; they are kept and join it when
    it arrives within a day.
    """

    accepted: int = 0
    duplicate: int = 0
    unknown: int = 0
    rejected: Sequence[RejectedRow] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvidence:
    """All that one version of one split has shown, whatever the number of its predictions."""

    version_id: int
    metrics: Mapping[str, UnitTotals]
    latency: QuantileSketch
    predictions: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    n: int = 0
    total: float = 0.0

    @property
    def value(self) -> float | None:
        return self.total / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one version did in a stretch of time; `latency` in milliseconds."""

    predictions: int
    errors: int
    labelled: int
    correct: int
    latency: Mean
    confidence: Mean
    cost: Mean
    latencies: QuantileSketch

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.predictions if self.predictions else None

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One minute of one version."""

    minute: datetime
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFigures:
    """`classes` counts the classes predicted most often; the rest is counted under ""."""

    version_id: int
    shadow: bool
    figures: Figures
    classes: Mapping[str, int]


def uuid7(now: datetime) -> str:
    """Make a time-ordered id (RFC 9562, section 5.7) in its canonical text."""
    ms = int(now.timestamp() * 1000)
    bits = secrets.randbits(74)
    text = f"{ms << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0x2 << 62 | bits & (1 << 62) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def day_of_id(prediction_id: str) -> date | None:
    """Tell the UTC day from an id that is a UUIDv7."""
    if len(prediction_id) != 36 or prediction_id[14] != "7":
        return None
    try:
        ms = int(prediction_id[:8] + prediction_id[9:13], 16)
        return datetime.fromtimestamp(ms / 1000, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Span:
    """The times that are recorded, and the days of their partitions."""

    oldest: datetime
    newest: datetime

    @classmethod
    def kept(cls, now: datetime, retention: timedelta) -> "Span":
        return cls(now - retention, now + CLOCK_SKEW)

    def day(self, prediction_id: str, at: datetime) -> date:
        """Where a prediction is kept: by the time in its id, if it has one within the span.

        An id then means one day whatever `at` says, so that it counts once and is found at once.
        """
        day = day_of_id(prediction_id)
        if day is not None and self.oldest.date() <= day <= self.newest.date():
            return day
        return at.date()

    def days(self, prediction_id: str) -> tuple[date, date]:
        """Between which days a prediction with this id must be looked for."""
        day = day_of_id(prediction_id)
        first, last = self.oldest.date(), self.newest.date()
        return (day, day) if day is not None and first <= day <= last else (first, last)

    def flaw(self, at: datetime) -> Flaw | None:
        if at > self.newest:
            return Flaw("at", f"lies in the future: the server's clock says {_minutes(self)}")
        if at < self.oldest:
            days = (self.newest - CLOCK_SKEW - self.oldest).days
            return Flaw("at", f"lies too far back: observations are kept for {days} days")
        return None


def _minutes(span: Span) -> str:
    return f"{span.newest - CLOCK_SKEW:%Y-%m-%dT%H:%M:%SZ}"
