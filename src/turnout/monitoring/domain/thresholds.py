"""What is watched of every version that serves, and what is done about it."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le, MaxLen

from turnout.alerts.domain import Severity
from turnout.quantities import STRICT, Duration, Line, Text

DAY: Final = timedelta(days=1)
LONGEST_WINDOW: Final = timedelta(days=7)
MOST_PREDICTIONS: Final = 10_000
SAMPLES: Final = 30
DRIFT_SAMPLES: Final = 200
CONFIDENCE: Final = 0.99

_SHARES: Final = frozenset({"error_rate", "success_rate", "accuracy", "confidence"})
_METRICS: Final = _SHARES | {"latency_mean", "cost"}
_BY_THE_HOUR: Final = frozenset({"feature_drift", "prediction_drift", "traffic_deviation"})
_AGAINST_BASELINE: Final = frozenset({"accuracy_drop", "latency_p99_rise"})
DRIFT: Final = _BY_THE_HOUR | _AGAINST_BASELINE
_OF_THE_WORLD: Final = frozenset({"feature_drift", "traffic_deviation"})
_QUANTILE: Final = re.compile(r"latency_p([1-9]\d?)")


class Action(StrEnum):
    ALERT = "alert"
    ROLLBACK = "rollback"
    RETRAIN = "retrain"


class Judge(StrEnum):
    """By what a figure is held against its limit: as it is, or by what it shows beyond chance."""

    ESTIMATE = "estimate"
    BOUND = "bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A limit on every version that serves: `max` or `min`, in the unit of the metric.

    Looked at are the `last` so many predictions of which the metric is known, whole minutes at a
    time and no further back than `window` (a day, unless it is said); or, with `window` alone,
    that stretch of time. It counts from `min_samples` on (30, or `last` where that is less).

    It fires when it was broken at `consecutive` looks in a row and for `duration`. `judge` says
    when it is broken: by `estimate` as soon as the figure is beyond the limit, which chance alone
    brings about now and then; by `bound` when the figure shows that what lies behind it is beyond
    the limit, wrongly in at most one window in a hundred. Unless it is said, rollbacks are judged
    by a bound, and all else by the estimate.

    Drift is looked at once a minute: `feature_drift` (PSI) and `prediction_drift` (KL divergence)
    over `window` by the hour, `accuracy_drop` and `latency_p99_rise` (milliseconds), all against
    the version's baseline; `traffic_deviation`, in standard deviations, against the same hour of
    earlier weeks. It counts from 200 predictions on and is judged by a bound unless it is said.

    `action` is what is done beside the alert: nothing (`alert`), back to the last proven version
    (`rollback`), or a call for retraining (`retrain`).
    """

    __pydantic_config__ = STRICT

    metric: Line
    max: float | None = None
    min: float | None = None
    severity: Severity = Severity.WARNING
    action: Action = Action.ALERT
    last: Annotated[int, Ge(1), Le(MOST_PREDICTIONS)] | None = None
    window: Duration | None = None
    duration: Duration = timedelta()
    consecutive: Annotated[int, Ge(1), Le(1000)] = 1
    min_samples: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if self.metric not in _METRICS | DRIFT and not _QUANTILE.fullmatch(self.metric):
            known = ", ".join(sorted(_METRICS | DRIFT))
            raise ValueError(
                f"{self.metric!r} cannot be watched: it is one of {known}, or a percentile such as"
                f" latency_p99"
            )
        if (self.max is None) == (self.min is None):
            raise ValueError(f"a rule states either max or min; this one on {self.metric} does not")
        if not math.isfinite(self.limit):
            raise ValueError("a limit is a finite number")
        if self.metric in _SHARES and not 0 <= self.limit <= 1:
            raise ValueError(
                f"{self.metric} is a share between 0 and 1 (write 0.05 for 5 %), not {self.limit:g}"
            )
        if self.metric not in _SHARES and (self.min is not None or self.limit < 0):
            raise ValueError(f"{self.metric} is limited by a max of 0 or more")
        if self.window is not None and not timedelta(minutes=1) <= self.window <= LONGEST_WINDOW:
            raise ValueError("window lies between a minute and 7 days")
        if self.judge is Judge.BOUND and self.metric == "cost":
            raise ValueError("cost has no bound, only its mean is kept: set judge to 'estimate'")
        if self.drifts:
            self._check_drift()
        elif self.last is None and self.window is None:
            raise ValueError("say what is looked at: last (a number of predictions) or window")

    def _check_drift(self) -> None:
        if self.metric in _BY_THE_HOUR and self.last is not None:
            raise ValueError(f"{self.metric} is looked at by the hour: say window, not last")
        if self.metric in _BY_THE_HOUR and self.looks_back < timedelta(hours=1):
            raise ValueError(f"{self.metric} is looked at by the hour: window is at least 1h")
        if self.metric in _OF_THE_WORLD and self.action is Action.ROLLBACK:
            raise ValueError(
                f"{self.metric} is the same whichever version answers, so that going back would"
                f" not help: set action to alert or retrain"
            )

    @property
    def drifts(self) -> bool:
        """Whether it is about what has moved since, and is looked at once a minute."""
        return self.metric in DRIFT

    @property
    def limit(self) -> float:
        limit = self.max if self.max is not None else self.min
        assert limit is not None
        return limit

    @property
    def fewest(self) -> int:
        """How many it takes to say anything."""
        if self.min_samples is not None:
            return self.min_samples
        if self.metric in _BY_THE_HOUR:
            return DRIFT_SAMPLES
        return SAMPLES if self.last is None else min(self.last, SAMPLES)

    @property
    def judged_by(self) -> Judge:
        if self.judge is not None:
            return self.judge
        bounded = self.drifts or (self.action is Action.ROLLBACK and self.metric != "cost")
        return Judge.BOUND if bounded else Judge.ESTIMATE

    @property
    def looks_back(self) -> timedelta:
        return self.window or DAY

    @property
    def quantile(self) -> float | None:
        found = _QUANTILE.fullmatch(self.metric)
        return int(found[1]) / 100 if found else None

    @property
    def key(self) -> str:
        """What tells it from the other rules of its model, as long as they are not changed."""
        seen = f"last {self.last}" if self.last is not None else f"in {self.looks_back}"
        return f"{self}, {seen}"

    def __str__(self) -> str:
        side = "at most" if self.max is not None else "at least"
        return f"{self.metric} {side} {self.limit:g}"


