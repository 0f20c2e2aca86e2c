"""What is due by itself: runs of schedules, what the outbox tells, versions that came, rollouts
that ended. Each is one short transaction, and nothing here waits for anybody."""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.automation import queries
from turnout.automation.commands.record import WORKER, opened, step
from turnout.automation.domain.policy import NAMED_IN
from turnout.automation.domain.update import (
    OUTCOMES,
    Origin,
    UpdateState,
    UpdateTrigger,
    called_for_by,
)
from turnout.automation.tables import Update, UpdateCursor, UpdateSchedule
from turnout.db import Sessions, transaction
from turnout.events import queries as events
from turnout.events.domain import Event, EventType
from turnout.quantities import Clock
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, ModelRef
from turnout.rollouts import queries as rollouts

BATCH: Final = 200


async def tick(sessions: Sessions, *, clock: Clock) -> None:
    """Any number of workers may do this at once: each run of a schedule and each event is taken by
    one, in the transaction that opens its update."""
    while True:
        async with transaction(sessions) as session:
            if not await _open_due(session, now=clock()):
                break
    while True:
        async with transaction(sessions) as session:
            if not await _hear(session, now=clock()):
                break
    async with transaction(sessions) as session:
        await _receive_versions(session, now=clock())
    async with transaction(sessions) as session:
        await _settle(session, now=clock())


async def _open_due(session: AsyncSession, *, now: datetime) -> bool:
    """Open the update of one run that is due. Runs missed while no worker was there are one, and
    one that comes while the update before it has not ended is left out."""
    due = (
        select(UpdateSchedule)
        .where(UpdateSchedule.deleted_at.is_(None), UpdateSchedule.next_at <= now)
        .order_by(UpdateSchedule.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    schedule = await session.scalar(due)
    if schedule is None:
        return False
    slot, plan = schedule.next_at, schedule.plan
    schedule.next_at = plan.after(max(now, slot))
    if await queries.unfinished_of_schedule(session, schedule.id):
        telemetry.log.info("update left out", schedule=str(schedule.id), due=slot.isoformat())
        return True
    schedule.last_at = slot
    model = (await registry.models_by_id(session, [schedule.model_id]))[schedule.model_id]
    origin = Origin(
        trigger=UpdateTrigger.SCHEDULED,
        requested_by=schedule.created_by,
        reason=f"due at {slot:%Y-%m-%d %H:%M} UTC by {plan.cron} ({plan.zone})",
        schedule_id=schedule.id,
        slot=slot,
    )
    await opened(session, model, plan.update, origin, actor=WORKER, now=now)
    return True


async def _hear(session: AsyncSession, *, now: datetime) -> bool:
    """Open what the next events of the outbox call for."""
    cursor = await session.scalar(select(UpdateCursor).with_for_update(skip_locked=True))
    if cursor is None:
        return False
    told = await events.events(session, after=cursor.position, limit=BATCH)
    for event in told:
        match event.type:
            case EventType.RETRAINING_REQUESTED if "update" not in event.data:
                trigger = called_for_by(event.data.get("metric"))
                await _open_told(session, event, trigger, now=now)
            case EventType.VERSION_REGISTERED:
                await _open_new_data(session, event, now=now)
            case _:
                pass
    if told:
        cursor.position = told[-1].position
    return len(told) == BATCH


async def _open_told(
    session: AsyncSession,
    event: Event,
    trigger: UpdateTrigger,
    *,
    now: datetime,
    version_id: int | None = None,
    dataset_version: str | None = None,
) -> None:
    """Do as the model's policy says. What is called for again meanwhile is not done twice; each
    version that is new is seen to."""
    model = await _model(session, event)
    row = await queries.policy_row(session, model.id) if model else None
    wish = row.policy.wish(trigger) if row else None
    if model is None or row is None or wish is None:
        return
    if version_id is None and await queries.unfinished_by(session, model.id, trigger):
        return
    cause = str(event.data.get("reason") or event.type)
    origin = Origin(
        trigger=trigger,
        requested_by=row.set_by,
        reason=cause,
        cause=cause,
        version_id=version_id,
        dataset_version=dataset_version,
        event_id=event.id,
    )
    await opened(session, model, wish, origin, actor=WORKER, now=now)


async def _open_new_data(session: AsyncSession, event: Event, *, now: datetime) -> None:
    """Open an update to the first version that was trained on a version of the data."""
    model = await _model(session, event)
    if (
        model is None
        or (await queries.policy(session, model.id)).wish(UpdateTrigger.NEW_DATA) is None
    ):
        return
    ids = await registry.version_ids(session, model.id, [event.data["version"]])
    version_id = ids.get(event.data["version"])
    details = await registry.details(session, [version_id]) if version_id else {}
    said = details.get(version_id) if version_id else None
    if said is None or said.dataset_version is None or NAMED_IN in said.metadata:
        return
    trained = await registry.trained_on(session, model.id, said.dataset_version)
    if trained[:1] == [version_id]:
        await _open_told(
            session,
            event,
            UpdateTrigger.NEW_DATA,
            now=now,
            version_id=version_id,
            dataset_version=said.dataset_version,
        )


async def _model(session: AsyncSession, event: Event) -> ModelRef | None:
    try:
        return await registry.model(session, event.model or "")
    except ModelNotFound:
        return None


async def _receive_versions(session: AsyncSession, *, now: datetime) -> None:
    """Queue the updates whose version has been registered, and end those that waited in vain."""
    waiting = (
        select(Update)
        .where(Update.finished_at.is_(None), Update.state == UpdateState.TRAINING)
        .order_by(Update.id)
        .with_for_update(skip_locked=True)
    )
    updates = (await session.scalars(waiting)).all()
    if not updates:
        return
    named = await registry.versions_naming(session, NAMED_IN, [str(one.id) for one in updates])
    came = {(name, model_id): version_id for name, model_id, version_id in named}
    versions = await registry.versions_by_id(session, came.values())
    for update in updates:
        version_id = came.get((str(update.id), update.model_id))
        if version_id is not None:
            update.version_id = version_id
            reason = f"{versions[version_id].version} was registered for it"
            await step(session, update, UpdateState.QUEUED, reason, now=now)
        elif update.due_at <= now:
            reason = "no version was registered for it in time"
            await step(session, update, UpdateState.FAILED, reason, now=now)


async def _settle(session: AsyncSession, *, now: datetime) -> None:
    """End the updates whose rollouts have ended."""
    rolling = (
        select(Update)
        .where(Update.state == UpdateState.ROLLING_OUT)
        .order_by(Update.id)
        .with_for_update(skip_locked=True)
    )
    updates = {
        update.rollout_id: update
        for update in await session.scalars(rolling)
        if update.rollout_id is not None
    }
    ended = await rollouts.ended(session, updates) if updates else ()
    steps = await rollouts.newest_steps(session, ended)
    for rollout in ended:
        state = OUTCOMES[rollout.progress.phase]
        reason = f"{rollout.progress.phase}: {steps[rollout.id].reason}"
        await step(session, updates[rollout.id], state, reason, now=now)
