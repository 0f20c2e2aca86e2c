"""Processes that use the embedded database, and the processes that they make it start."""

import asyncio
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from turnout import embedded

PATIENCE = 20.0
"""Seconds after which a state that must come is taken for missing."""

USER = """
import asyncio, sys
from pathlib import Path
from turnout import embedded

async def use():
    left = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, left.set)
    async with embedded.running(Path(sys.argv[1]), durable=False) as url:
        print(url, flush=True)
        await left.wait()

asyncio.run(use())
"""
"""A process that uses the database until its standard input ends."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS has neither /proc nor prctl")

User = asyncio.subprocess.Process


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def connection(data_dir: Path) -> AsyncIterator[asyncpg.Connection]:
    async with embedded.running(data_dir, durable=False) as url, connected(url) as db:
        yield db


@asynccontextmanager
async def user(data_dir: Path, program: str = USER) -> AsyncIterator[tuple[User, str]]:
    """Another process that uses the database, leading its own group as one in a terminal does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, data_dir),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (line := await process.stdout.readline()).startswith(b"postgresql"):
                assert line, "the process ended before it could use the database"
        yield process, line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await ended(process)


async def ended(process: User) -> None:
    async with asyncio.timeout(PATIENCE):
        await process.wait()


async def leave(process: User) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await ended(process)
    assert process.returncode == 0


async def stopped(data_dir: Path) -> None:
    """Return when no process of guard and server is left, for each of them holds the lock."""
    with (data_dir / "postgres" / "lock").open() as lock:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
                else:
                    return


def hand_over(*paths: Path) -> None:
    """Give what a test has made to the user who runs the server."""
    for path in paths:
        os.chown(path, *embedded._owners()[0])


def pid_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "data" / "postmaster.pid"


def server(data_dir: Path) -> int:
    return int(pid_file(data_dir).read_text().split()[0])


def status(pid: int, field: str) -> str:
    found = re.search(rf"^{field}:\s+(.+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def guard(data_dir: Path) -> int:
    return int(status(server(data_dir), "PPid"))


async def note(db: asyncpg.Connection, words: str) -> None:
    await db.execute("INSERT INTO note VALUES ($1)", words)


async def notes(db: asyncpg.Connection) -> list[str]:
    return [row["words"] for row in await db.fetch("SELECT words FROM note")]
