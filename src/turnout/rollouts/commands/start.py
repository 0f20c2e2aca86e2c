from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.gates.moves import admit
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.approvals import check_deployment
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.rollouts import queries
from turnout.rollouts.commands import order
from turnout.rollouts.commands.apply import apply
from turnout.rollouts.commands.refusals import (
    CandidateIsBaseline,
    FrozenNow,
    GroupOutOfScope,
    NothingBeside,
    NothingToMirror,
    Quarantined,
    RolloutUnderWay,
    SeveralServe,
)
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.evidence import Sequences
from turnout.rollouts.domain.feats import feats
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import START_APPROVAL, Launch, OnConflict, Plan
from turnout.rollouts.domain.progress import Progress
from turnout.rollouts.domain.transitions import Event, Transition
from turnout.rollouts.tables import Rollout
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import Owner, OwnerKind, check_owner, check_servable

LOCK: Final = 0x726F
"""Keeps this slice's advisory locks apart from other uses of them in the same database."""


async def start(
    session: AsyncSession,
    model_name: str,
    launch: Launch,
    *,
    actor: str,
    now: datetime,
    confined_to: Collection[str] | None = None,
    retries: UUID | None = None,
    group_id: UUID | None = None,
) -> Rollout:
    """Open a rollout and put its first stage into force, now or when its time has come.

    A model's first version has nothing to be compared with: it goes live at once, without
    analysis, whatever the plan, and its history says so. Who is `confined_to` some models ends no
    rollout of another one by it, neither now nor when the worker begins it.
    """
    model = await registry.model(session, model_name)
    await lock(session, model)
    plan = launch.plan()
    live = await queries.live(session, model.id)
    later = launch.starts_at if launch.starts_at and launch.starts_at > now else None
    if live is not None and plan.on_conflict is OnConflict.REJECT and later is None:
        raise RolloutUnderWay(model, live)
    candidate = await registry.version(session, model.id, launch.candidate)
    await check_deployment(session, candidate)
    named = launch.baseline
    baseline = await registry.version(session, model.id, named) if named is not None else None
    await _check_quarantine(session, candidate, launch, actor=actor, now=now)
    rollout = await open_rollout(
        session,
        plan,
        candidate,
        baseline,
        reason=launch.reason,
        actor=actor,
        now=now,
        confined_to=confined_to,
        retries=retries,
        group_id=group_id,
    )
    queues = plan.on_conflict is OnConflict.QUEUE
    if later is not None or (queues and await queries.ahead_of(session, [rollout], now)):
        check_servable(candidate)
        await _check_gates(session, rollout, candidate)
        reason = launch.reason or f"{plan.strategy} of {candidate.version} asked for"
        scheduled = transitions.schedule(later or now, reason)
        await apply(session, rollout, scheduled, None, actor=actor, now=now)
    else:
        await _check_free(session, model, launch, now)
        await begin(session, rollout, actor=actor, now=now)
    return rollout


async def begin(
    session: AsyncSession, rollout: Rollout, *, actor: str, now: datetime
) -> Transition | None:
    """Put the first stage of a rollout into force; None when another one still goes before it.

    The baseline is the version that answers at this moment, unless one was named.
    """
    candidate = (await registry.versions_by_id(session, [rollout.candidate_id]))[
        rollout.candidate_id
    ]
    model = ModelRef(id=candidate.model_id, name=candidate.model)
    await lock(session, model)
    if not await _clear_the_way(session, model, rollout, candidate, actor=actor, now=now):
        return None
    if (quarantine := await queries.quarantine(session, candidate.id)) is not None:
        raise Quarantined(candidate, quarantine)
    owner = Owner(kind=OwnerKind.ROLLOUT, id=str(rollout.id))
    check_owner(await traffic.active_split(session, model.id), owner)
    baseline = await _baseline(session, model, rollout.baseline_id)
    if baseline is not None and baseline.id == candidate.id:
        raise CandidateIsBaseline(candidate)
    for version in filter(None, (candidate, baseline)):
        check_servable(version)
    await check_deployment(session, candidate)
    await _check_gates(session, rollout, candidate)
    rollout.baseline_id = baseline.id if baseline else None
    transition = _first_step(rollout, model, candidate, baseline, now)
    await apply(session, rollout, transition, None, actor=actor, now=now)
    return transition


async def _check_gates(session: AsyncSession, rollout: Rollout, candidate: VersionRef) -> None:
    """What is to end in production must be allowed there, before it gets any traffic."""
    if rollout.plan.promote:
        promised = feats(rollout.plan)
        await admit(session, candidate, requester=rollout.created_by, promised=promised)


