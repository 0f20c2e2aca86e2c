"""Rollouts and what is written down about them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.errors import NotFound
from turnout.observations import queries as observations
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionRef
from turnout.rollouts.domain.evidence import Evidence, Judgement
from turnout.rollouts.domain.freezes import FreezeWindows
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan
from turnout.rollouts.domain.transitions import Event, Situation
from turnout.rollouts.tables import (
    FormerPlan,
    FreezeCalendar,
    Quarantine,
    Rollout,
    RolloutLook,
    RolloutStep,
)
from turnout.stats.verdict import Verdict
from turnout.traffic import queries as traffic


class RolloutNotFound(NotFound):
    def __init__(self, rollout_id: UUID) -> None:
        super().__init__(f"there is no rollout {rollout_id}", rollout=str(rollout_id))


async def rollout(session: AsyncSession, rollout_id: UUID) -> Rollout:
    found = await session.get(Rollout, rollout_id)
    if found is None:
        raise RolloutNotFound(rollout_id)
    return found


async def models_of(session: AsyncSession, rollout_id: UUID) -> list[str]:
    """The models that a rollout concerns: its own, and those of its release group."""
    chosen = select(Rollout.model_id, Rollout.group_id).where(Rollout.id == rollout_id).subquery()
    ids = await session.scalars(
        select(Rollout.model_id)
        .join(chosen, or_(Rollout.id == rollout_id, Rollout.group_id == chosen.c.group_id))
        .distinct()
    )
    return [model.name for model in (await registry.models_by_id(session, ids.all())).values()]


async def hurried(session: AsyncSession, rollout_id: UUID) -> bool:
    """Whether a person let it leave a stage before its guardrails had passed."""
    left = or_(
        RolloutStep.event == Event.SKIPPED,
        (RolloutStep.event == Event.ADVANCED) & RolloutStep.verdict.is_distinct_from(Verdict.PASS),
    )
    query = select(RolloutStep.step).where(RolloutStep.rollout_id == rollout_id, left)
    return await session.scalar(query.limit(1)) is not None


async def locked(session: AsyncSession, rollout_id: UUID) -> Rollout:
    """The rollout as it is now; until the transaction ends nobody else can change it."""
    query = select(Rollout).where(Rollout.id == rollout_id).with_for_update()
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise RolloutNotFound(rollout_id)
    return found


async def locked_together(session: AsyncSession, rollout_id: UUID) -> Sequence[Rollout]:
    """The rollout and those of its group that are not over, locked in the order of their ids."""
    group_id = (await rollout(session, rollout_id)).group_id
    wanted = Rollout.id == rollout_id
    if group_id is not None:
        wanted |= (Rollout.group_id == group_id) & Rollout.finished_at.is_(None)
    query = select(Rollout).where(wanted).order_by(Rollout.id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def members(session: AsyncSession, group_id: UUID) -> Sequence[Rollout]:
    """All rollouts of a group, those that are over included."""
    query = select(Rollout).where(Rollout.group_id == group_id).order_by(Rollout.id)
    return (await session.scalars(query)).all()


async def live(session: AsyncSession, model_id: int) -> Rollout | None:
    """The one rollout of a model that is under way."""
    return await session.scalar(
        select(Rollout).where(
            Rollout.model_id == model_id,
            Rollout.finished_at.is_(None),
            Rollout.phase.not_in([phase for phase in Phase if phase.waiting]),
        )
    )


async def unfinished(session: AsyncSession, model_ids: Collection[int]) -> Sequence[Rollout]:
    """The rollouts of these models that are not over, those that wait for their turn last."""
    query = select(Rollout).where(among(Rollout.model_id, model_ids), Rollout.finished_at.is_(None))
    found = (await session.scalars(query)).all()
    return sorted(found, key=lambda rollout: (rollout.progress.phase.waiting, rollout.seq))


async def ended(session: AsyncSession, rollout_ids: Collection[UUID]) -> Sequence[Rollout]:
    """Those of these rollouts that are over."""
    query = select(Rollout).where(among(Rollout.id, rollout_ids), Rollout.finished_at.is_not(None))
    return (await session.scalars(query)).all()


async def situations(
    session: AsyncSession,
    rollouts: Collection[Rollout],
    judgements: Mapping[UUID, Judgement],
    now: datetime,
) -> dict[UUID, Situation]:
    """What the decisions about these rollouts rest on, in at most two round trips."""
    windows = await freeze_windows(session, {rollout.model_id for rollout in rollouts})
    waiting = [rollout for rollout in rollouts if rollout.progress.phase.waiting]
    ahead = await ahead_of(session, waiting, now)
    frozen = {model_id: found.frozen(now) for model_id, found in windows.items()}
    return {
        rollout.id: Situation(
            plan=rollout.plan,
            progress=rollout.progress,
            judgement=judgements[rollout.id],
            now=now,
            frozen=frozen.get(rollout.model_id),
            ahead=ahead.get(rollout.id),
            grouped=rollout.group_id is not None,
        )
        for rollout in rollouts
    }


async def freeze_windows(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int, FreezeWindows]:
    query = select(FreezeCalendar.model_id, FreezeCalendar.windows)
    rows = await session.execute(query.where(among(FreezeCalendar.model_id, model_ids)))
    return {row.model_id: row.windows for row in rows}


async def ahead_of(
    session: AsyncSession, waiting: Collection[Rollout], now: datetime
) -> dict[UUID, UUID]:
    """For each of these, the rollout of its model under way, or the first that waits before it.

    A rollout whose time has not come holds up none that was asked for later.
    """
    if not waiting:
        return {}
    models = {rollout.model_id for rollout in waiting}
    query = select(Rollout).where(Rollout.finished_at.is_(None), among(Rollout.model_id, models))
    unfinished = sorted(
        await session.scalars(query), key=lambda other: (other.progress.phase.waiting, other.seq)
    )
    found = {
        rollout.id: next((o.id for o in unfinished if _goes_before(o, rollout, now)), None)
        for rollout in waiting
    }
    return {waits: other for waits, other in found.items() if other is not None}


def _goes_before(other: Rollout, rollout: Rollout, now: datetime) -> bool:
    if other.model_id != rollout.model_id or other.id == rollout.id:
        return False
    if other.progress.phase.live:
        return True
    return other.seq < rollout.seq and other.progress.entered_at <= now


async def rollouts(
    session: AsyncSession,
    *,
    model_id: int | None,
    phase: Phase | None,
    group_id: UUID | None,
    limit: int,
    before: int | None,
) -> Sequence[Rollout]:
    """Newest first, started before number `before`."""
    query = select(Rollout).order_by(Rollout.seq.desc()).limit(limit)
    if model_id is not None:
        query = query.where(Rollout.model_id == model_id)
    if group_id is not None:
        query = query.where(Rollout.group_id == group_id)
    if phase is not None:
        query = query.where(Rollout.phase == phase)
        if not phase.terminal:
            query = query.where(Rollout.finished_at.is_(None))  # by which they are found at once
    if before is not None:
        query = query.where(Rollout.seq < before)
    return (await session.scalars(query)).all()


async def history(
    session: AsyncSession, rollout_id: UUID, *, limit: int, after: int
) -> Sequence[RolloutStep]:
    """The steps behind number `after`, in the order they were taken."""
    query = (
        select(RolloutStep)
        .where(RolloutStep.rollout_id == rollout_id, RolloutStep.step > after)
        .order_by(RolloutStep.step)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def looks(
    session: AsyncSession, rollout_id: UUID, *, limit: int, before: int | None
) -> Sequence[RolloutLook]:
    """The stored looks, newest first."""
    query = select(RolloutLook).where(RolloutLook.rollout_id == rollout_id)
    if before is not None:
        query = query.where(RolloutLook.id < before)
    return (await session.scalars(query.order_by(RolloutLook.id.desc()).limit(limit))).all()


async def plans(session: AsyncSession, rollout: Rollout) -> dict[int, Plan]:
    """All versions of a rollout's plan, by number."""
    query = select(FormerPlan).where(FormerPlan.rollout_id == rollout.id)
    former = {found.version: found.plan for found in await session.scalars(query)}
    return former | {rollout.plan.version: rollout.plan}


