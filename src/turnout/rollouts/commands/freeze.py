from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.registry import queries as registry
from turnout.rollouts import queries
from turnout.rollouts.domain.freezes import FreezeWindows
from turnout.rollouts.tables import FreezeCalendar

_WINDOWS: Final = TypeAdapter(FreezeWindows)


async def set_freeze_windows(
    session: AsyncSession,
    model_name: str,
    windows: FreezeWindows,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Replace all windows of a model; rollouts under way obey from their next look on."""
    model = await registry.model(session, model_name)
    before = (await queries.freeze_windows(session, [model.id])).get(model.id)
    values: dict[str, Any] = {"windows": windows, "updated_at": now}
    await session.execute(
        insert(FreezeCalendar)
        .values(model_id=model.id, **values)
        .on_conflict_do_update(index_elements=[FreezeCalendar.model_id], set_=values)
    )
    audit(
        session,
        actor=actor,
        action="freeze_windows.set",
        subject=f"models/{model.name}/freeze-windows",
        before=_WINDOWS.dump_python(before, mode="json") if before else None,
        after=_WINDOWS.dump_python(windows, mode="json"),
        reason=windows.reason,
        now=now,
    )
