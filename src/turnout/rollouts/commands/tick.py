"""The worker's beat: look at every rollout that is due, and carry out what is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.db import Sessions, transaction
from turnout.errors import Refusal
from turnout.quantities import Clock
from turnout.registry.queries import models_by_id
from turnout.rollouts import queries
from turnout.rollouts.commands import alarm
from turnout.rollouts.commands.apply import Look, apply, look_at, look_row, situations
from turnout.rollouts.commands.start import begin
from turnout.rollouts.domain.group import decide_together
from turnout.rollouts.domain.transitions import Event, Hold, Transition, decide
from turnout.rollouts.tables import Rollout

WORKER: Final = "worker"
"""Who decided, in history and audit log, when no person did."""

BATCH: Final = 200
LEASE: Final = timedelta(seconds=5)
"""How long a worker may take to carry out what it found, before another one may try."""

INTERVALS: Final = 3

EARLY: Final = 0.9
"""Of the interval: a beat that comes a little early still finds every rollout due."""


def patience(interval: timedelta) -> timedelta:
    """How late a look may come. A claim is good for its lease, so that much is never too long."""
    return max(INTERVALS * interval, LEASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A rollout with something to carry out; void once its fence has been raised again."""

    rollout_id: UUID
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    looked_at: int
    claims: Sequence[Claim]


async def tick(sessions: Sessions, *, clock: Clock, interval: timedelta) -> None:
    """Look at all rollouts that are due, the latest first, until none is.

    Any number of workers may tick at once: a rollout is looked at by one of them, and a step is
    taken once. What is due follows from when the beat began; what is decided, from the time once
    a rollout's row is locked, so that a worker that was put to sleep in between does not decide
    by the time of its youth. What fails for one rollout is raised after the others have had their
    turn.
    """
    failures: list[Exception] = []
    began = clock()
    while (survey := await _survey(sessions, clock, began=began, interval=interval)).looked_at:
        for claim in survey.claims:
            try:
                await _settle(sessions, claim, clock)
            except Exception as error:  # noqa: BLE001  (raised below: the others come first)
                failures.append(error)
    if failures:
        raise ExceptionGroup("rollouts that could not be moved on", failures)


async def _survey(
    sessions: Sessions, clock: Clock, *, began: datetime, interval: timedelta
) -> Survey:
    """Look at one batch in a short transaction. Where nothing changes, that was all."""
    async with transaction(sessions) as session:
        rollouts = await _due(session, now=began, interval=interval)
        now = clock()
        looks = await look_at(session, rollouts, now)
        at = await situations(session, rollouts, looks, now)
        changing: list[Rollout] = []
        staying: list[Rollout] = []
        for rollout in rollouts:
            if not isinstance(decide(at[rollout.id]), Hold):
                changing.append(rollout)
            elif rollout.progress.phase.live:
                staying.append(rollout)
        await _remember(session, staying, looks, now)
        await _lease(session, changing)
    claims = [Claim(rollout_id=rollout.id, fence=rollout.fence) for rollout in changing]
    return Survey(looked_at=len(rollouts), claims=claims)


