"""What was predicted, what came of it, and what it adds up to."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.quantities import STRICT, Line

if TYPE_CHECKING:
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

Identity = Annotated[Line, MinLen(1), MaxLen(100)]
Unit = Annotated[Line, MinLen(1), MaxLen(200)]
Label = Annotated[Line, MaxLen(200)]
MetricName = Annotated[Line, MinLen(1), MaxLen(100)]
Value = Annotated[float, Ge(-1e15), Le(1e15)]
"""Bounded, so that no sum of squares can overflow."""


class Measured(StrEnum):
    """The metrics that every prediction brings with it."""

    ERROR_RATE = "error_rate"
    LATENCY = "latency_mean"
    CONFIDENCE = "confidence"
    COST = "cost"


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
        check_outcome(self)


def check_outcome(outcome: Outcome) -> None:
    """Refuse an outcome that does not say of what, or what."""
    if (outcome.prediction_id is None) == (outcome.unit is None):
        raise ValueError("an outcome names either its prediction_id or its unit")
    if sum(said is not None for said in (outcome.value, outcome.correct, outcome.label)) != 1:
        raise ValueError("an outcome says exactly one of correct, label and value")


class RowList(StrEnum):
    """Which list of a batch an index refers to."""

    PREDICTIONS = "predictions"
    OUTCOMES = "outcomes"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    list: RowList
    index: int
    field: str
    reason: str


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


def uuid7(now: datetime) -> str:
    """Make a time-ordered id (RFC 9562, section 5.7) in its canonical text."""
    ms = int(now.timestamp() * 1000)
    bits = secrets.randbits(74)
    text = f"{ms << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0x2 << 62 | bits & (1 << 62) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