async def newest_looks(
    session: AsyncSession, rollout_ids: Collection[UUID]
) -> dict[UUID, RolloutLook]:
    newest = (
        select(func.max(RolloutLook.id))
        .where(RolloutLook.rollout_id.in_(rollout_ids))
        .group_by(RolloutLook.rollout_id)
    )
    query = select(RolloutLook).where(RolloutLook.id.in_(newest))
    return {look.rollout_id: look for look in await session.scalars(query)}


async def newest_steps(
    session: AsyncSession, rollouts: Collection[Rollout]
) -> dict[UUID, RolloutStep]:
    keys = [(rollout.id, rollout.step) for rollout in rollouts]
    query = select(RolloutStep).where(tuple_(RolloutStep.rollout_id, RolloutStep.step).in_(keys))
    return {step.rollout_id: step for step in await session.scalars(query)}


async def shadow_step(session: AsyncSession, rollout: Rollout) -> RolloutStep | None:
    """The first step under the newest split in which the candidate was a shadow."""
    stages = [index for index, stage in enumerate(rollout.plan.stages) if stage.shadow]
    terminal = [phase for phase in Phase if phase.terminal]
    query = (
        select(RolloutStep)
        .where(
            RolloutStep.rollout_id == rollout.id,
            RolloutStep.stage.in_(stages),
            RolloutStep.to_phase.not_in(terminal),
            RolloutStep.split_id.is_not(None),
        )
        .order_by(RolloutStep.split_id.desc(), RolloutStep.step)
        .limit(1)
    )
    return await session.scalar(query)


