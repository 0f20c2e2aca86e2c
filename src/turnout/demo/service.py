"""The service that is demonstrated: a process of its own, spoken to over HTTP alone."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

HOST: Final = "127.0.0.1"
READY_WITHIN: Final = 60.0
STOPPED_WITHIN: Final = 30.0
LOG: Final = "serve.log"

UNANSWERED: Final = (aiohttp.ClientError, TimeoutError)
PATIENCE: Final = aiohttp.ClientTimeout(total=15)
GLANCE: Final = aiohttp.ClientTimeout(total=2)

View = TypeVar("View")


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    content: bytes

    @property
    def good(self) -> bool:
        return self.status < 300

    def __str__(self) -> str:
        return f"{self.status}: {self.content.decode(errors='replace')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the demo asks of it: everything is in the public HTTP contract.

    Hundreds of requests a second come from here, on the cores that are to answer them: that is
    why the client is aiohttp, which costs a fraction of httpx2.
    """

    address: str
    client: aiohttp.ClientSession

    async def send(self, method: str, path: str, body: Any = None, *, view: type[View]) -> View:
        """Send JSON, or bytes as they are, and read what is answered."""
        try:
            reply = await self.ask(method, path, body)
        except UNANSWERED as error:
            raise DemoFailed(
                f"{method} {path}: no answer ({type(error).__name__}: {error})"
            ) from error
        if not reply.good:
            raise DemoFailed(f"{method} {path} answered {reply}")
        return msgspec.json.decode(reply.content, type=view)

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """The same for those who take a refusal for an answer."""
        data: Any = None
        kind = "application/json"
        if isinstance(body, bytes):
            data, kind = BytesIO(body), "application/octet-stream"
        elif body is not None:
            data = msgspec.json.encode(body)
        async with self.client.request(
            method, f"{self.address}/api/v1{path}", data=data, headers={"content-type": kind}
        ) as response:
            return Reply(status=response.status, content=await response.read())

    async def read(self, path: str, view: type[View]) -> View:
        return await self.send("GET", path, view=view)


def free_port(wanted: int = 0) -> int:
    """The port that is wanted, or any; refused when taken, lest the demo talk to a stranger."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise DemoFailed(f"port {wanted} cannot be used: {error.strerror}") from error
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(data_dir: Path, port: int) -> AsyncIterator[Service]:
    """Run `turnout serve` on a directory of its own; on the way out, stop it and its database."""
    address = f"http://{HOST}:{port}"
    process = await _start(data_dir, port)
    try:
        async with aiohttp.ClientSession(timeout=PATIENCE) as client:
            await _ready(client, address, process, data_dir)
            yield Service(address=address, client=client)
    finally:
        await _stop(process)


async def _start(data_dir: Path, port: int) -> asyncio.subprocess.Process:
    # Neither the environment nor an .env file of the user's may lead it to a real database.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")
    }
    command = ["-m", "turnout", "serve", "--host", HOST, "--port", str(port)]
    with (data_dir / LOG).open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--data-dir",
            str(data_dir),
            cwd=data_dir,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C is for the demo, which then stops the service in order
        )


async def _ready(
    client: aiohttp.ClientSession,
    address: str,
    process: asyncio.subprocess.Process,
    data_dir: Path,
) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN):
            while process.returncode is None:
                with suppress(*UNANSWERED):  # it does not listen yet
                    async with client.get(f"{address}/readyz", timeout=GLANCE) as response:
                        if response.ok:
                            return
                await asyncio.sleep(0.05)
        trouble = f"ended with exit status {process.returncode}"
    except TimeoutError:
        trouble = f"was not ready within {READY_WITHIN:.0f} s"
    last_words = (data_dir / LOG).read_text(errors="replace").splitlines()[-15:]
    raise DemoFailed("\n".join([f"`turnout serve` {trouble}. The end of its log:", *last_words]))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOPPED_WITHIN)
    except TimeoutError:
        process.kill()
        await process.wait()
