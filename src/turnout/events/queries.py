"""The outbox in the order in which it is read."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.events.domain import Event, EventType
from turnout.events.tables import EventCounter, EventRow


async def newest(session: AsyncSession) -> int:
    """The highest position there is; every event up to it can be read."""
    return (await session.scalars(select(EventCounter.last))).one()


async def events(session: AsyncSession, *, after: int, limit: int) -> list[Event]:
    """The events that follow a position. See `number`, which gives positions."""
    query = (
        select(EventRow).where(EventRow.position > after).order_by(EventRow.position).limit(limit)
    )
    return [_event(row) for row in await session.scalars(query)]


async def events_by_id(session: AsyncSession, ids: Collection[int]) -> dict[int, Event]:
    query = select(EventRow).where(among(EventRow.id, ids))
    query = query.execution_options(populate_existing=True)  # one may be numbered since
    return {row.id: _event(row) for row in await session.scalars(query)}


async def past(
    session: AsyncSession,
    *,
    types: Collection[EventType],
    model: str | None,
    before: int | None,
    limit: int,
) -> list[Event]:
    """Events of these types, newest first."""
    query = select(EventRow).where(EventRow.position.is_not(None), among(EventRow.type, types))
    if model is not None:
        query = query.where(EventRow.model == model)
    if before is not None:
        query = query.where(EventRow.position < before)
    query = query.order_by(EventRow.position.desc()).limit(limit)
    return [_event(row) for row in await session.scalars(query)]


async def unnumbered_since(session: AsyncSession) -> datetime | None:
    """When the oldest event happened that has no position yet."""
    return await session.scalar(select(func.min(EventRow.at)).where(EventRow.position.is_(None)))


def _event(row: EventRow) -> Event:
    return Event(
        id=row.id,
        position=row.position or 0,
        at=row.at,
        type=row.type,
        subject=row.subject,
        model=row.model,
        data=row.data,
    )
