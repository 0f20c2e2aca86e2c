"""Views of rollouts: they name versions, and say what a rollout waits for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.quantities import Duration, Weight
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionRef
from turnout.rollouts import queries
from turnout.rollouts.domain.evidence import Judged, Judgement, judge
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan, Strategy
from turnout.rollouts.domain.progress import Pause, exposure
from turnout.rollouts.domain.transitions import Decision, Event, Hold, Situation, decide
from turnout.rollouts.tables import Rollout, RolloutLook, RolloutStep
from turnout.stats.goal import GoalFinding
from turnout.stats.verdict import Verdict

ZERO: Final = timedelta()
NOT_LOOKED_AT: Final = Judgement(
    verdict=Verdict.NO_DATA, reason="nobody has looked at this stage yet"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """The stage the rollout is in, or ended in.

    `index` counts from 0; it is what `expected_stage` refers to. The stage ends at `ends_at` at
    the earliest; null while its timer stands still.
    """

    index: int
    of: int
    weight: Weight
    shadow: bool
    approval: bool
    warm_up: Duration
    bake: Duration
    entered_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """Where a rollout stands.

    `weight` is the candidate's share of the traffic now, in percent. `reason` is that of the last
    step, `waiting_for` says what the next one waits for, `findings` is what each guardrail says
    now (in a list, what it said when a verdict last changed; of a rollout that is over, at its
    end), and `goal` what the last look at the stage's goal found.
    `starts_at` is when a rollout that is scheduled may begin, `retries` the rollout whose plan this
    one runs again, `group` what it shares with the rollouts that go forward and down with it.
    """

    id: UUID
    model: str
    candidate: str
    baseline: str | None
    strategy: Strategy
    phase: Phase
    weight: Weight
    stage: StageView
    verdict: Verdict
    reason: str
    waiting_for: str | None
    pause: Pause | None
    findings: tuple[Judged, ...]
    goal: GoalFinding | None
    plan: Plan
    starts_at: datetime | None
    restores: bool
    retries: UUID | None
    group: UUID | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """The rollouts of one group; `id` is what `GET /rollouts?group=` finds them by."""

    id: UUID
    rollouts: list[RolloutView]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One transition. `evidence` is the id of what it was decided on."""

    step: int
    at: datetime
    event: Event
    from_phase: Phase | None
    to_phase: Phase
    stage: int
    weight: Weight
    verdict: Verdict | None
    reason: str
    actor: str
    split_id: int | None
    evidence: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookView:
    """One look at the evidence, with the figures that each verdict follows from."""

    id: int
    at: datetime
    phase: Phase
    stage: int
    split_id: int | None
    verdict: Verdict
    reason: str
    findings: tuple[Judged, ...]
    goal: GoalFinding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackView:
    """A version taken off the road, by a person or by a guardrail."""

    at: datetime
    rollout: UUID
    from_version: str | None
    to_version: str | None
    verdict: Verdict | None
    reason: str
    actor: str


async def rollout_view(session: AsyncSession, rollout: Rollout, now: datetime) -> RolloutView:
    return (await rollout_views(session, [rollout], now))[0]


async def present_view(session: AsyncSession, rollout: Rollout, now: datetime) -> RolloutView:
    """With the figures of this moment: a worker's look is stored only where a verdict changes."""
    if not rollout.progress.phase.live:
        return await rollout_view(session, rollout, now)
    evidence = (await queries.evidence(session, [rollout]))[rollout.id]
    stages = tuple(replace(stage, goal=None) for stage in rollout.plan.stages)
    plan = replace(rollout.plan, stages=stages)
    seen, _ = judge(plan, rollout.progress, evidence, rollout.sequences, now)
    return (await rollout_views(session, [rollout], now, seen=seen))[0]


async def rollout_views(
    session: AsyncSession,
    rollouts: Sequence[Rollout],
    now: datetime,
    *,
    seen: Judgement | None = None,
) -> list[RolloutView]:
    """A handful of statements however many rollouts there are.

    The goal is never looked at anew: how often that is done is part of the test.
    """
    versions = await _versions(session, rollouts)
    steps = await queries.newest_steps(session, rollouts)
    looks = await queries.newest_looks(session, [rollout.id for rollout in rollouts])
    judgements = {found.id: _judgement(found, looks.get(found.id)) for found in rollouts}
    if seen is not None:
        judgements = {key: replace(seen, goal=old.goal) for key, old in judgements.items()}
    situations = await queries.situations(session, rollouts, judgements, now)
    return [
        _view(rollout, versions, steps[rollout.id], situations[rollout.id]) for rollout in rollouts
    ]


