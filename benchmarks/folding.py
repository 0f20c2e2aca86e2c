"""The fold, and what an evaluation costs after little and after much of it."""

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from benchmarks.database import Database, canary, migrated, now
from benchmarks.observed import USERS, predictions
from benchmarks.result import Result, note
from benchmarks.service import scratch
from turnout import db
from turnout.observations.commands import ensure_partitions, record_predictions
from turnout.observations.domain.prediction import uuid7
from turnout.rollouts.commands.apply import look_at
from turnout.rollouts.tables import Rollout
from turnout.settings import Settings
from turnout.worker import Worker

BATCH = 1_000
FEW = 10_000
MANY = 10_000_000
RECORDED = 1_000_000
"""Predictions on the disk. They are folded again and again until `MANY` are counted: totals do
not know one event from another, and an evaluation reads nothing but totals."""

EVALUATIONS = 500
EVENTS_PER_SECOND = 80_000
RATIO = 1.2

AGAIN = "UPDATE batch SET folded_at = NULL WHERE model_id = :model_id"


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result]:
    async with migrated(directory) as database:
        worker = Worker(settings=Settings(data_dir=directory), sessions=database.sessions)
        few = await _recorded(database, "little-used", FEW)
        await worker.fold()
        many = await _recorded(database, "much-used", RECORDED)
        speed = await _speed(database, worker, many)
        return [speed, await _evaluation(database, few, many)]


async def _recorded(database: Database, model: str, count: int) -> Rollout:
    source = random.Random(1)
    async with db.transaction(database.sessions) as session:
        await ensure_partitions(session, now=now())
        rollout = await canary(session, model)
    for _ in range(count // BATCH):
        at = now()
        rows = list(predictions(source, rollout, (uuid7(at) for _ in range(BATCH)), at))
        async with db.transaction(database.sessions) as session:
            await record_predictions(session, rollout.model_id, rows, now=at)
    note(f"recorded {count:,} predictions")
    return rollout


async def _speed(database: Database, worker: Worker, rollout: Rollout) -> Result:
    rates = []
    for folded in range(RECORDED, MANY + 1, RECORDED):
        start = time.perf_counter()
        await worker.fold()
        rates.append(RECORDED / (time.perf_counter() - start))
        note(f"{folded:,} events folded, the last {RECORDED:,} at {rates[-1]:,.0f}/s")
        await database.execute(AGAIN, model_id=rollout.model_id)
    median = statistics.median(rates)
    return Result(
        what=f"fold on one connection, events from {USERS:,} units",
        reach=f"≥ {EVENTS_PER_SECOND:,} events/s",
        measured=f"{median:,.0f} events/s ({min(rates):,.0f} to {max(rates):,.0f}"
        f" over {MANY / 1e6:g} million)",
        reached=median >= EVENTS_PER_SECOND,
    )


async def _evaluation(database: Database, few: Rollout, many: Rollout) -> Result:
    """One evaluation: read the evidence of a rollout and judge it; now the one, now the other."""
    seconds: tuple[list[float], list[float]] = [], []
    for _ in range(EVALUATIONS):
        for rollout, measured in zip((few, many), seconds, strict=True):
            async with db.transaction(database.sessions) as session:
                start = time.perf_counter()
                looks = await look_at(session, [rollout], now())
                measured.append(time.perf_counter() - start)
            evidence = looks[rollout.id].evidence
            assert evidence.candidate is not None
            assert evidence.baseline is not None
    a, b = (statistics.median(found) * 1000 for found in seconds)
    return Result(
        what=f"one evaluation at {MANY:,} folded events against {FEW:,}",
        reach=f"≤ {RATIO} × its time",
        measured=f"{b / a:.2f} × ({b:.2f} ms against {a:.2f} ms)",
        reached=b / a <= RATIO,
    )
