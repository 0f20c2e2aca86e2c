"""The worker's backups: one in a while, by one of the workers."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.alerts import commands as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.backup import commands
from turnout.backup.tables import BackupRow
from turnout.db import Sessions, transaction
from turnout.settings import Settings

LOCK: Final = 0x6261636B
CAUSE: Final = "backup"
RETRY: Final = timedelta(hours=1)
"""After a failure, or when whoever began it has died."""


async def back_up_if_due(sessions: Sessions, settings: Settings, *, now: datetime) -> None:
    """Make a backup if the last good one is old enough, and remove those kept long enough.

    Of several workers, one makes it: the claim is a row. What fails is written down, fires an
    alert, and is tried again an hour later.
    """
    if settings.backup_hours is None:
        return
    claimed = await _claim(sessions, now, timedelta(hours=settings.backup_hours))
    if claimed is None:
        return
    found: dict[str, object]
    try:
        commands.sweep(settings.backup_directory, now=now)
        made = await commands.make(await _address(sessions), settings, None, now=now)
        found = {"path": str(made.path), "size": made.size}
        telemetry.log.info("backup made", **found)
    except Exception as error:  # noqa: BLE001  (whatever it was, it belongs into the row)
        found = {"error": str(error)}
        telemetry.log.error("backup failed", exc_info=error)
    async with transaction(sessions) as session:
        done = update(BackupRow).where(BackupRow.id == claimed)
        await session.execute(done.values(finished_at=now, **found))
        await _tell(session, found.get("error"), now=now)
    if "error" not in found:
        kept = timedelta(days=settings.backup_retention_days)
        commands.remove_outlived(settings.backup_directory, now=now, kept=kept)


async def _tell(session: AsyncSession, error: object, *, now: datetime) -> None:
    if error is None:
        await alerts.resolve(session, cause=CAUSE, reason="a backup was made", now=now)
        return
    await alerts.fire(
        session,
        cause=CAUSE,
        kind=Kind.BACKUP,
        severity=Severity.CRITICAL,
        subject="backups",
        model=None,
        summary=f"the scheduled backup failed, and is tried again every hour: {error}",
        data={"error": error},
        now=now,
    )


async def _address(sessions: Sessions) -> str:
    async with sessions() as session:
        engine = (await session.connection()).engine
        return engine.url.render_as_string(hide_password=False)


async def _claim(sessions: Sessions, now: datetime, every: timedelta) -> int | None:
    async with transaction(sessions) as session:
        await session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        newest = select(BackupRow).order_by(BackupRow.started_at.desc(), BackupRow.id.desc())
        last = await session.scalar(newest.limit(1))
        if last is not None:
            made = last.finished_at is not None and last.error is None
            if now - last.started_at < (every if made else min(every, RETRY)):
                return None
        row = BackupRow(started_at=now)
        session.add(row)
        await session.flush()
        return row.id
