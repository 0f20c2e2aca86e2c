from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import Select, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.events.domain import EventType
from turnout.events.tables import EventCounter, EventRow


def emit(
    session: AsyncSession,
    kind: EventType,
    *,
    subject: str,
    model: str | None,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    """Tell others of a change, in its own transaction: what is rolled back was never told.

    `subject` is the path of the thing, as in the audit log; deliveries about one subject keep
    their order. `data` is what they are told, in values that JSON can hold or pydantic can render.
    A trigger wakes who listens on `turnout_events` once it is committed.
    """
    session.add(
        EventRow(at=now, type=kind, subject=subject, model=model, data=to_jsonable_python(data))
    )


async def emit_now(
    session: AsyncSession,
    kind: EventType,
    *,
    subject: str,
    model: str | None,
    data: Mapping[str, Any],
    now: datetime,
) -> int:
    """As `emit`; written at once, for the id."""
    row = EventRow(at=now, type=kind, subject=subject, model=model, data=to_jsonable_python(data))
    session.add(row)
    await session.flush()
    return row.id


async def number(session: AsyncSession) -> None:
    """Give every committed event that has none its position: the next one, in order of ids.

    One numbers at a time, and commits before the next one begins; so whoever has read up to a
    position has missed none below it. What is still uncommitted is numbered later, and higher.
    Call it in a transaction of its own: others wait for its end.
    """
    waiting = exists().where(EventRow.position.is_(None))
    if not await session.scalar(select(waiting)):
        return
    last = (await session.scalars(select(EventCounter.last).with_for_update())).one()
    # A statement of its own, so that it sees what was numbered while this waited for the lock.
    found = (
        select(EventRow.id, func.row_number().over(order_by=EventRow.id).label("nth"))
        .where(EventRow.position.is_(None))
        .cte("found")
    )
    numbered = await session.execute(
        update(EventRow)
        .where(EventRow.id == found.c.id)
        .values(position=last + found.c.nth)
        .returning(EventRow.position)
        .execution_options(synchronize_session=False)
    )
    count = len(numbered.all())
    await session.execute(update(EventCounter).values(last=last + count))


async def forget(
    session: AsyncSession, *, before: datetime, up_to: int, keeping: Select[int]
) -> None:
    """Drop old events up to a position, except those whose ids `keeping` selects."""
    # Not NOT IN, which reads all of them for each event once they do not fit into memory.
    (wanted,) = keeping.subquery().columns
    kept = exists().where(wanted == EventRow.id)
    await session.execute(
        delete(EventRow).where(EventRow.at < before, EventRow.position <= up_to, ~kept)
    )
