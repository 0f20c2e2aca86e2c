"""One partition a day for raw rows: made without stopping writers, dropped without waiting long."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.tables import OutcomeRow, PredictionRow
from turnout.telemetry import log

TABLES: Final = (PredictionRow.__tablename__, OutcomeRow.__tablename__)
MAKERS_LOCK: Final = 0x7475726E
PATIENCE_MS: Final = 200
LOCK_NOT_AVAILABLE: Final = "55P03"

_EXISTING = text(
    """
    SELECT parent.relname AS parent, child.relname AS name
    FROM pg_inherits
    JOIN pg_class AS parent ON parent.oid = inhparent
    JOIN pg_class AS child ON child.oid = inhrelid
    WHERE parent.oid = ANY(ARRAY[to_regclass('prediction'), to_regclass('outcome')]::oid[])
    """
)


def partition(table: str, day: date) -> str:
    return f"{table}_p{day:%Y%m%d}"


async def ensure(session: AsyncSession, days: Iterable[date]) -> None:
    """Make the partitions of these days that are missing.

    A table is made by itself and then attached, which takes a lock that readers and writers do
    not notice; `CREATE TABLE … PARTITION OF` would stop them all.
    """
    wanted = {partition(table, day): (table, day) for day in days for table in TABLES}
    if wanted.keys() <= {row.name for row in await session.execute(_EXISTING)}:
        return
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MAKERS_LOCK})
    existing = {row.name for row in await session.execute(_EXISTING)}
    for name, (table, day) in sorted(wanted.items()):
        if name not in existing:
            await session.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
            await session.execute(
                text(
                    f"ALTER TABLE {table} ATTACH PARTITION {name}"
                    f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
                )
            )


async def drop_before(session: AsyncSession, first: date) -> None:
    """Drop the partitions of days before `first`.

    Dropping locks the table for a moment, and the lock is held until the caller commits: do this
    last. Where a long reader would make us wait, and everyone behind us, the rest is left to the
    next time.
    """
    existing = (await session.execute(_EXISTING)).all()
    old = sorted(row.name for row in existing if row.name < partition(row.parent, first))
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_MS}ms'"))
            for name in old:
                await session.execute(text(f"DROP TABLE {name}"))
            await session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        log.info("old partitions are in use; dropping them later", partitions=old)
