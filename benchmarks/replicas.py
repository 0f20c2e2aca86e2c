"""How long after the commit of a rollback every replica routes by it."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import uvloop

from benchmarks.database import (
    ACTOR,
    BASELINE,
    CANDIDATE,
    Database,
    launched,
    migrated,
    now,
    register,
)
from benchmarks.load import request
from benchmarks.result import Result, note
from benchmarks.service import Service, scratch, turnout
from turnout import db
from turnout.rollouts.commands.order import roll_back
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.plan import Launch, Strategy

REPLICAS = 4
ROUNDS = 200
QUANTILE = 0.99
MILLISECONDS = 100
WITHIN_SECONDS = 10
PAUSE_SECONDS = 0.001
"""Between two questions to a replica: the processes share the cores with the one that asks."""

MODEL = "fraud-detection"
QUESTION = request(f"/api/v1/models/{MODEL}/assign", b'{"unit": "user-42"}')
AGAIN = Launch(
    candidate=CANDIDATE,
    strategy=Strategy.REPLACE,
    override_quarantine=True,
    reason="once more, to be rolled back",
)


class Reply(msgspec.Struct):
    version: str


class Replica:
    """A kept connection to one API process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, service: Service) -> "Replica":
        return cls(*await asyncio.open_connection("127.0.0.1", service.port))

    async def routes_to(self, version: str) -> float:
        """Ask until the answer is this version; when that answer was there."""
        async with asyncio.timeout(WITHIN_SECONDS):
            while await self._version() != version:  # noqa: ASYNC110  (another process knows)
                await asyncio.sleep(PAUSE_SECONDS)
        return time.perf_counter()

    async def _version(self) -> str:
        self._writer.write(QUESTION)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        return msgspec.json.decode(await self._reader.readexactly(length), type=Reply).version

    def close(self) -> None:
        self._writer.close()


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield uvloop.run(_measure(directory))


async def _measure(directory: Path) -> Result:
    async with migrated(directory) as database:
        async with db.transaction(database.sessions) as session:
            await register(session, MODEL, BASELINE, CANDIDATE)
            await launched(session, MODEL, Launch(candidate=BASELINE))
        with ExitStack() as stack:
            services = [stack.enter_context(turnout("api", directory)) for _ in range(REPLICAS)]
            replicas = [await Replica.to(service) for service in services]
            seconds = sorted([await _round(database, replicas) for _ in range(ROUNDS)])
            for replica in replicas:
                replica.close()
    milliseconds = [found * 1000 for found in seconds]
    high = milliseconds[int(QUANTILE * ROUNDS) - 1]
    note(f"median {statistics.median(milliseconds):.1f} ms, worst {milliseconds[-1]:.1f} ms")
    return Result(
        what=f"commit of a rollback → all of {REPLICAS} API replicas route by it",
        reach=f"p99 ≤ {MILLISECONDS} ms",
        measured=f"p99 {high:.0f} ms (median {statistics.median(milliseconds):.0f} ms, worst of"
        f" {ROUNDS}: {milliseconds[-1]:.0f} ms)",
        reached=high <= MILLISECONDS,
    )


async def _round(database: Database, replicas: list[Replica]) -> float:
    """Put the candidate in force, roll it back, and time the last replica to send users home.

    The clock starts before the commit, which is as long as the disk takes, and stops when the
    answer has been read: both are against us.
    """
    async with db.transaction(database.sessions) as session:
        rollout = await launched(session, MODEL, AGAIN)
    await asyncio.gather(*(replica.routes_to(CANDIDATE) for replica in replicas))
    async with database.sessions() as session:
        await roll_back(session, rollout.id, Order(), actor=ACTOR, now=now())
        asking = [asyncio.create_task(replica.routes_to(BASELINE)) for replica in replicas]
        await asyncio.sleep(0)
        start = time.perf_counter()
        await session.commit()
    return max(await asyncio.gather(*asking)) - start
