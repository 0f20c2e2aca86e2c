from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation.domain.policy import UpdatePolicy
from turnout.automation.domain.statistics import Ended
from turnout.automation.domain.update import (
    ScheduleNotFound,
    UpdateNotFound,
    UpdateState,
    UpdateTrigger,
)
from turnout.automation.tables import Update, UpdatePolicyRow, UpdateSchedule, UpdateStep
from turnout.db import among
from turnout.registry import queries as registry


async def update(session: AsyncSession, update_id: UUID) -> Update:
    found = await session.get(Update, update_id)
    if found is None:
        raise UpdateNotFound(update_id)
    return found


async def locked(session: AsyncSession, update_id: UUID) -> Update:
    """The update as it is now; until the transaction ends nobody else can change it."""
    query = select(Update).where(Update.id == update_id).with_for_update()
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise UpdateNotFound(update_id)
    return found


async def updates(
    session: AsyncSession,
    *,
    model_id: int | None,
    state: UpdateState | None,
    limit: int,
    before: int | None,
) -> Sequence[Update]:
    """Newest first, asked for before number `before`."""
    query = select(Update).order_by(Update.seq.desc()).limit(limit)
    if model_id is not None:
        query = query.where(Update.model_id == model_id)
    if state is not None:
        query = query.where(Update.state == state)
    if before is not None:
        query = query.where(Update.seq < before)
    return (await session.scalars(query)).all()


async def steps(session: AsyncSession, update_id: UUID) -> Sequence[UpdateStep]:
    query = select(UpdateStep).where(UpdateStep.update_id == update_id).order_by(UpdateStep.step)
    return (await session.scalars(query)).all()


async def attempts_at_validating(session: AsyncSession, update_id: UUID) -> int:
    """How many times its rules were begun to be checked since it was its turn."""
    its = select(UpdateStep).where(UpdateStep.update_id == update_id)
    queued = its.where(UpdateStep.state == UpdateState.QUEUED)
    turn = queued.with_only_columns(func.max(UpdateStep.step)).scalar_subquery()
    begun = its.where(UpdateStep.state == UpdateState.VALIDATING, UpdateStep.step > turn)
    return await session.scalar(begun.with_only_columns(func.count())) or 0


async def models_of(session: AsyncSession, update_id: UUID) -> list[str]:
    return await _models(session, (await update(session, update_id)).model_id)


async def models_of_schedule(session: AsyncSession, schedule_id: UUID) -> list[str]:
    return await _models(session, (await schedule(session, schedule_id)).model_id)


async def _models(session: AsyncSession, model_id: int) -> list[str]:
    found = await registry.models_by_id(session, [model_id])
    return [model.name for model in found.values()]


async def schedule(session: AsyncSession, schedule_id: UUID) -> UpdateSchedule:
    query = select(UpdateSchedule).where(
        UpdateSchedule.id == schedule_id, UpdateSchedule.deleted_at.is_(None)
    )
    found = await session.scalar(query.with_for_update())
    if found is None:
        raise ScheduleNotFound(schedule_id)
    return found


async def schedules(
    session: AsyncSession, model_id: int, *, limit: int, after: int | None
) -> Sequence[UpdateSchedule]:
    """Oldest first, made after number `after`."""
    query = select(UpdateSchedule).where(
        UpdateSchedule.model_id == model_id, UpdateSchedule.deleted_at.is_(None)
    )
    if after is not None:
        query = query.where(UpdateSchedule.seq > after)
    return (await session.scalars(query.order_by(UpdateSchedule.seq).limit(limit))).all()


async def policy_row(session: AsyncSession, model_id: int) -> UpdatePolicyRow | None:
    return await session.get(UpdatePolicyRow, model_id, populate_existing=True)


async def policy(session: AsyncSession, model_id: int) -> UpdatePolicy:
    """What was set for a model, or the standard rules."""
    row = await policy_row(session, model_id)
    return row.policy if row else UpdatePolicy()


async def unfinished_of_schedule(session: AsyncSession, schedule_id: UUID) -> bool:
    query = select(Update.id).where(Update.schedule_id == schedule_id, Update.finished_at.is_(None))
    return await session.scalar(query.limit(1)) is not None


async def unfinished_by(session: AsyncSession, model_id: int, trigger: UpdateTrigger) -> bool:
    query = select(Update.id).where(
        Update.model_id == model_id, Update.trigger == trigger, Update.finished_at.is_(None)
    )
    return await session.scalar(query.limit(1)) is not None


async def ended_since(
    session: AsyncSession, since: datetime, *, model_ids: Collection[int] | None
) -> list[Ended]:
    query = select(
        Update.trigger,
        Update.state,
        (Update.finished_at - func.coalesce(Update.started_at, Update.created_at)).label("took"),
    ).where(Update.finished_at >= since)
    if model_ids is not None:
        query = query.where(among(Update.model_id, model_ids))
    return [Ended(**row) for row in (await session.execute(query)).mappings()]


async def unfinished_of(session: AsyncSession, model_ids: Collection[int]) -> Sequence[Update]:
    """The updates of these models that are not over, in the order in which they were asked for."""
    query = select(Update).where(among(Update.model_id, model_ids), Update.finished_at.is_(None))
    return (await session.scalars(query.order_by(Update.seq))).all()


async def unfinished(
    session: AsyncSession, *, model_ids: Collection[int] | None = None
) -> Mapping[UpdateState, int]:
    query = select(Update.state, func.count().label("updates")).where(Update.finished_at.is_(None))
    if model_ids is not None:
        query = query.where(among(Update.model_id, model_ids))
    rows = await session.execute(query.group_by(Update.state))
    return Counter({UpdateState(row.state): row.updates for row in rows})