async def _clear_the_way(
    session: AsyncSession,
    model: ModelRef,
    rollout: Rollout,
    candidate: VersionRef,
    *,
    actor: str,
    now: datetime,
) -> bool:
    """Do with another rollout under way what the plan says; False when it goes first."""
    live = await queries.live(session, model.id)
    if live is None:
        return True
    match rollout.plan.on_conflict:
        case OnConflict.REJECT:
            raise RolloutUnderWay(model, live)
        case OnConflict.QUEUE:
            return False
        case OnConflict.SUPERSEDE:
            await queries.locked_together(session, live.id)  # as it is by now
            if live.progress.phase.live:
                await _check_scope(session, rollout, live)
                superseded = Order(reason=f"superseded by {candidate.version}")
                await order.abort(session, live.id, superseded, actor=actor, now=now)
            return True


async def _check_scope(session: AsyncSession, rollout: Rollout, live: Rollout) -> None:
    if rollout.confined_to is None:
        return
    if not set(rollout.confined_to).issuperset(await queries.models_of(session, live.id)):
        raise GroupOutOfScope(rollout, live)


def _first_step(
    rollout: Rollout,
    model: ModelRef,
    candidate: VersionRef,
    baseline: VersionRef | None,
    now: datetime,
) -> Transition:
    plan = rollout.plan
    if baseline is not None:
        reason = rollout.reason or f"{plan.strategy} of {candidate.version} started"
        return transitions.start(plan, now, reason)
    if not plan.promote:
        raise NothingToMirror(model)
    if plan.stages[0] == START_APPROVAL:
        raise NothingBeside(model)
    at_once = "first version: goes live without analysis"
    reason = f"{rollout.reason} ({at_once})" if rollout.reason else at_once
    return transitions.go_live(plan, now, reason, event=Event.SUCCEEDED)


async def lock_all(session: AsyncSession, models: Collection[str]) -> None:
    """For who begins several: these locks come before those of any rollout's row."""
    for model in sorted(models):
        await lock(session, await registry.model(session, model))


async def lock(session: AsyncSession, model: ModelRef) -> None:
    """Let one transaction at a time begin a rollout of a model, also of one that has none yet."""
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, model.id)))


async def open_rollout(
    session: AsyncSession,
    plan: Plan,
    candidate: VersionRef,
    baseline: VersionRef | None,
    *,
    reason: str | None,
    actor: str,
    now: datetime,
    restores: bool = False,
    confined_to: Collection[str] | None = None,
    retries: UUID | None = None,
    group_id: UUID | None = None,
) -> Rollout:
    """Add the row; what its first step does is for `apply`."""
    rollout = Rollout(
        id=UUID(uuid7(now)),
        model_id=candidate.model_id,
        candidate_id=candidate.id,
        baseline_id=baseline.id if baseline else None,
        plan=plan,
        progress=Progress(phase=Phase.DRAFT, entered_at=now),
        step=0,
        seen=(),
        sequences=Sequences(),
        fence=0,
        due_at=now,
        lease_until=None,
        restores=restores,
        retries=retries,
        group_id=group_id,
        reason=reason,
        created_by=actor,
        confined_to=None if confined_to is None else sorted(confined_to),
        created_at=now,
        finished_at=None,
    )
    session.add(rollout)
    await session.flush()
    return rollout


async def _baseline(session: AsyncSession, model: ModelRef, named: int | None) -> VersionRef | None:
    """The version that was named, or that answers now; before any split, the one in production."""
    if named is not None:
        return (await registry.versions_by_id(session, [named]))[named]
    serving = await queries.answering(session, model.id)
    if len(serving) > 1:
        raise SeveralServe(model, serving)
    return serving[0] if serving else await registry.current_version(session, model.id)


async def _check_free(
    session: AsyncSession, model: ModelRef, launch: Launch, now: datetime
) -> None:
    windows = (await queries.freeze_windows(session, [model.id])).get(model.id)
    frozen = windows.frozen(now) if windows else None
    if frozen is not None and not launch.override_freeze:
        raise FrozenNow(model, frozen)


async def _check_quarantine(
    session: AsyncSession, version: VersionRef, launch: Launch, *, actor: str, now: datetime
) -> None:
    quarantine = await queries.quarantine(session, version.id)
    if quarantine is None:
        return
    if not launch.override_quarantine:
        raise Quarantined(version, quarantine)
    await session.delete(quarantine)
    await session.flush()
    audit(
        session,
        actor=actor,
        action="version.quarantine_lifted",
        subject=f"models/{version.model}/versions/{version.version}",
        before={"since": quarantine.since.isoformat(), "reason": quarantine.reason},
        reason=launch.reason,
        now=now,
    )
