"""A worker's beat over many live rollouts of which none is due to change."""

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import uvloop

from benchmarks.database import Database, canary, migrated, now
from benchmarks.observed import predictions
from benchmarks.result import Result, note
from benchmarks.service import scratch
from turnout import db
from turnout.observations.commands import ensure_partitions, record_predictions
from turnout.observations.domain.prediction import uuid7
from turnout.rollouts.commands.tick import tick
from turnout.rollouts.tables import Rollout
from turnout.settings import Settings
from turnout.worker import Worker

ROLLOUTS = 1_000
PREDICTIONS = 200
BEATS = 9
SECONDS = 2.0

PUT_OFF = """
    UPDATE rollout SET due_at = late.due_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:due AS timestamptz[])) AS late (id, due_at)
    WHERE rollout.id = late.id
"""
LOOKED_AT = "SELECT rollout_id FROM rollout_look ORDER BY id"
STEPS = "SELECT count(*) FROM rollout_step WHERE actor = 'worker'"


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result]:
    settings = Settings(data_dir=directory)
    async with migrated(directory) as database:
        rollouts = await _live_rollouts(database)
        await Worker(settings=settings, sessions=database.sessions).fold()
        late = await _late(database, rollouts)
        first = await _beat(database, settings)
        looked_at = [row.rollout_id for row in await database.execute(LOOKED_AT)]
        in_order = looked_at == late
        note(f"first beat {first:.2f} s, served {'' if in_order else 'not '}in order of lateness")
        beats = []
        for _ in range(BEATS):
            beats.append(await _beat(database, settings))
            note(f"beat {beats[-1]:.2f} s")
        [(steps,)] = await database.execute(STEPS)
    if steps:
        raise RuntimeError(f"{steps} rollouts changed, and none was to")
    median = statistics.median(beats)
    return [
        Result(
            what=f"tick over {ROLLOUTS:,} live rollouts, nothing due to change",
            reach=f"≤ {SECONDS:g} s",
            measured=f"{median:.2f} s (worst of {len(beats)}: {max(beats):.2f} s; the first, which"
            f" stores {ROLLOUTS:,} verdicts: {first:.2f} s)",
            reached=median <= SECONDS,
        ),
        Result(
            what="the same: due rollouts are served",
            reach="in order of lateness",
            measured="in order of lateness" if in_order else "in another order",
            reached=in_order,
        ),
    ]


async def _live_rollouts(database: Database) -> list[Rollout]:
    source = random.Random(1)
    made = []
    async with db.transaction(database.sessions) as session:
        await ensure_partitions(session, now=now())
    for number in range(ROLLOUTS):
        async with db.transaction(database.sessions) as session:
            rollout = await canary(session, f"model-{number}")
            at = now()
            rows = predictions(source, rollout, (uuid7(at) for _ in range(PREDICTIONS)), at)
            await record_predictions(session, rollout.model_id, list(rows), now=at)
            made.append(rollout)
    note(f"started {len(made):,} rollouts")
    return made


async def _late(database: Database, rollouts: Sequence[Rollout]) -> list[object]:
    """Let the rollouts be due in another order than they were made, one every millisecond."""
    ids = [rollout.id for rollout in rollouts]
    random.Random(1).shuffle(ids)
    first = now() - timedelta(milliseconds=len(ids))
    due = [first + timedelta(milliseconds=place) for place in range(len(ids))]
    await database.execute(PUT_OFF, ids=ids, due=due)
    return list(ids)


async def _beat(database: Database, settings: Settings) -> float:
    """A beat at which every rollout is due."""
    await database.execute("UPDATE rollout SET due_at = least(due_at, now())")
    start = time.perf_counter()
    await tick(database.sessions, clock=now, interval=settings.tick_interval)
    return time.perf_counter() - start
