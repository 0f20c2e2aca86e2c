"""What alembic runs: on the connection it is handed, or on the database of the settings."""

import asyncio
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, Enum

import turnout.access.tables
import turnout.alerts.tables
import turnout.automation.tables
import turnout.backup.tables
import turnout.delivery.tables
import turnout.drift.tables
import turnout.events.tables
import turnout.experiments.tables
import turnout.gates.tables
import turnout.idempotency
import turnout.interop.classic.tables
import turnout.monitoring.tables
import turnout.observations.feature_tables
import turnout.observations.tables
import turnout.registry.tables
import turnout.rollouts.tables
import turnout.traffic.tables  # noqa: F401  (each import adds a slice's tables to the metadata)
from turnout.db import Base, Json, create_engine
from turnout.settings import Settings


def _ours(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Leave out the daily partitions, which the service makes and drops by itself."""
    return not (kind in {"table", "index"} and reflected and "_p2" in (name or ""))


def _plainly(kind: str, thing: Any, writer: Any) -> str | Literal[False]:
    """Write the types of a migration without naming the program's own, which may change."""
    if kind == "type" and isinstance(thing, Json):
        return "postgresql.JSONB()"
    if kind == "type" and isinstance(thing, Enum):
        return f"sa.String({thing.length})"
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=_ours,
        render_item=_plainly,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_configured_database() -> None:
    url = Settings().database_url
    if url is None:
        raise SystemExit("set TURNOUT_DATABASE_URL to the database to compare with")
    engine = create_engine(url.get_secret_value())
    async with engine.begin() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


if (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    asyncio.run(_migrate_configured_database())
