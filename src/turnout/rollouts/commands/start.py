from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.errors import Conflict
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.rollouts import queries
from turnout.rollouts.commands.apply import apply
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.plan import Launch, Plan
from turnout.rollouts.domain.transitions import Event
from turnout.rollouts.tables import Quarantine, Rollout
from turnout.traffic.domain.split import check_servable

LOCK: Final = 0x726F
"""Keeps this slice's advisory locks apart from other uses of them in the same database."""


class RolloutUnderWay(Conflict):
    def __init__(self, model: ModelRef, live: Rollout) -> None:
        super().__init__(
            f"{model.name} has a rollout under way ({live.progress.phase}): abort it or let it"
            f" finish first",
            model=model.name,
            rollout=str(live.id),
            phase=live.progress.phase,
        )


class CandidateIsBaseline(Conflict):
    def __init__(self, candidate: VersionRef) -> None:
        super().__init__(
            f"{candidate.version} cannot be rolled out against itself: name a candidate other"
            f" than the version that answers now, or another baseline",
            candidate=candidate.version,
        )


class SeveralServe(Conflict):
    def __init__(self, model: ModelRef, serving: Sequence[VersionRef]) -> None:
        versions = [version.version for version in serving]
        super().__init__(
            f"{' and '.join(versions)} share the traffic of {model.name}: name the baseline that"
            f" is to answer beside the candidate",
            model=model.name,
            serving=versions,
        )


class Quarantined(Conflict):
    def __init__(self, version: VersionRef, quarantine: Quarantine) -> None:
        super().__init__(
            f"{version.version} was taken off the road on {quarantine.since:%Y-%m-%d %H:%M} UTC"
            f" ({quarantine.reason}): to start it again all the same, set override_quarantine and"
            f" give a reason",
            version=version.version,
            since=quarantine.since.isoformat(),
            rollout=str(quarantine.rollout_id),
        )


class NothingToMirror(Conflict):
    def __init__(self, model: ModelRef) -> None:
        super().__init__(
            f"no version of {model.name} answers yet, so there is no traffic to mirror: roll out"
            f" a first version, or leave out promote: false",
            model=model.name,
        )


async def start(
    session: AsyncSession, model_name: str, launch: Launch, *, actor: str, now: datetime
) -> Rollout:
    """Open a rollout and put its first stage into force.

    A model's first version has nothing to be compared with: it goes live at once, without
    analysis, whatever the plan, and its history says so.
    """
    model = await registry.model(session, model_name)
    await lock(session, model)
    if (live := await queries.live(session, model.id)) is not None:
        raise RolloutUnderWay(model, live)
    candidate = await registry.version(session, model.id, launch.candidate)
    baseline = await _baseline(session, model, launch.baseline)
    if baseline is not None and baseline.id == candidate.id:
        raise CandidateIsBaseline(candidate)
    for version in filter(None, (candidate, baseline)):
        check_servable(version)
    await _check_quarantine(session, candidate, launch, actor=actor, now=now)
    plan = launch.plan()
    if baseline is not None:
        reason = launch.reason or f"{plan.strategy} of {candidate.version} started"
        transition = transitions.start(plan, now, reason)
    elif plan.promote:
        reason = "first version: goes live without analysis"
        transition = transitions.go_live(plan, now, reason, event=Event.SUCCEEDED)
    else:
        raise NothingToMirror(model)
    rollout = await open_rollout(
        session, plan, candidate, baseline, reason=launch.reason, actor=actor, now=now
    )
    await apply(session, rollout, transition, None, actor=actor, now=now)
    return rollout


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
) -> Rollout:
    """Add the row; what its first step does is for `apply`."""
    rollout = Rollout(
        id=UUID(uuid7(now)),
        model_id=candidate.model_id,
        candidate_id=candidate.id,
        baseline_id=baseline.id if baseline else None,
        plan=plan,
        progress=transitions.start(plan, now, "").progress,
        step=0,
        seen=(),
        fence=0,
        due_at=now,
        lease_until=None,
        restores=restores,
        reason=reason,
        created_by=actor,
        created_at=now,
        finished_at=None,
    )
    session.add(rollout)
    await session.flush()
    return rollout


async def _baseline(session: AsyncSession, model: ModelRef, named: str | None) -> VersionRef | None:
    """The version that is named, or that answers now; before any split, the one in production."""
    if named is not None:
        return await registry.version(session, model.id, named)
    serving = await queries.answering(session, model.id)
    if len(serving) > 1:
        raise SeveralServe(model, serving)
    return serving[0] if serving else await registry.current_version(session, model.id)


async def _check_quarantine(
    session: AsyncSession, version: VersionRef, launch: Launch, *, actor: str, now: datetime
) -> None:
    quarantine = await queries.quarantine(session, version.id)
    if quarantine is None:
        return
    if not launch.override_quarantine:
        raise Quarantined(version, quarantine)
    await session.delete(quarantine)
    audit(
        session,
        actor=actor,
        action="version.quarantine_lifted",
        subject=f"models/{version.model}/versions/{version.version}",
        before={"since": quarantine.since.isoformat(), "reason": quarantine.reason},
        reason=launch.reason,
        now=now,
    )
