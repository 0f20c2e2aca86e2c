"""What it costs to ask how versions did in the last week, which was busy in every minute."""

import random
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import uvloop
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text

from benchmarks.database import Database, migrated, now, register
from benchmarks.result import Result, note
from benchmarks.service import scratch
from turnout import db
from turnout.api import create_app
from turnout.db import Base
from turnout.observations.commands import record_predictions
from turnout.observations.domain.cover import HOUR, MINUTE
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.registry import queries as registry
from turnout.settings import Settings
from turnout.worker import Worker

MODEL = "much-used"
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
PAST = timedelta(days=7) + 2 * HOUR
PER_MINUTE = 20
"""Predictions of one version."""

WEEKS = 30

ROUNDS = 40
ASKED = {
    "performance?window=7d": ("a week's figures of three versions over HTTP", 20.0),
    "performance/trends?hours=168": ("a week's trends by the hour", 60.0),
    "performance/history?window=7d&interval=1h": ("a week's history by the hour", 400.0),
}


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result]:
    settings = Settings(data_dir=directory)
    async with migrated(directory) as database:
        await _seen(database)
        await Worker(settings=settings, sessions=database.sessions).fold()
        await database.execute("ANALYZE")
        app = create_app(settings, database.engine)
        client = AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1/api/v1/")
        async with client:
            found = [
                _result(what, await _milliseconds(client, path), most)
                for path, (what, most) in ASKED.items()
            ]
            rows = await _multiply(database)
            path, (_, most) = next(iter(ASKED.items()))
            again = await _milliseconds(client, path)
            beside = f"the same beside {rows:,} rows of minutes, of {WEEKS} weeks"
            return [*found, _result(beside, again, most)]


def _result(what: str, milliseconds: float, most: float) -> Result:
    return Result(
        what=what,
        reach=f"≤ {most:g} ms",
        measured=f"{milliseconds:.1f} ms",
        reached=milliseconds <= most,
    )


async def _multiply(database: Database) -> int:
    """Have the minutes, hours and days of the week in the weeks before it, too."""
    for table, starts in (("minute_window", "minute"), ("long_window", "starts")):
        columns = [column.name for column in Base.metadata.tables[table].columns]
        moved = {starts: f"{starts} - week * interval '7 days'"}
        read = ", ".join(moved.get(name, name) for name in columns)
        await database.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {read} FROM {table}"
            f" CROSS JOIN generate_series(1, {WEEKS - 1}) AS week ON CONFLICT DO NOTHING"
        )
    await database.execute("ANALYZE")
    async with db.transaction(database.sessions) as session:
        return int(await session.scalar(text("SELECT count(*) FROM minute_window")) or 0)


async def _milliseconds(client: AsyncClient, path: str) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = await client.get(f"models/{MODEL}/{path}")
        taken.append(time.perf_counter() - start)
        answer.raise_for_status()
    return statistics.median(taken) * 1000


async def _seen(database: Database) -> None:
    async with db.transaction(database.sessions) as session:
        await register(session, MODEL, *VERSIONS)
        model = await registry.model(session, MODEL)
        versions = [(await registry.version(session, model.id, one)).id for one in VERSIONS]
    source = random.Random(1)
    until = now()
    at = until - PAST
    while at < until:
        rows = [
            _prediction(source, version_id, at + n * MINUTE)
            for n in range(60)
            for version_id in versions
            for _ in range(PER_MINUTE)
        ]
        async with db.transaction(database.sessions) as session:
            await record_predictions(session, model.id, rows, now=until)
        at += HOUR
    note(f"recorded {PAST / MINUTE:,.0f} minutes of {len(VERSIONS)} versions")


def _prediction(source: random.Random, version_id: int, at: datetime) -> Prediction:
    return Prediction(
        prediction_id=uuid7(at),
        version_id=version_id,
        split_id=None,
        unit=None,
        at=at,
        latency_ms=source.lognormvariate(3, 0.5),
        confidence=source.uniform(0.5, 1),
        error=source.random() < 0.01,
    )