async def rollbacks(
    session: AsyncSession, model_id: int, *, limit: int, before: int | None
) -> Sequence[tuple[RolloutStep, Rollout]]:
    """Every time a version of this model was taken off the road, newest first: the step with which
    that began.

    A model has one rollout at a time, so they end in the order in which they were started.
    """
    query = (
        select(RolloutStep, Rollout)
        .join(Rollout, Rollout.id == RolloutStep.rollout_id)
        .where(
            Rollout.model_id == model_id,
            Rollout.phase != Phase.FAILED,
            RolloutStep.event.in_([Event.ROLLING_BACK, Event.ROLLED_BACK]),
            RolloutStep.from_phase.is_distinct_from(Phase.ROLLING_BACK),
        )
        .order_by(Rollout.seq.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Rollout.seq < before)
    return [(step, rollout) for step, rollout in await session.execute(query)]


async def last_proven(session: AsyncSession, model_id: int, *, but: int | None) -> int | None:
    """The version that last took all traffic and was not taken off the road since."""
    return await session.scalar(
        select(Rollout.candidate_id)
        .outerjoin(Quarantine, Quarantine.version_id == Rollout.candidate_id)
        .where(
            Rollout.model_id == model_id,
            Rollout.phase == Phase.SUCCEEDED,
            type_coerce(Rollout.plan, JSONB)["promote"].as_boolean(),
            Rollout.candidate_id.is_distinct_from(but),
            Quarantine.version_id.is_(None),
        )
        .order_by(Rollout.seq.desc())
        .limit(1)
    )


async def answering(session: AsyncSession, model_id: int) -> list[VersionRef]:
    """The versions that share the model's traffic now, the greatest share first."""
    split = await traffic.active_split(session, model_id)
    serving = [variant for variant in split.serving if variant.weight] if split else []
    serving.sort(key=lambda variant: variant.weight, reverse=True)
    found = await registry.versions_by_id(session, [variant.version_id for variant in serving])
    return [found[variant.version_id] for variant in serving]


async def quarantine(session: AsyncSession, version_id: int) -> Quarantine | None:
    return await session.get(Quarantine, version_id)


async def evidence(session: AsyncSession, rollouts: Collection[Rollout]) -> dict[UUID, Evidence]:
    """What both arms of each rollout have shown in its present split, in one round trip."""
    splits = {
        (rollout.model_id, split_id)
        for rollout in rollouts
        if (split_id := rollout.progress.split_id) is not None
    }
    found = await observations.evidence(session, splits)
    evidence = {}
    for rollout in rollouts:
        arms = found.get(rollout.progress.split_id or 0, {})
        baseline = None if rollout.baseline_id is None else arms.get(rollout.baseline_id)
        evidence[rollout.id] = Evidence(candidate=arms.get(rollout.candidate_id), baseline=baseline)
    return evidence


async def under_way(
    session: AsyncSession, model_ids: Collection[int] | None = None
) -> dict[Phase, int]:
    """How many rollouts have not ended, by phase."""
    counted = (
        select(Rollout.phase, func.count().label("rollouts"))
        .where(Rollout.finished_at.is_(None))
        .group_by(Rollout.phase)
    )
    if model_ids is not None:
        counted = counted.where(among(Rollout.model_id, model_ids))
    return {row.phase: row.rollouts for row in await session.execute(counted)}
