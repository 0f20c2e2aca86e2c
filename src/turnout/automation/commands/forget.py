"""Drops what is over and has been kept long enough; the audit log still tells of it."""

from datetime import datetime, timedelta

from sqlalchemy import delete, exists
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation.tables import Update, UpdateSchedule


async def forget(session: AsyncSession, *, now: datetime, days: int) -> None:
    """Drop updates that ended so long ago, with their steps, and schedules that were ended so long
    ago and have no update left."""
    before = now - timedelta(days=days)
    await session.execute(delete(Update).where(Update.finished_at < before))
    kept = exists().where(Update.schedule_id == UpdateSchedule.id)
    await session.execute(delete(UpdateSchedule).where(UpdateSchedule.deleted_at < before, ~kept))
