"""One function carries out every decision about a rollout, whoever took it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.events.commands import emit
from turnout.gates import commands as gates
from turnout.gates.moves import enter_production
from turnout.observations import commands as observations
from turnout.observations.waves import waves
from turnout.quantities import percent
from turnout.registry import commands as registry
from turnout.registry.domain.version import VersionRef
from turnout.registry.queries import versions_by_id
from turnout.rollouts import queries
from turnout.rollouts.commands import alarm
from turnout.rollouts.domain.evidence import Evidence, Judgement, Sequences, judge
from turnout.rollouts.domain.feats import feats
from turnout.rollouts.domain.news import news
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan
from turnout.rollouts.domain.progress import Progress, exposure, moves_traffic
from turnout.rollouts.domain.traffic import variants
from turnout.rollouts.domain.transitions import Situation, Transition
from turnout.rollouts.domain.watch import Memory
from turnout.rollouts.tables import FormerPlan, Quarantine, Rollout, RolloutLook, RolloutStep
from turnout.stats.verdict import Verdict
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Owner, OwnerKind, Spread

_PLAN: Final = TypeAdapter(Plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The evidence of one moment, what is said to it, and what that leaves to the next look."""

    evidence: Evidence
    judgement: Judgement
    sequences: Sequences


async def look_at(
    session: AsyncSession, rollouts: Collection[Rollout], now: datetime
) -> dict[UUID, Look]:
    """Judge every rollout, in one round trip."""
    found = await queries.evidence(session, rollouts)
    return {rollout.id: _look(rollout, found[rollout.id], now) for rollout in rollouts}


def _look(rollout: Rollout, evidence: Evidence, now: datetime) -> Look:
    judgement, sequences = judge(rollout.plan, rollout.progress, evidence, rollout.sequences, now)
    return Look(evidence=evidence, judgement=judgement, sequences=sequences)


async def situations(
    session: AsyncSession,
    rollouts: Collection[Rollout],
    looks: Mapping[UUID, Look],
    now: datetime,
) -> dict[UUID, Situation]:
    judgements = {rollout_id: look.judgement for rollout_id, look in looks.items()}
    return await queries.situations(session, rollouts, judgements, now)


