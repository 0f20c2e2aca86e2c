"""What came of a prediction, or of a unit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Protocol

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.observations.domain.batch import Flaw
from turnout.observations.domain.prediction import LARGEST, LONGEST_LABEL
from turnout.quantities import STRICT, Line

WAIT_FOR_PREDICTION: Final = timedelta(days=1)
"""How long an outcome waits for the prediction, or the unit's exposure, that it speaks of."""

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
    "agreement",
    "confidence_shift",
    "latency_shift",
}
"""Metrics that predictions bring with them; outcomes cannot be called so."""

SERIES_MARK: Final = "@"
"""Stands between a metric and which predictions count, where not all do."""

Identity = Annotated[Line, MinLen(1), MaxLen(100)]
Unit = Annotated[Line, MinLen(1), MaxLen(200)]
MetricName = Annotated[Line, MinLen(1), MaxLen(100)]
Value = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
Integer = Annotated[int, Ge(-(2**63)), Le(2**63 - 1)]
Label = Annotated[Line, MinLen(1), MaxLen(LONGEST_LABEL)] | bool | Integer | Value
"""A class. Numbers and booleans are classes too, and equal to their text in JSON."""


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
    if said.metric is not None and SERIES_MARK in said.metric:
        return Flaw("metric", f"the name of a metric has no {SERIES_MARK}")
    if said.metric == ACCURACY and said.value not in {None, 0.0, 1.0}:
        return Flaw("value", "accuracy is 1 for a correct prediction and 0 for any other")
    return None
