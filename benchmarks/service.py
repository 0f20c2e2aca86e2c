"""Start and stop processes of the product, and others, for a measurement."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx2 import Client, TransportError


@dataclass(frozen=True, slots=True)
class Service:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def maps(self, package: str) -> bool:
        """Whether a compiled module of the package is mapped into the process."""
        return f"/{package}/" in Path(f"/proc/{self.process.pid}/maps").read_text()


def beside(name: str) -> str:
    """A script that stands beside this module."""
    return str(Path(__file__).with_name(name))


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as directory:
        yield Path(directory)


def environment() -> dict[str, str]:
    """Everything as it is for a user who has set nothing: default settings, cached bytecode."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TURNOUT_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "TURNOUT_LOG_LEVEL": "warning"}


@contextmanager
def turnout(
    command: str, data_dir: Path, *, program: Sequence[str] = ("-m", "turnout")
) -> Iterator[Service]:
    """Run a command of the product until it is ready, and stop it at the end."""
    with server(data_dir, *program, command, "--data-dir", str(data_dir)) as service:
        yield service


@contextmanager
def server(directory: Path, *arguments: str) -> Iterator[Service]:
    """Run Python with these arguments and a `--port` until it is ready, and stop it at the end."""
    directory.mkdir(exist_ok=True)
    port = _free_port()
    command = [sys.executable, *arguments, "--port", str(port)]
    process = subprocess.Popen(command, env=environment(), cwd=directory)
    try:
        service = Service(port, process)
        _wait_until_ready(service)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(service: Service, *, seconds: float = 120) -> None:
    """Poll closely: how long this takes is itself a figure of the table."""
    deadline = time.monotonic() + seconds
    with Client() as client:
        while time.monotonic() < deadline:
            if service.process.poll() is not None:
                raise RuntimeError(f"{service.process.args!r} ended by itself")
            try:
                if client.get(f"{service.url}/readyz").status_code == 200:
                    return
            except TransportError:
                pass
            time.sleep(0.01)
    raise RuntimeError(f"{service.process.args!r} was not ready within {seconds} s")