Counting = Annotated[int, Ge(1), Le(MOST_PREDICTIONS)]
Share = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Four limits to start with, over the last `evaluation_window` predictions each, broken at
    `consecutive_failures` looks in a row. With null in place of a limit, it is left out."""

    __pydantic_config__ = STRICT

    min_accuracy: Share | None = 0.80
    max_error_rate: Share | None = 0.05
    max_latency_ms: Annotated[float, Ge(0)] | None = 200
    min_confidence: Share | None = 0.60
    evaluation_window: Counting = 100
    consecutive_failures: Annotated[int, Ge(1), Le(1000)] = 3
    severity: Severity = Severity.CRITICAL
    action: Action = Action.ROLLBACK

    @property
    def rules(self) -> tuple[Rule, ...]:
        limits: tuple[tuple[str, Literal["min", "max"], float | None], ...] = (
            ("accuracy", "min", self.min_accuracy),
            ("error_rate", "max", self.max_error_rate),
            ("latency_mean", "max", self.max_latency_ms),
            ("confidence", "min", self.min_confidence),
        )
        return tuple(
            Rule(
                metric=metric,
                min=limit if side == "min" else None,
                max=limit if side == "max" else None,
                last=self.evaluation_window,
                consecutive=self.consecutive_failures,
                severity=self.severity,
                action=self.action,
            )
            for metric, side, limit in limits
            if limit is not None
        )


Distance = Annotated[float, Ge(0), Le(1e6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far a version may move from its baseline, and the traffic from that of earlier weeks.

    Features by PSI and answers by KL divergence, over `window`; accuracy, error rate and the 99th
    percentile of latencies over the latest predictions. All are judged by what is shown beyond
    chance. With null in place of a limit, it is left out.

    With `action` set to `retrain`, drift of features, answers and accuracy also calls for
    retraining; with `rollback`, drift of answers, accuracy, errors and latency goes back to the
    last proven version, unless the other versions that answer show it, too.

    `anomaly_sensitivity` fires nothing: it says from how many standard deviations on the drift
    report calls the latest hour unusual.
    """

    __pydantic_config__ = STRICT

    max_psi: Distance | None = 0.2
    max_kl_divergence: Distance | None = 0.1
    max_accuracy_drop: Share | None = 0.02
    max_error_rate: Share | None = 0.001
    max_latency_p99_rise_ms: Distance | None = 20
    max_traffic_deviation: Distance | None = 3.0
    anomaly_sensitivity: Annotated[float, Ge(0.5), Le(100)] = 2.0
    window: Duration = DAY
    severity: Severity = Severity.WARNING
    action: Action = Action.ALERT

    def __post_init__(self) -> None:
        if not timedelta(hours=1) <= self.window <= LONGEST_WINDOW:
            raise ValueError("window lies between an hour and 7 days")

    @property
    def rules(self) -> tuple[Rule, ...]:
        limits: tuple[tuple[str, float | None, int | None], ...] = (
            ("feature_drift", self.max_psi, None),
            ("prediction_drift", self.max_kl_divergence, None),
            ("accuracy_drop", self.max_accuracy_drop, 1000),
            ("error_rate", self.max_error_rate, MOST_PREDICTIONS),
            ("latency_p99_rise", self.max_latency_p99_rise_ms, 1000),
            ("traffic_deviation", self.max_traffic_deviation, None),
        )
        return tuple(
            Rule(
                metric=metric,
                max=limit,
                last=last,
                window=self.window if last is None else None,
                judge=Judge.BOUND,
                severity=self.severity,
                action=self.action if metric in _MENDED_BY[self.action] else Action.ALERT,
            )
            for metric, limit, last in limits
            if limit is not None
        )


_MENDED_BY: Final = {
    Action.ALERT: frozenset[str](),
    Action.RETRAIN: frozenset({"feature_drift", "prediction_drift", "accuracy_drop"}),
    Action.ROLLBACK: frozenset(
        {"prediction_drift", "accuracy_drop", "error_rate", "latency_p99_rise"}
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is watched of a model: `rules`; with `standard`, four limits to start with; and with
    `drift`, limits on what moves."""

    __pydantic_config__ = STRICT

    rules: Annotated[tuple[Rule, ...], MaxLen(50)] = ()
    standard: Standard | None = None
    drift: Drift | None = None
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        keys = [rule.key for rule in self.watched]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"two rules say the same: {twice}")

    @property
    def watched(self) -> tuple[Rule, ...]:
        standard = self.standard.rules if self.standard else ()
        return self.rules + standard + (self.drift.rules if self.drift else ())

    @property
    def watches_drift(self) -> bool:
        return any(rule.drifts for rule in self.watched)


def counted_by(rule: Rule) -> Literal["n", "labelled", "latency_n", "confidence_n", "cost_n"]:
    """Of which predictions the metric is known."""
    match rule.metric:
        case "error_rate" | "success_rate":
            return "n"
        case "accuracy" | "accuracy_drop":
            return "labelled"
        case "confidence":
            return "confidence_n"
        case "cost":
            return "cost_n"
        case _:
            return "latency_n"
