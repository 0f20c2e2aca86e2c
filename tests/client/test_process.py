"""The client through what happens to processes: a service that is killed, a program that forks."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.conftest import clone
from tests.processes import free_port, start, status, stop, wait_until
from turnout.client import Event, Turnout

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
    async with clone(server, template, f"turnout_processes_{os.getpid()}") as address:
        yield address


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
        heard: list[Event] = []
        client.on_rollback(heard.append)
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
        client.rollback(MODEL, "back to what is known")
        client.register_version(MODEL, "3.0.0")
        client.promote(MODEL, "3.0.0")
        wait_until(
            lambda: client.select_version(MODEL, "user").version == "3.0.0", "followed again"
        )
        wait_until(lambda: bool(heard), "the stream is taken up again")
        assert [event.data["candidate"] for event in heard] == ["2.0.0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
async def test_a_forked_process_sends_what_is_its_own(service: Service, database: str):
    with Turnout(service.url) as client:
        serve_first_version(client, "forked")

    program = [sys.executable, "-m", "tests.client.forking", service.url]
    subprocess.run(program, cwd=ROOT, check=True, timeout=120)  # noqa: ASYNC221

    assert await units(database, "forked") == ["child", "parent"]


class Channel(BaseHTTPRequestHandler):
    """What was posted to it, as Slack would show it."""

    said: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.said.append(json.loads(self.rfile.read(size))["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def channel() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_example_for_slack_tells_of_a_rollback(service: Service, channel: str):
    addresses = {"TURNOUT_URL": service.url, "SLACK_WEBHOOK_URL": channel}
    with Turnout(service.url) as client:
        serve_first_version(client, "told")
        client.register_version("told", "2.0.0")
        client.promote("told", "2.0.0", strategy="canary", stages=[{"weight": 100, "bake": "1h"}])
        program = subprocess.Popen(
            [sys.executable, "examples/tell_slack.py"],
            cwd=ROOT,
            env={**os.environ, **addresses},
            stdout=subprocess.PIPE,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == b"following\n"
        client.rollback("told", "customers complain")
        wait_until(lambda: bool(Channel.said), "the channel is told")

    stop(program)
    program.stdout.close()
    assert Channel.said == ["told 2.0.0 was rolled back: customers complain"]
