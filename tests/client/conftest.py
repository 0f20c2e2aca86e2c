"""A service for both clients: it runs in the tests' event loop, they in their own thread."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import clone
from tests.events.test_stream import serving
from turnout import db
from turnout.api import create_app
from turnout.client import AsyncTurnout, Choice, Unavailable
from turnout.settings import Settings

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
async def engine(server: str, template: str) -> AsyncIterator[AsyncEngine]:
    """One database for all tests here: each has a model of its own."""
    async with clone(server, template, f"turnout_client_{os.getpid()}") as address:
        engine = db.create_engine(address, pool_size=4)
        yield engine
        await engine.dispose()


@pytest.fixture(scope="module")
async def url(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("data"))  # type: ignore[call-arg]
    async with serving(create_app(settings, engine)) as running:
        yield f"http://127.0.0.1:{running.config.port}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncTurnout]:
    async with AsyncTurnout(url) as client:
        yield client


@pytest.fixture
def model() -> str:
    return f"ticket-router-{next(NUMBERS)}"


@pytest.fixture
async def served(client: AsyncTurnout, model: str) -> str:
    """The name of a model of which 1.0.0 answers everything, and there is a 2.0.0."""
    await client.register_version(model, "1.0.0", metrics={"accuracy": 0.8})
    await client.promote(model, "1.0.0")
    await client.register_version(model, "2.0.0", metrics={"accuracy": 0.9})
    await until(lambda: known(client, model))
    return model


async def known(client: AsyncTurnout, model: str) -> Choice | None:
    try:
        return await client.select_version(model, "user-1")
    except Unavailable:  # a moment ago nothing served
        return None


async def until(find: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await find():
            await asyncio.sleep(0.005)


async def recorded(engine: AsyncEngine, model: str, columns: str) -> list[tuple[object, ...]]:
    query = (
        f"SELECT {columns} FROM prediction WHERE model_id = "
        "(SELECT id FROM model WHERE name = :model) ORDER BY unit"
    )
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query), {"model": model})]


async def register_next(client: AsyncTurnout, model: str) -> str:
    version = await client.next_version(model)
    await client.register_version(model, version)
    return version
