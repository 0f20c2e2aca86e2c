from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.events.domain import EventType
from turnout.events.tables import EventRow


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