async def _due(session: AsyncSession, *, now: datetime, interval: timedelta) -> list[Rollout]:
    """Claim a batch, the latest first.

    A rollout that is due later than one interval from now was put off by a clock that has been
    set back since, so it is due as well. One that was missed has lost nothing by that: evidence
    could not come in, or was not read, so its stage gets the time back.
    """
    due = (
        select(Rollout.id, Rollout.due_at, Rollout.missed_at)
        .where(
            Rollout.finished_at.is_(None),
            or_(Rollout.due_at <= now, Rollout.due_at > now + interval),
            or_(Rollout.lease_until.is_(None), Rollout.lease_until <= func.now()),
        )
        .order_by(Rollout.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claim = (
        update(Rollout)
        .where(Rollout.id == due.c.id)
        .values(
            fence=Rollout.fence + 1, due_at=now + EARLY * interval, missed_at=None, lease_until=None
        )
        .returning(Rollout, due.c.due_at.label("was_due"), due.c.missed_at.label("was_missed"))
        .execution_options(synchronize_session=False)
    )
    rows = sorted(await session.execute(claim), key=lambda row: row.was_due)
    for row in rows:
        telemetry.TICK_LATENESS.observe(max(0.0, (now - row.was_due).total_seconds()))
        if now - row.was_due > patience(interval):
            row.Rollout.progress = row.Rollout.progress.missed(now - row.was_due)
    for rollout_id in sorted(row.Rollout.id for row in rows if row.was_missed is not None):
        await alarm.seen_again(session, rollout_id, now=now)
    return [row.Rollout for row in rows]


async def _remember(
    session: AsyncSession, rollouts: list[Rollout], looks: Mapping[UUID, Look], now: datetime
) -> None:
    """Leave to the next look what it must know, and keep the looks at which a verdict changed, or
    what can be said against the evidence.

    A look that leads to a step is not remembered here: it is taken again with that step.
    """
    for rollout in rollouts:
        look = looks[rollout.id]
        worried = look.sequences.worries != rollout.sequences.worries
        if worried:
            models = await models_by_id(session, [rollout.model_id])
            model, concerns = models[rollout.model_id].name, look.judgement.concerns
            await alarm.doubt(session, rollout, model, concerns, now=now)
        if worried or look.judgement.verdicts != rollout.seen:
            session.add(look_row(rollout, look, now))
            rollout.seen = look.judgement.verdicts
        if look.sequences != rollout.sequences:
            rollout.sequences = look.sequences


async def _lease(session: AsyncSession, rollouts: list[Rollout]) -> None:
    if rollouts:
        ids = [rollout.id for rollout in rollouts]
        until = func.now() + LEASE  # the database's clock: the workers' need not agree
        await session.execute(update(Rollout).where(Rollout.id.in_(ids)).values(lease_until=until))


async def _settle(sessions: Sessions, claim: Claim, clock: Clock) -> None:
    """Carry out what was found; where that is refused, say so in the rollout's history."""
    for rollout_id, step in (await _attempt(sessions, claim, {}, clock)).items():
        telemetry.log.info(f"rollout {step.event}", rollout=str(rollout_id), reason=step.reason)


async def _attempt(
    sessions: Sessions, claim: Claim, refused: Mapping[UUID, Refusal], clock: Clock
) -> Mapping[UUID, Transition]:
    try:
        async with transaction(sessions) as session:
            return await _carry_out(session, claim, refused, clock)
    except _NotCarriedOut as error:
        if error.rollout_id in refused:
            raise error.refusal from error
        now_refused = {**refused, error.rollout_id: error.refusal}
        return await _attempt(sessions, claim, now_refused, clock)


class _NotCarriedOut(Exception):
    def __init__(self, rollout_id: UUID, refusal: Refusal) -> None:
        super().__init__(rollout_id, refusal)
        self.rollout_id = rollout_id
        self.refusal = refusal


async def _carry_out(
    session: AsyncSession, claim: Claim, refused: Mapping[UUID, Refusal], clock: Clock
) -> Mapping[UUID, Transition]:
    """Look again under the lock: since the survey, a person or another worker may have acted."""
    members = await queries.locked_together(session, claim.rollout_id)
    claimed = next(member for member in members if member.id == claim.rollout_id)
    if claimed.fence != claim.fence:
        return {}
    now = clock()
    looks = await look_at(session, members, now)
    changes = decide_together(await situations(session, members, looks, now), refused)
    taken = {}
    for member in members:
        if (change := changes.get(member.id)) is not None:
            if await _take(session, member, change, looks[member.id], now):
                taken[member.id] = change
        elif member.progress.phase.live:
            await _remember(session, [member], looks, now)
    if claimed.id not in taken:
        claimed.lease_until = None
    return taken


async def _take(
    session: AsyncSession, rollout: Rollout, change: Transition, look: Look, now: datetime
) -> bool:
    """Take a step; False when a rollout that is to begin must wait for another one after all."""
    try:
        if change.event is Event.STARTED:
            return await begin(session, rollout, actor=WORKER, now=now) is not None
        await apply(session, rollout, change, look, actor=WORKER, now=now)
    except Refusal as refusal:
        raise _NotCarriedOut(rollout.id, refusal) from refusal
    return True
