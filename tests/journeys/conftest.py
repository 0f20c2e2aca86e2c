"""Journeys run the real thing: `turnout serve` in a process of its own, reached over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Client, TransportError


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(url: str, process: subprocess.Popen[bytes], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"turnout ended with {process.returncode} before it was ready")
        try:
            if Client().get(f"{url}/readyz").status_code == 200:
                return
        except TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"turnout was not ready within {seconds} s")


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("service")
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "turnout",
            "serve",
            "--port",
            str(port),
            "--data-dir",
            str(data_dir),
        ],
        env={**os.environ, "TURNOUT_TICK_SECONDS": "0.2", "TURNOUT_FOLD_SECONDS": "0.1"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield Service(url, data_dir, process)
    finally:
        if process.poll() is None:
            stop(process)


@pytest.fixture
def api(service: Service) -> Iterator[Client]:
    with Client(base_url=f"{service.url}/api/v1/", timeout=30) as client:
        yield client
