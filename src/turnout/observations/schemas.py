"""Views of what was observed, in the names of the metrics that guardrails use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.figures import VersionFigures
from turnout.observations.domain.metric import KNOWN
from turnout.observations.domain.outcome import SERIES_MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePerformance:
    """A metric that users report, in the split in force: its mean over all `reported`, and the
    sum for each of the `units` that were exposed."""

    mean: float
    reported: int
    per_unit: float | None
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPerformance:
    """Latencies in milliseconds, percentiles within 1 %. Null is what was never reported.

    `accuracy` is over the `labelled` predictions; `cost` is the mean per prediction. Of the
    classes, those predicted most often are counted by name and the rest under "".
    """

    version: str
    predictions: int
    errors: int
    error_rate: float | None
    success_rate: float | None
    latency_mean: float | None
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    confidence: float | None
    labelled: int
    accuracy: float | None
    cost: float | None
    classes: Mapping[str, int]
    outcomes: Mapping[str, OutcomePerformance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The whole minutes from `since` to `until`. `shadows` answered nobody."""

    model: str
    since: datetime
    until: datetime
    versions: Sequence[VersionPerformance]
    shadows: Sequence[VersionPerformance]


def version_performance(
    found: VersionFigures, version: str, arm: ArmEvidence | None = None
) -> VersionPerformance:
    figures = found.figures
    rate = figures.error_rate
    return VersionPerformance(
        version=version,
        predictions=figures.predictions,
        errors=figures.errors,
        error_rate=rate,
        success_rate=None if rate is None else 1 - rate,
        latency_mean=figures.latency.value,
        latency_p50=figures.latencies.quantile(0.5),
        latency_p95=figures.latencies.quantile(0.95),
        latency_p99=figures.latencies.quantile(0.99),
        confidence=figures.confidence.value,
        labelled=figures.labelled,
        accuracy=figures.accuracy,
        cost=figures.cost.value,
        classes=found.classes,
        outcomes={} if arm is None or found.shadow else _outcomes(arm),
    )


def _outcomes(arm: ArmEvidence) -> dict[str, OutcomePerformance]:
    exposed = arm.metrics["error_rate"].units if "error_rate" in arm.metrics else 0
    return {
        metric: OutcomePerformance(
            mean=totals.rate,
            reported=round(totals.n),
            per_unit=totals.total / exposed if exposed else None,
            units=exposed,
        )
        for metric, totals in sorted(arm.metrics.items())
        if metric not in KNOWN and SERIES_MARK not in metric and totals.rate is not None
    }
