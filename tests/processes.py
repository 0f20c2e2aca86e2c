"""Run the product's own commands as processes, for journeys and faults."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from httpx2 import Client, TransportError

Process = subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def status(url: str) -> int | None:
    """The status of a GET, or None when nobody answers."""
    try:
        # Certificates would take longer to load than all the rest, and are asked for many times.
        with Client(timeout=5, verify=False) as client:
            return client.get(url).status_code
    except TransportError:
        return None


def stop(process: Process) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(timeout=120)


def start(command: str, *arguments: str, data_dir: Path, **settings: str) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "turnout", command, *arguments, "--data-dir", str(data_dir)],
        env={
            **os.environ,
            "TURNOUT_TICK_SECONDS": "0.2",
            "TURNOUT_FOLD_SECONDS": "0.1",
            **settings,
        },
    )


@contextmanager
def listening(command: str, data_dir: Path, **settings: str) -> Iterator[tuple[str, Process]]:
    """Run `serve` or `api` until it is ready; yields its address and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(command, "--port", str(port), data_dir=data_dir, **settings)
    try:
        wait_until(
            lambda: process.poll() is not None or status(f"{url}/readyz") == 200,
            f"turnout {command} ready",
        )
        assert process.poll() is None, f"turnout {command} ended with {process.returncode}"
        yield url, process
    finally:
        stop(process)
