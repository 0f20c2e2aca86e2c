"""The worker's beat: look at every experiment that is due, and carry out what is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.db import Sessions, transaction
from turnout.errors import Refusal
from turnout.experiments import queries
from turnout.experiments.commands import alarm
from turnout.experiments.commands.apply import apply
from turnout.experiments.commands.look import Look, look, remember, store
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.machine import Decision, Hold, Transition, decide
from turnout.experiments.domain.schedule import EARLY, look_is_due
from turnout.experiments.domain.traffic import unpromoted
from turnout.experiments.tables import Experiment, Trigger
from turnout.quantities import Clock

WORKER: Final = "worker"
"""Who decided, in history and audit log, when no person did."""

BATCH: Final = 20
"""A look takes milliseconds, and the batch is locked for all of them."""

LEASE: Final = timedelta(seconds=5)
"""How long a worker may take to carry out what it found, before another one may try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What is due follows from when a beat began; what is decided, from the time once the row is
    locked, so that a worker that slept in between does not decide by the time it went to sleep.
    """

    clock: Clock
    began: datetime
    interval: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An experiment with something to carry out; void once its fence has been raised again."""

    experiment_id: UUID
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    looked_at: int
    claims: Sequence[Claim]
    failures: Sequence[Exception]


async def tick(sessions: Sessions, *, clock: Clock, interval: timedelta) -> None:
    """Look at all experiments that are due, the latest first, until none is.

    Health and guardrails are judged every time, the goal when its look is due. Any number of
    workers may tick at once: an experiment is looked at by one of them, and a step is taken once.
    What fails for one experiment is raised after the others have had their turn.
    """
    beat = Beat(clock=clock, began=clock(), interval=interval)
    failures: list[Exception] = []
    while (survey := await _survey(sessions, beat)).looked_at:
        failures += survey.failures
        for claim in survey.claims:
            try:
                await _settle(sessions, claim, beat)
            except Exception as error:  # noqa: BLE001  (raised below: the others come first)
                failures.append(error)
    if failures:
        raise ExceptionGroup("experiments that could not be moved on", failures)


async def _survey(sessions: Sessions, beat: Beat) -> Survey:
    """Look at one batch in a short transaction. Where nothing changes, that was all."""
    changing, failures = [], []
    async with transaction(sessions) as session:
        experiments = await _due(session, beat)
        now = beat.clock()
        evidence = await queries.evidence(session, experiments)
        for experiment in experiments:
            try:
                seen = _look(experiment, evidence[experiment.id], now, beat.interval)
                decision = _decide(experiment, seen, now)
            except Exception as error:  # noqa: BLE001  (raised by `tick`, as above)
                failures.append(error)
                continue
            if not isinstance(decision, Hold):
                changing.append(experiment)
            elif seen.at_goal or seen.analysis.verdicts != experiment.seen:
                await store(
                    session, experiment, seen, Trigger.SCHEDULE if seen.at_goal else Trigger.TICK
                )
            else:
                remember(experiment, seen)
        await _lease(session, changing)
    claims = [Claim(experiment_id=found.id, fence=found.fence) for found in changing]
    return Survey(looked_at=len(experiments), claims=claims, failures=failures)


def _look(
    experiment: Experiment, evidence: ExperimentEvidence, now: datetime, interval: timedelta
) -> Look:
    at_goal = look_is_due(
        experiment.plan, experiment.progress, experiment.looked_at, now=now, tick=interval
    )
    return look(experiment, evidence, now, at_goal=at_goal)


def _decide(experiment: Experiment, seen: Look, now: datetime) -> Decision:
    return decide(experiment.plan, experiment.progress, seen.analysis, now=now)


async def _due(session: AsyncSession, beat: Beat) -> list[Experiment]:
    """Claim a batch, the latest first.

    An experiment that is due later than one interval from now was put off by a clock that has
    been set back since, so it is due as well.
    """
    due = (
        select(Experiment.id, Experiment.due_at)
        .where(
            Experiment.started_at.is_not(None),
            Experiment.finished_at.is_(None),
            or_(Experiment.due_at <= beat.began, Experiment.due_at > beat.began + beat.interval),
            or_(Experiment.lease_until.is_(None), Experiment.lease_until <= func.now()),
        )
        .order_by(Experiment.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claim = (
        update(Experiment)
        .where(Experiment.id == due.c.id)
        .values(
            fence=Experiment.fence + 1,
            due_at=beat.began + EARLY * beat.interval,
            lease_until=None,
        )
        .returning(Experiment, due.c.due_at.label("was_due"))
        .execution_options(synchronize_session=False)
    )
    rows = sorted(await session.execute(claim), key=lambda row: row.was_due)
    for row in rows:
        telemetry.TICK_LATENESS.observe(max(0.0, (beat.began - row.was_due).total_seconds()))
    return [row.Experiment for row in rows]


async def _lease(session: AsyncSession, experiments: list[Experiment]) -> None:
    if experiments:
        ids = [experiment.id for experiment in experiments]
        until = func.now() + LEASE  # the database's clock: the workers' need not agree
        await session.execute(
            update(Experiment).where(Experiment.id.in_(ids)).values(lease_until=until)
        )


async def _settle(sessions: Sessions, claim: Claim, beat: Beat) -> None:
    """Carry out what was found; where the winner may not be promoted, conclude without."""
    try:
        async with transaction(sessions) as session:
            taken = await _carry_out(session, claim, beat, refusal=None)
    except Refusal as refusal:
        taken = await _without_winner(sessions, claim, beat, refusal)
    if taken is not None:
        identity = str(claim.experiment_id)
        telemetry.log.info(f"experiment {taken.event}", experiment=identity, reason=taken.reason)


async def _without_winner(
    sessions: Sessions, claim: Claim, beat: Beat, refusal: Refusal
) -> Transition | None:
    """Where not even the control can take the traffic, call somebody; it is tried again."""
    try:
        async with transaction(sessions) as session:
            return await _carry_out(session, claim, beat, refusal=refusal)
    except Refusal as again:
        async with transaction(sessions) as session:
            experiment = await queries.locked(session, claim.experiment_id)
            if experiment.fence == claim.fence:
                await alarm.not_ended(session, experiment, again, now=beat.clock())
        return None


async def _carry_out(
    session: AsyncSession, claim: Claim, beat: Beat, *, refusal: Refusal | None
) -> Transition | None:
    """Look again under the lock: since the survey, a person or another worker may have acted."""
    experiment = await session.scalar(
        select(Experiment)
        .where(Experiment.id == claim.experiment_id, Experiment.fence == claim.fence)
        .with_for_update()
    )
    if experiment is None:
        return None
    now = beat.clock()
    evidence = (await queries.evidence(session, [experiment]))[experiment.id]
    seen = _look(experiment, evidence, now, beat.interval)
    decision = _decide(experiment, seen, now)
    if isinstance(decision, Hold):
        experiment.lease_until = None
        return None
    if refusal is not None:
        decision = unpromoted(experiment.plan, decision, refusal)
    ends = decision.progress.status.terminal
    analysis = await store(session, experiment, seen, Trigger.END if ends else Trigger.TICK)
    await apply(session, experiment, decision, analysis, actor=WORKER, now=now)
    return decision