async def apply(
    session: AsyncSession,
    rollout: Rollout,
    transition: Transition,
    look: Look | None,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Write progress, traffic, evidence, history, audit row and event: all are committed, or none.

    The caller holds the lock of the rollout's row. Refused when the traffic cannot be moved, for
    instance because the version was rejected since.
    """
    change = await _change(session, rollout, transition, actor=actor, now=now)
    look_id = None
    if look is not None and rollout.progress.phase.live:
        row = look_row(rollout, look, now)
        session.add(row)
        await session.flush()
        look_id = row.id
    before, progress, plan = rollout.progress, transition.progress, rollout.plan
    if moves_traffic(before, progress):
        if progress.split_id is None:
            progress = await _set_traffic(session, change, progress)
        if progress.phase is Phase.ROLLING_BACK and before.retreat is None:
            await _take_off_the_road(session, change, change.candidate)
        if progress.phase.terminal:
            await _finish(session, change, progress)
    if progress.phase.terminal:
        rollout.finished_at = now
    rollout.progress = progress
    if transition.plan is not None:
        session.add(
            FormerPlan(rollout_id=rollout.id, version=rollout.plan.version, plan=rollout.plan)
        )
        rollout.plan = transition.plan
    same_split = progress.split_id == before.split_id
    going_on = look if same_split and not progress.phase.terminal else None
    concerns = going_on.judgement.concerns if going_on else ()
    model = change.candidate.model
    await alarm.doubt(session, rollout, model, concerns, now=now)
    rollout.seen = going_on.judgement.verdicts if going_on else ()
    rollout.sequences = going_on.sequences if going_on else await _unspent(session, rollout, now)
    await alarm.stepped(session, rollout, model, before, transition, now=now)
    rollout.step += 1
    rollout.fence += 1
    rollout.due_at = now
    rollout.lease_until = None
    _write_down(session, change, before, plan, look_id)
    await session.flush()


async def _unspent(session: AsyncSession, rollout: Rollout, now: datetime) -> Sequences:
    """What the first look at a split must know: how the baseline's latencies come in waves."""
    progress = rollout.progress
    if rollout.baseline_id is None or not progress.phase.live:
        return Sequences()
    limits = rollout.plan.limits(progress.stage)
    known = await waves(
        session, limits, model_id=rollout.model_id, version_id=rollout.baseline_id, now=now
    )
    if not any(known):
        return Sequences()
    return Sequences(guardrails=tuple(Memory(waves=one) for one in known))


def look_row(rollout: Rollout, look: Look, now: datetime) -> RolloutLook:
    """To store a look, before the rollout remembers it."""
    stage = rollout.progress.stage
    limits, goal = rollout.plan.limits(stage), rollout.plan.stages[stage].goal
    return RolloutLook(
        rollout_id=rollout.id,
        at=now,
        plan_version=rollout.plan.version,
        progress=rollout.progress,
        evidence=look.evidence.on(limits, goal),
        sequences=rollout.sequences,
        judgement=look.judgement,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    rollout: Rollout
    transition: Transition
    candidate: VersionRef
    baseline: VersionRef | None
    actor: str
    now: datetime

    @property
    def owner(self) -> Owner:
        return Owner(kind=OwnerKind.ROLLOUT, id=str(self.rollout.id))

    @property
    def subject(self) -> str:
        return f"models/{self.candidate.model}/rollouts/{self.rollout.id}"

    @property
    def by(self) -> Mapping[str, Any]:
        """Who does it, when and why, as the commands of other slices take it."""
        return {"actor": self.actor, "now": self.now, "reason": self.transition.reason}


async def _change(
    session: AsyncSession, rollout: Rollout, transition: Transition, *, actor: str, now: datetime
) -> _Change:
    ids = [rollout.candidate_id, rollout.baseline_id]
    found = await versions_by_id(session, [known for known in ids if known is not None])
    return _Change(
        rollout=rollout,
        transition=transition,
        candidate=found[rollout.candidate_id],
        baseline=None if rollout.baseline_id is None else found[rollout.baseline_id],
        actor=actor,
        now=now,
    )


def _write_down(
    session: AsyncSession, change: _Change, before: Progress, plan: Plan, look_id: int | None
) -> None:
    rollout, transition = change.rollout, change.transition
    first = rollout.step == 1
    session.add(
        RolloutStep(
            rollout_id=rollout.id,
            step=rollout.step,
            event=transition.event,
            from_phase=None if first else before.phase,
            to_phase=rollout.progress.phase,
            stage=rollout.progress.stage,
            weight=exposure(rollout.plan, rollout.progress).weight,
            verdict=transition.verdict,
            reason=transition.reason,
            actor=change.actor,
            at=change.now,
            split_id=rollout.progress.split_id,
            look_id=look_id,
        )
    )
    audit(
        session,
        action=f"rollout.{transition.event}",
        subject=change.subject,
        before=None if first else _noted(rollout.plan, before) | _planned(change, plan),
        after=_noted(rollout.plan, rollout.progress)
        | {"verdict": transition.verdict}
        | _planned(change, rollout.plan),
        **change.by,
    )
    _tell(session, change, before)


def _tell(session: AsyncSession, change: _Change, before: Progress) -> None:
    rollout, transition, candidate = change.rollout, change.transition, change.candidate
    kind = news(transition.event, rollout.progress.phase)
    if kind is None:
        return
    told = _noted(rollout.plan, rollout.progress) | {
        "rollout": rollout.id,
        "step": rollout.step,
        "model": candidate.model,
        "candidate": candidate.version,
        "baseline": change.baseline.version if change.baseline else None,
        "from_phase": before.phase,
        "verdict": transition.verdict,
        "reason": transition.reason,
        "actor": change.actor,
    }
    subject, model = change.subject, candidate.model
    emit(session, kind, subject=subject, model=model, data=told, now=change.now)


async def _set_traffic(session: AsyncSession, change: _Change, progress: Progress) -> Progress:
    """One salt for the whole rollout: a candidate that grows keeps the units it has."""
    plan = change.rollout.plan
    wanted = exposure(plan, progress)
    split = await traffic.set_split(
        session,
        change.rollout.model_id,
        owner=change.owner,
        strategy=Spread.CANARY,
        variants=variants(wanted, change.candidate, change.baseline, ended=progress.phase.terminal),
        salt=str(change.rollout.id),
        **change.by,
    )
    asked = plan.followed(progress.stage)
    await observations.follow(session, change.rollout.model_id, split.id, asked)
    return replace(progress, split_id=split.id)


async def _finish(session: AsyncSession, change: _Change, progress: Progress) -> None:
    rollout = change.rollout
    match progress.phase:
        case Phase.SUCCEEDED:
            await _note_feats(session, change)
            if rollout.plan.promote:
                await _enter_production(session, change)
            if rollout.restores and change.baseline is not None:
                await _take_off_the_road(session, change, change.baseline)
        case Phase.ROLLED_BACK if rollout.progress.retreat is None:
            await _take_off_the_road(session, change, change.candidate)
        case Phase.ROLLED_BACK | Phase.ABORTED:
            await _drop_overrides(session, change, change.candidate)
    await traffic.release(session, rollout.model_id, owner=change.owner, **change.by)


async def _note_feats(session: AsyncSession, change: _Change) -> None:
    """What a person hurried through, or what had nothing beside it, has shown nothing."""
    rollout = change.rollout
    judged = change.transition.verdict is Verdict.PASS
    if not judged or change.baseline is None or await queries.hurried(session, rollout.id):
        return
    for feat in sorted(feats(rollout.plan)):
        await gates.note_feat(session, rollout.candidate_id, feat, change.subject, now=change.now)


async def _enter_production(session: AsyncSession, change: _Change) -> None:
    """A rollback asks no policy: the way back is never barred."""
    rollout = change.rollout
    if rollout.restores:
        await registry.enter_production(session, rollout.candidate_id, **change.by)
        return
    await enter_production(session, rollout.candidate_id, requester=rollout.created_by, **change.by)


async def _take_off_the_road(session: AsyncSession, change: _Change, version: VersionRef) -> None:
    """Nothing leads to it any more, and it starts again only with a reason."""
    await _drop_overrides(session, change, version)
    reason = change.transition.reason
    note = {"rollout_id": change.rollout.id, "reason": reason, "since": change.now}
    await session.execute(
        insert(Quarantine)
        .values(version_id=version.id, **note)
        .on_conflict_do_update(index_elements=[Quarantine.version_id], set_=note)
    )


async def _drop_overrides(session: AsyncSession, change: _Change, version: VersionRef) -> None:
    await traffic.drop_overrides(session, change.rollout.model_id, version.id, **change.by)


def _planned(change: _Change, plan: Plan) -> dict[str, Any]:
    """What is to happen, where that was decided just now."""
    if change.rollout.step > 1 and change.transition.plan is None:
        return {}
    return {
        "candidate": change.candidate.version,
        "baseline": change.baseline.version if change.baseline else None,
        "plan": _PLAN.dump_python(plan, mode="json"),
    }


def _noted(plan: Plan, progress: Progress) -> dict[str, Any]:
    return {
        "phase": progress.phase,
        "stage": progress.stage,
        "weight": percent(exposure(plan, progress).weight),
    }
