"""The product's own commands on a database of their own, for what is measured below HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout import db, embedded, migrations, telemetry
from turnout.db import Sessions
from turnout.registry import commands as registry
from turnout.registry.domain.version import NewVersion
from turnout.rollouts.commands.start import start
from turnout.rollouts.domain.plan import Launch
from turnout.rollouts.tables import Rollout
from turnout.settings import Settings

BASELINE = "1.0.0"
CANDIDATE = "2.0.0"
ACTOR = "benchmark"


@dataclass(frozen=True, slots=True)
class Database:
    engine: AsyncEngine
    sessions: Sessions

    async def execute(self, statement: str, **values: Any) -> list[Any]:
        async with db.transaction(self.sessions) as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []  # type: ignore[attr-defined]


@asynccontextmanager
async def migrated(data_dir: Path) -> AsyncIterator[Database]:
    """The embedded PostgreSQL, as durable as it is for everybody."""
    telemetry.configure_logs(Settings(data_dir=data_dir, log_level="warning"))
    async with embedded.running(data_dir) as url:
        engine = db.create_engine(url)
        await migrations.upgrade(engine)
        yield Database(engine, db.sessions(engine))
        await engine.dispose()


async def register(session: AsyncSession, model: str, *versions: str) -> None:
    for version in versions:
        await registry.register_version(
            session, model, NewVersion(version=version), actor=ACTOR, now=now(), reason=None
        )


async def launched(session: AsyncSession, model: str, launch: Launch) -> Rollout:
    return await start(session, model, launch, actor=ACTOR, now=now())


async def canary(session: AsyncSession, model: str) -> Rollout:
    """A model whose baseline answers 90 % of the traffic and whose candidate answers 10 %."""
    await register(session, model, BASELINE, CANDIDATE)
    await launched(session, model, Launch(candidate=BASELINE))
    return await launched(session, model, Launch(candidate=CANDIDATE))


def now() -> datetime:
    return datetime.now(UTC)
