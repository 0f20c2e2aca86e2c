from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.backup.tables import BackupRow


async def newest(session: AsyncSession) -> datetime | None:
    """When the last scheduled backup that is good was begun; where none is, when one was first
    tried."""
    good = BackupRow.finished_at.is_not(None) & BackupRow.error.is_(None)
    last = func.max(BackupRow.started_at).filter(good)
    return await session.scalar(select(func.coalesce(last, func.min(BackupRow.started_at))))
