"""Start and stop the product's own processes for a measurement."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from httpx2 import Client, TransportError


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(url: str, process: subprocess.Popen[bytes], *, seconds: float = 60) -> None:
    """Poll closely: how long this takes is itself a figure of the table."""
    deadline = time.monotonic() + seconds
    with Client() as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
            try:
                if client.get(url).status_code == 200:
                    return
            except TransportError:
                pass
            time.sleep(0.005)
    raise RuntimeError(f"{url} did not answer 200 within {seconds} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@contextmanager
def running(
    command: str, data_dir: Path, *, database: str | None = None, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `turnout <command>` until ready; yields its address and its process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "TURNOUT_LOG_LEVEL": "warning", **settings}
    if database is not None:
        environment["TURNOUT_DATABASE_URL"] = database
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "turnout",
            command,
            "--port",
            str(port),
            "--data-dir",
            str(data_dir),
        ],
        env=environment,
    )
    try:
        wait_until(f"{url}/readyz", process)
        yield url, process
    finally:
        stop(process)


@contextmanager
def worker(data_dir: Path, *, database: str, **settings: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "turnout", "worker", "--data-dir", str(data_dir)],
        env={
            **os.environ,
            "TURNOUT_LOG_LEVEL": "warning",
            "TURNOUT_DATABASE_URL": database,
            **settings,
        },
    )
    try:
        yield
    finally:
        stop(process)


def resident_megabytes(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
