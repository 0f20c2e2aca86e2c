"""The whole application on a port of its own, for clients that are not ours."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import Clock
from turnout.api import create_app
from turnout.settings import Settings


class Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    def install_signal_handlers(self) -> None:
        pass


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:
            assert not serving.done(), serving
            await asyncio.sleep(0.01)
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def address(engine: AsyncEngine, settings: Settings, clock: Clock) -> AsyncIterator[str]:
    async with listening(create_app(settings, engine, clock=clock)) as url:
        yield url


async def run(*command: str | Path, **variables: str) -> tuple[int, str]:
    """Run a client as a process; answers its exit code and what it said."""
    environment: Mapping[str, str] = {**os.environ, **variables}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def run_python(code: str, *arguments: str, **variables: str) -> str:
    status, said = await run(sys.executable, "-W", "ignore", "-c", code, *arguments, **variables)
    assert status == 0, said
    return said


async def key_of(client: AsyncClient, *, role: str) -> str:
    """A key of this role; the first one ends development mode, and is needed for the others."""
    made = await client.post("api-keys", json={"name": role, "role": role})
    assert made.status_code == 201, made.text
    key: str = made.json()["key"]
    client.headers.setdefault("X-API-Key", key)
    return key
