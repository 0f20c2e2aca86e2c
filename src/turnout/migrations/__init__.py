"""The schema's history, inside the package so that an installed wheel can migrate its database."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

_LOCK: Final = 7_311_402_001
"""Advisory lock that processes starting at once queue behind."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def head() -> str | None:
    """Name the revision that this release of the program works with."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def revisions() -> frozenset[str]:
    """Name every revision that this release can bring to `head`."""
    history = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in history)


async def current(engine: "AsyncEngine") -> str | None:
    """Name the revision that the database is at."""
    async with engine.connect() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


async def upgrade(engine: "AsyncEngine") -> None:
    """Bring the database to `head`, all in one transaction: it is migrated in full or untouched."""
    async with engine.begin() as connection:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await connection.run_sync(_upgrade)


def _upgrade(connection: "Connection") -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
