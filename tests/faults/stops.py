"""A worker is held at a named statement by the database, so the product needs no hook for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

PATIENCE = 120
"""Seconds, far more than anything here takes: what is waited for comes, or the test fails."""

GATE = 0x73746F70
HELD = f"""
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid = {GATE} AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A row that is written, and whoever writes it waits: behind the statement, or in COMMIT."""

    table: str
    write: str = "INSERT"
    when: str = "true"
    """A condition on the row, in SQL."""
    in_commit: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """A stop that is closed; whoever has come to it stands there until it opens."""

    connection: AsyncConnection

    async def reached(self) -> None:
        await until(self._held, "somebody at the gate")

    async def _held(self) -> bool:
        return (await self.connection.execute(text(HELD))).first() is not None

    async def open(self) -> None:
        await self.connection.execute(text(f"SELECT pg_advisory_unlock({GATE})"))

    async def cut(self) -> None:
        """Have the server lose the connection of whoever stands there, and what it has done."""
        await self.connection.execute(
            text(f"SELECT pg_terminate_backend(pid, 10000) FROM ({HELD}) held")
        )


@asynccontextmanager
async def closed(engine: AsyncEngine, stop: Stop) -> AsyncIterator[Gate]:
    """Close a gate behind this write. A process that dies there is not missed by the server before
    the gate opens or its connection is cut: then the statement is undone, but not a COMMIT."""
    timing = "DEFERRED" if stop.in_commit else "IMMEDIATE"
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"SELECT pg_advisory_lock({GATE})"))
        await connection.execute(
            text(f"""
                CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NULL; END $$
            """)
        )
        await connection.execute(
            text(f"""
                CREATE CONSTRAINT TRIGGER gate AFTER {stop.write} ON {stop.table}
                DEFERRABLE INITIALLY {timing} FOR EACH ROW WHEN ({stop.when})
                EXECUTE FUNCTION wait_at_the_gate()
            """)
        )
        gate = Gate(connection)
        try:
            yield gate
        finally:
            await gate.open()


async def until(happened: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not await happened():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {PATIENCE} s") from None
