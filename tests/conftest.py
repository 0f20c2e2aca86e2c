"""Fixtures: one database server per test process, a savepoint or a clone per test, a movable clock.

`session` and `client` share one transaction that is rolled back at the end (half a millisecond).
`sessions` and `live_client` work on a clone of the template database (forty milliseconds): for
tests that need several connections, real commits or the running gateway.
"""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import hypothesis
import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool

from turnout import db, embedded, migrations
from turnout.api import create_app
from turnout.db import Sessions
from turnout.settings import Settings

hypothesis.settings.register_profile(
    "turnout",
    deadline=None,  # machines differ, and are busy
    suppress_health_check=(hypothesis.HealthCheck.too_slow,),
)
hypothesis.settings.load_profile("turnout")

# Tests make and delete hundreds of databases, of a thousand files each, and journeys wait for the
# disk to have what they commit. In memory, where there is room, that is half the CPU and no wait.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 8 << 30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# What a shell runs in the background ignores SIGINT, and so would all that the tests start: they
# could not stop it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SERVER = "TURNOUT_TEST_SERVER"
"""A PostgreSQL server to test on instead of the embedded one; databases are made and dropped."""

NAMES = itertools.count()


FIRST = (
    "tests/faults/",
    "tests/journeys/",
    "tests/demo/",
    "tests/client/test_process.py",
    "tests/delivery/test_cli.py",
    "tests/generated_client/",
    "tests/backup/",
    "tests/embedded/",
    "tests/test_contract.py",
)
"""What takes long, or waits for processes. Last, it would keep one worker of pytest at it while the
others have nothing left; first, others use the time that it waits."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long first. On a server of one's own, run what touches it: the rest says the
    same as without."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    if SERVER not in os.environ:
        return
    touching = [item for item in items if "server" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(touching)])
    items[:] = touching


@dataclass
class Clock:
    """The application's clock in tests: it moves when a test says so."""

    now: datetime = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(  # type: ignore[call-arg]
        _env_file=None,
        data_dir=tmp_path,
        allow_unauthenticated=True,  # tests call under a name that is not this machine's
        record_flush_seconds=0.01,
    )


def on(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


async def administer(server: str, statement: str) -> None:
    address = make_url(server).set(drivername="postgresql")
    connection = await asyncpg.connect(address.render_as_string(hide_password=False))
    await connection.execute(statement)
    await connection.close()


@asynccontextmanager
async def clone(server: str, template: str, name: str) -> AsyncIterator[str]:
    """The address of a database of one's own. Its files are copied: to log each page of them takes
    the server several times as long."""
    await administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield on(server, name)
    await administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[str]:
    """The address of a server with an empty default database."""
    if given := os.environ.get(SERVER):
        yield str(db.database_url(given).render_as_string(hide_password=False))
        return
    with tempfile.TemporaryDirectory(prefix="turnout-tests-") as directory:
        async with embedded.running(Path(directory), durable=False) as url:
            yield url


@pytest.fixture(scope="session")
async def template(server: str) -> AsyncIterator[str]:
    """The name of a migrated database that tests clone."""
    name = f"turnout_template_{os.getpid()}"
    await administer(server, f"DROP DATABASE IF EXISTS {name}")
    await administer(server, f"CREATE DATABASE {name}")
    engine = create_async_engine(on(server, name), poolclass=NullPool)
    await migrations.upgrade(engine)
    await engine.dispose()
    yield name
    await administer(server, f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
async def shared_engine(server: str, template: str) -> AsyncIterator[AsyncEngine]:
    """The database whose changes are always rolled back."""
    async with clone(server, template, f"turnout_shared_{os.getpid()}") as address:
        engine = db.create_engine(address, pool_size=2)
        yield engine
        await engine.dispose()


@pytest.fixture
async def connection(shared_engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with shared_engine.connect() as connection:
        transaction = await connection.begin()
        yield connection
        await transaction.rollback()


@pytest.fixture
def joined(connection: AsyncConnection) -> Sessions:
    """Sessions inside the test's transaction: their commits are savepoints."""
    return async_sessionmaker(
        connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
    )


@pytest.fixture
async def session(joined: Sessions) -> AsyncIterator[AsyncSession]:
    async with joined() as session:
        yield session


@pytest.fixture
async def client(
    shared_engine: AsyncEngine, joined: Sessions, settings: Settings, clock: Clock
) -> AsyncIterator[AsyncClient]:
    """The application on the test's transaction; the gateway is not started."""
    app = create_app(settings, shared_engine, clock=clock)
    app.state.resources = replace(app.state.resources, sessions=joined)
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://test/api/v1/", timeout=30
    ) as client:
        yield client


@pytest.fixture
async def database(server: str, template: str) -> AsyncIterator[str]:
    """The address of this test's own database."""
    async with clone(server, template, f"turnout_test_{os.getpid()}_{next(NAMES)}") as address:
        yield address


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = db.create_engine(database, pool_size=4)
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return db.sessions(engine)


@pytest.fixture
async def live_client(
    engine: AsyncEngine, settings: Settings, clock: Clock
) -> AsyncIterator[AsyncClient]:
    """The whole application on its own database, gateway running."""
    app = create_app(settings, engine, clock=clock)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield await stack.enter_async_context(
            AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/", timeout=30)
        )
