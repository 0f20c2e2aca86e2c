"""The client through what happens to processes: a service that is killed, a program that forks."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.conftest import administer, on
from tests.processes import free_port, start, status, stop, wait_until
from turnout.client import Turnout

ROOT = Path(__file__).parents[2]
MODEL = "fraud-detection"


class Service:
    """`turnout api`, at one address and on one database however often it is started."""

    def __init__(self, database: str, data_dir: Path) -> None:
        self._database, self._data_dir = database, data_dir
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        self._process = start(
            "api",
            "--port",
            str(self._port),
            data_dir=self._data_dir,
            TURNOUT_DATABASE_URL=self._database,
        )
        wait_until(lambda: status(f"{self.url}/readyz") == 200, "turnout api ready")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=60)

    def stop(self) -> None:
        stop(self._process)


@pytest.fixture(scope="module")
async def database(server: str, template: str) -> AsyncIterator[str]:
    name = f"turnout_processes_{os.getpid()}"
    await administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield on(server, name)
    await administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def service(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(database, tmp_path_factory.mktemp("data"))
    yield service
    service.stop()


async def units(database: str, model: str) -> list[str]:
    """Whose predictions are recorded, each as often as it is."""
    engine = create_async_engine(database, poolclass=NullPool)
    query = (
        "SELECT unit FROM prediction WHERE model_id = (SELECT id FROM model WHERE name = :model)"
    )
    async with engine.connect() as connection:
        found = await connection.scalars(text(query), {"model": model})
        return sorted(found)


def serve_first_version(client: Turnout, model: str) -> None:
    client.register_version(model, "1.0.0")
    client.promote(model, "1.0.0")


async def test_while_the_service_is_away_choices_go_on_and_recordings_wait(
    service: Service, database: str
):
    with Turnout(service.url) as client:
        serve_first_version(client, MODEL)
        for n in range(1_000):
            client.record_prediction(client.select_version(MODEL, f"user-{n}"))
        service.kill()  # with a batch on its way, or written and not answered for
        for n in range(1_000, 2_000):
            client.record_prediction(client.select_version(MODEL, f"user-{n}"))
        assert client.recordings.waiting >= 1_000

        service.start()
        client.flush(timeout=60)

        assert client.recordings.taken == 2_000
        assert await units(database, MODEL) == sorted(f"user-{n}" for n in range(2_000))
        client.register_version(MODEL, "2.0.0")
        client.promote(MODEL, "2.0.0")
        wait_until(
            lambda: client.select_version(MODEL, "user").version == "2.0.0", "followed again"
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
async def test_a_forked_process_sends_what_is_its_own(service: Service, database: str):
    with Turnout(service.url) as client:
        serve_first_version(client, "forked")

    program = [sys.executable, "-m", "tests.client.forking", service.url]
    subprocess.run(program, cwd=ROOT, check=True, timeout=120)  # noqa: ASYNC221

    assert await units(database, "forked") == ["child", "parent"]
