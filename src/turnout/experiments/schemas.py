"""Views of experiments: where each stands, what it waits for, and what was made of its figures."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.experiments import queries
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.machine import Event, Hold, decide
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.segments import SegmentFinding
from turnout.experiments.domain.state import Conclusion, Pause, Status
from turnout.experiments.tables import (
    Experiment,
    ExperimentAnalysis,
    ExperimentStep,
    Trigger,
)
from turnout.quantities import Duration
from turnout.registry.queries import models_by_id
from turnout.stats.goal import GoalStatus, Interval, PValueKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentView:
    """Where an experiment stands.

    `conclusion`, `winner` and `serves` are set once it has ended: what it was concluded with,
    which treatment won, and which version answers everything since. While it lives,
    `recommendation` says what its newest analysis (number `analyses`) suggests, and `waiting_for`
    what the next step waits for. `elapsed` leaves out the time spent paused; `ends_at` is the
    latest end, and null while the clock stands still. `plan_hash` is the fingerprint of the plan
    since the start locked it.
    """

    id: UUID
    model: str
    key: str
    name: str
    status: Status
    conclusion: Conclusion | None
    winner: str | None
    serves: str | None
    reason: str
    recommendation: str | None
    waiting_for: str | None
    pause: Pause | None
    plan: Plan
    plan_hash: str | None
    analyses: int
    elapsed: Duration
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ends_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisView(Analysis):
    """A stored analysis: all that was known of the experiment at one moment, and what follows.

    `trigger` says why it was made, and `at_goal` whether the goal was looked at.
    """

    number: int
    trigger: Trigger
    at_goal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSummary:
    """One treatment against the control on the goal, as it stood then."""

    version: str
    status: GoalStatus
    effect: float | None
    interval: Interval
    p_value: float | None
    p_kind: PValueKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSummary:
    """A stored analysis in short, for the course of the interval over time."""

    number: int
    at: datetime
    trigger: Trigger
    at_goal: bool
    conclusion: Conclusion
    winner: str | None
    looks: int
    fraction: float
    comparisons: tuple[ComparisonSummary, ...]
    plan_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step. `analysis` is the number of the analysis that it was decided on."""

    step: int
    at: datetime
    event: Event
    from_status: Status | None
    to_status: Status
    conclusion: Conclusion | None
    winner: str | None
    serves: str | None
    reason: str
    actor: str
    split_id: int | None
    analysis: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The goal metric cut by one attribute, the segments with the most units first."""

    attribute: str
    metric: str
    segments: Sequence[SegmentFinding]


async def experiment_view(
    session: AsyncSession, experiment: Experiment, now: datetime
) -> ExperimentView:
    return (await experiment_views(session, [experiment], now))[0]


async def experiment_views(
    session: AsyncSession, experiments: Sequence[Experiment], now: datetime
) -> list[ExperimentView]:
    """Three statements however many experiments there are."""
    models = await models_by_id(session, {experiment.model_id for experiment in experiments})
    steps = await queries.newest_steps(session, experiments)
    analyses = await queries.newest_analyses(session, experiments)
    return [
        _view(
            experiment,
            models[experiment.model_id].name,
            steps[experiment.id],
            analyses.get(experiment.id),
            now,
        )
        for experiment in experiments
    ]


def _view(
    experiment: Experiment,
    model: str,
    step: ExperimentStep,
    analysis: Analysis | None,
    now: datetime,
) -> ExperimentView:
    plan, progress = experiment.plan, experiment.progress
    return ExperimentView(
        id=experiment.id,
        model=model,
        key=plan.key,
        name=plan.name,
        status=progress.status,
        conclusion=step.conclusion,
        winner=step.winner,
        serves=step.serves,
        reason=step.reason,
        recommendation=_recommendation(progress.status, analysis),
        waiting_for=_waiting_for(experiment, analysis, now),
        pause=progress.pause,
        plan=plan,
        plan_hash=experiment.plan_hash,
        analyses=experiment.analyses,
        elapsed=progress.elapsed(now),
        created_by=experiment.created_by,
        created_at=experiment.created_at,
        started_at=experiment.started_at,
        ends_at=progress.ends(plan.max_duration),
        finished_at=experiment.finished_at,
    )


def _recommendation(status: Status, analysis: Analysis | None) -> str | None:
    """An experiment that was stopped is not to be gone on with, whatever its last analysis said."""
    return None if analysis is None or status is Status.STOPPED else analysis.recommendation


def _waiting_for(experiment: Experiment, analysis: Analysis | None, now: datetime) -> str | None:
    if experiment.progress.status is Status.DRAFT:
        return "a draft until a person starts it"
    if experiment.progress.status.terminal:
        return None
    if analysis is None:
        return "its first analysis"
    decision = decide(experiment.plan, experiment.progress, analysis, now=now)
    return decision.reason if isinstance(decision, Hold) else None


def analysis_view(row: ExperimentAnalysis) -> AnalysisView:
    figures = {part.name: getattr(row.analysis, part.name) for part in fields(Analysis)}
    return AnalysisView(number=row.number, trigger=row.trigger, at_goal=row.at_goal, **figures)


def analysis_summary(row: ExperimentAnalysis) -> AnalysisSummary:
    analysis = row.analysis
    return AnalysisSummary(
        number=row.number,
        at=row.at,
        trigger=row.trigger,
        at_goal=row.at_goal,
        conclusion=analysis.conclusion,
        winner=analysis.winner,
        looks=analysis.looks,
        fraction=analysis.fraction,
        comparisons=tuple(
            ComparisonSummary(
                version=found.version,
                status=found.finding.status,
                effect=found.finding.effect,
                interval=found.finding.interval,
                p_value=found.p_value,
                p_kind=found.finding.p_kind,
            )
            for found in analysis.comparisons
        ),
        plan_hash=row.plan_hash,
    )


def step_view(step: ExperimentStep) -> StepView:
    return StepView(
        step=step.step,
        at=step.at,
        event=step.event,
        from_status=step.from_status,
        to_status=step.to_status,
        conclusion=step.conclusion,
        winner=step.winner,
        serves=step.serves,
        reason=step.reason,
        actor=step.actor,
        split_id=step.split_id,
        analysis=step.analysis,
    )