def _judgement(rollout: Rollout, look: RolloutLook | None) -> Judgement:
    """The newest one of what the rollout is doing now, or of what it ended with."""
    progress = rollout.progress
    if look is None:
        return NOT_LOOKED_AT
    if progress.phase.terminal:
        return look.judgement
    if look.progress.split_id != progress.split_id:
        return NOT_LOOKED_AT
    if (pursued := rollout.sequences.goal) is not None and pursued.finding is not None:
        # Looks at the goal are many, and stored only when a verdict changes.
        return replace(look.judgement, goal=pursued.finding)
    return look.judgement


def _view(
    rollout: Rollout, versions: dict[int, VersionRef], step: RolloutStep, at: Situation
) -> RolloutView:
    plan, progress, judgement = at.plan, at.progress, at.judgement
    waits = None if progress.phase.terminal else _waits(decide(at), grouped=at.grouped)
    candidate = versions[rollout.candidate_id]
    return RolloutView(
        id=rollout.id,
        model=candidate.model,
        candidate=candidate.version,
        baseline=_text(versions, rollout.baseline_id),
        strategy=plan.strategy,
        phase=progress.phase,
        weight=exposure(plan, progress).weight,
        stage=_stage_view(rollout),
        verdict=judgement.verdict,
        reason=step.reason,
        waiting_for=waits,
        pause=progress.pause,
        findings=judgement.findings,
        goal=judgement.goal,
        plan=plan,
        starts_at=progress.entered_at if progress.phase is Phase.SCHEDULED else None,
        restores=rollout.restores,
        retries=rollout.retries,
        group=rollout.group_id,
        created_by=rollout.created_by,
        created_at=rollout.created_at,
        finished_at=rollout.finished_at,
    )


def _waits(decision: Decision, *, grouped: bool) -> str | None:
    if isinstance(decision, Hold):
        return decision.reason
    return "waits for the others of its group" if grouped else None


def _stage_view(rollout: Rollout) -> StageView:
    plan, progress = rollout.plan, rollout.progress
    stage = plan.stages[progress.stage]
    return StageView(
        index=progress.stage,
        of=len(plan.stages),
        weight=stage.weight,
        shadow=stage.shadow,
        approval=stage.approval,
        warm_up=stage.warm_up,
        bake=stage.bake,
        entered_at=progress.entered_at,
        ends_at=progress.ends(stage.bake + (stage.warm_up if progress.warming else ZERO)),
    )


def step_view(step: RolloutStep) -> StepView:
    return StepView(
        step=step.step,
        at=step.at,
        event=step.event,
        from_phase=step.from_phase,
        to_phase=step.to_phase,
        stage=step.stage,
        weight=step.weight,
        verdict=step.verdict,
        reason=step.reason,
        actor=step.actor,
        split_id=step.split_id,
        evidence=step.look_id,
    )


def look_view(look: RolloutLook) -> LookView:
    return LookView(
        id=look.id,
        at=look.at,
        phase=look.progress.phase,
        stage=look.progress.stage,
        split_id=look.progress.split_id,
        verdict=look.judgement.verdict,
        reason=look.judgement.reason,
        findings=look.judgement.findings,
        goal=look.judgement.goal,
    )


async def rollback_views(
    session: AsyncSession, rollbacks: Sequence[tuple[RolloutStep, Rollout]]
) -> list[RollbackView]:
    versions = await _versions(session, [rollout for _, rollout in rollbacks])
    return [_rollback_view(step, rollout, versions) for step, rollout in rollbacks]


def _rollback_view(
    step: RolloutStep, rollout: Rollout, versions: dict[int, VersionRef]
) -> RollbackView:
    candidate = versions[rollout.candidate_id].version
    baseline = _text(versions, rollout.baseline_id)
    return RollbackView(
        at=step.at,
        rollout=rollout.id,
        from_version=baseline if rollout.restores else candidate,
        to_version=candidate if rollout.restores else baseline,
        verdict=step.verdict,
        reason=step.reason,
        actor=step.actor,
    )


async def _versions(session: AsyncSession, rollouts: Collection[Rollout]) -> dict[int, VersionRef]:
    ids = {rollout.candidate_id for rollout in rollouts}
    ids |= {rollout.baseline_id for rollout in rollouts if rollout.baseline_id is not None}
    return await registry.versions_by_id(session, ids)


def _text(versions: dict[int, VersionRef], version_id: int | None) -> str | None:
    return None if version_id is None else versions[version_id].version
