"""Bodies and answers of the classic paths, in their own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from annotated_types import MaxLen, MinLen

from turnout.experiments.domain.state import Status
from turnout.interop.classic.domain import Assignment, Share, VariantName, added
from turnout.interop.classic.queries import Conduct, Takedown
from turnout.interop.classic.verdict import verdict
from turnout.monitoring.domain.thresholds import Standard
from turnout.observations.domain.batch import BatchReport
from turnout.observations.domain.figures import Figures
from turnout.observations.domain.outcome import Identity
from turnout.observations.points import IntervalFigures
from turnout.quantities import BASIS_POINTS, STRICT, Text
from turnout.registry.domain.fields import VersionName
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionDetails
from turnout.rollouts.domain.plan import check_reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry:
    """`is_current` marks the version in production, `is_serving` those that answer now."""

    version: str
    stage: Lifecycle
    is_current: bool
    is_serving: bool
    accuracy: float | None
    metrics: Mapping[str, float]
    description: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    model: str
    current: str | None
    versions: Sequence[VersionEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextVersions:
    major: str
    minor: str
    patch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionBody:
    """The previous version is kept in any case: it is archived, and a rollback leads to it.

    `override_quarantine` promotes a version that was rolled back before; then `reason` says why.
    """

    __pydantic_config__ = STRICT

    backup_current: bool = True
    override_quarantine: bool = False
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        check_reasons(self.reason, quarantine=self.override_quarantine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """`backup_version` answered until now; `rollout` is what carried the promotion out."""

    version: str
    stage: Lifecycle
    backup_version: str | None
    promoted_at: datetime
    rollout: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBody:
    """Without `to_version`, the version that last proved itself."""

    __pydantic_config__ = STRICT

    to_version: VersionName | None = None
    details: Annotated[Text, MinLen(1), MaxLen(2000)] = "rolled back by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackEvent:
    timestamp: datetime
    from_version: str | None
    to_version: str | None
    reason: Literal["manual", "performance_degradation"]
    details: str
    automatic: bool
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackHistory:
    events: Sequence[RollbackEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConclusionBody:
    __pydantic_config__ = STRICT

    promote_winner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFeedback:
    """With a `prediction_id`, the feedback is about that answer. Without one, it stands for an
    answer of the variant that was not recorded before, and counts as one."""

    __pydantic_config__ = STRICT

    variant_name: VariantName
    was_correct: bool
    prediction_id: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """Without a `prediction_id`, about an answer of the version that serves now."""

    __pydantic_config__ = STRICT

    was_correct: bool
    prediction_id: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReceipt:
    """`waiting`: the prediction is not known yet; it is waited for, for a day."""

    status: Literal["recorded", "duplicate", "waiting"]
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMetrics:
    """Null is what was never reported; `accuracy` is over the answers with feedback."""

    predictions_count: int
    errors_count: int
    error_rate: float | None
    average_latency_ms: float | None
    p95_latency_ms: float | None
    p99_latency_ms: float | None
    average_confidence: float | None
    feedback_count: int
    accuracy: float | None
    average_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicPerformance:
    version: str
    since: datetime
    until: datetime
    metrics: VersionMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(VersionMetrics):
    """One version in the interval that begins at `timestamp`."""

    version: str
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    interval_minutes: int
    snapshots: Sequence[Snapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicThresholds(Standard):
    """`active`: they are watched. Until they are set, these are the limits to start with."""

    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantView:
    variant_name: VariantName
    version: str
    traffic: float
    predictions_count: int
    feedback_count: int
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseView:
    """Of a canary; the last phase is the one at 100 %."""

    number: int
    of: int
    traffic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTestView:
    """Where a test stands. `winner` is named only where the difference is shown, and then
    `statistical_significance` is true; `serves` is the version that answers since the end.

    `effect` is the treatment's accuracy less the control's, in its interval. What carries the test
    out is `experiment` or, for a canary, `rollout`, which have paths of their own.
    """

    test_id: str
    name: str
    description: str
    status: Status
    strategy: Assignment
    control_version: str
    treatment_version: str
    traffic_split: Share
    target_sample_size: int
    variants: Sequence[VariantView]
    phase: PhaseView | None
    winner: VariantName | None
    winning_version: str | None
    statistical_significance: bool
    p_value: float | None
    effect: float | None
    confidence_interval: tuple[float | None, float | None]
    confidence_level: float
    recommendation: str
    serves: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    experiment: UUID | None
    rollout: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTests:
    tests: Sequence[ABTestView]


def version_entry(
    version: str,
    stage: Lifecycle,
    details: VersionDetails,
    *,
    serving: bool,
    created_at: datetime,
    created_by: str,
) -> VersionEntry:
    return VersionEntry(
        version=version,
        stage=stage,
        is_current=stage is Lifecycle.PRODUCTION,
        is_serving=serving,
        accuracy=details.metrics.get("accuracy"),
        metrics=details.metrics,
        description=details.description,
        created_at=created_at,
        created_by=created_by,
    )


def rollback_event(found: Takedown) -> RollbackEvent:
    return RollbackEvent(
        timestamp=found.at,
        from_version=found.left,
        to_version=found.answers,
        reason="performance_degradation" if found.automatic else "manual",
        details=found.reason,
        automatic=found.automatic,
        actor=found.actor,
    )


def receipt(report: BatchReport, version: str | None = None) -> FeedbackReceipt:
    if report.unknown:
        return FeedbackReceipt(status="waiting")
    return FeedbackReceipt(status="recorded" if report.accepted else "duplicate", version=version)


def metrics(figures: Figures) -> VersionMetrics:
    return VersionMetrics(
        predictions_count=figures.predictions,
        errors_count=figures.errors,
        error_rate=figures.error_rate,
        average_latency_ms=figures.latency.value,
        p95_latency_ms=figures.latencies.quantile(0.95),
        p99_latency_ms=figures.latencies.quantile(0.99),
        average_confidence=figures.confidence.value,
        feedback_count=figures.labelled,
        accuracy=figures.accuracy,
        average_cost=figures.cost.value,
    )


def snapshot(found: IntervalFigures, version: str) -> Snapshot:
    shown = metrics(found.figures)
    return Snapshot(
        version=version,
        timestamp=found.starts,
        **{name: getattr(shown, name) for name in VersionMetrics.__dataclass_fields__},
    )


def ab_test_view(found: Conduct) -> ABTestView:
    asked, shown = found.asked, verdict(found)
    return ABTestView(
        test_id=found.test_id,
        name=asked.name,
        description=asked.description,
        status=found.status,
        strategy=asked.strategy,
        control_version=asked.control_version,
        treatment_version=asked.treatment_version,
        traffic_split=asked.traffic_split,
        target_sample_size=asked.target_sample_size,
        variants=[_variant(found, "control"), _variant(found, "treatment")],
        phase=PhaseView(
            number=found.phase.number,
            of=found.phase.of,
            traffic=found.phase.weight / BASIS_POINTS,
        )
        if found.phase
        else None,
        winner=shown.winner,
        winning_version=asked.version(shown.winner) if shown.winner else None,
        statistical_significance=shown.statistical_significance,
        p_value=shown.p_value,
        effect=shown.effect,
        confidence_interval=shown.interval,
        confidence_level=shown.confidence_level,
        recommendation=shown.recommendation,
        serves=found.serves,
        created_at=found.created_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        experiment=found.experiment_id,
        rollout=found.rollout_id,
    )


def _variant(found: Conduct, name: VariantName) -> VariantView:
    version = found.asked.version(name)
    version_id = found.version_ids[version]
    labelled = added("accuracy", found.arms, version_id)
    under_way = found.status is not Status.DRAFT
    weight = found.weight if name == "treatment" else BASIS_POINTS - found.weight
    return VariantView(
        variant_name=name,
        version=version,
        traffic=weight / BASIS_POINTS if under_way else 0.0,
        predictions_count=round(added("error_rate", found.arms, version_id).n),
        feedback_count=round(labelled.n),
        accuracy=labelled.rate,
    )
