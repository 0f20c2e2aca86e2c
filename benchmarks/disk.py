"""What a busy day takes on the disk, and so what ninety of them take."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.database import Database, canary, migrated, now
from benchmarks.observed import predictions
from benchmarks.result import Result, Table, note
from benchmarks.service import scratch
from turnout import db
from turnout.observations.commands import ensure_partitions, record, record_predictions
from turnout.observations.domain.prediction import uuid7
from turnout.observations.wire import OutcomeLine, Submission
from turnout.rollouts.tables import Rollout
from turnout.settings import Settings
from turnout.worker import Worker

MODEL: Final = "much-used"
RECORDED: Final = 1_000_000
"""A tenth of the day that is spoken of; every minute of it is busy."""

DAY: Final = 10_000_000
DAYS: Final = 90
BATCH: Final = 2_000
LABELLED: Final = 0.1
"""Of the predictions: what came of them is told later."""

GIGABYTES: Final = 300
PARTS: Final = {
    "predictions": ("prediction", "prediction_%"),
    "outcomes": ("outcome", "outcome_%"),
    "totals by unit": (r"unit\_%",),
    "totals by minute, hour and day": (r"%\_window", r"%\_class", r"%\_outcome"),
}
"""Patterns of the tables' names. The first part that fits has a table."""

SIZES: Final = """
SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
  AND relname LIKE ANY(:patterns)
"""


def measure() -> Iterator[Result | Table]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result | Table]:
    settings = Settings(data_dir=directory)
    async with migrated(directory) as database:
        empty = await _sizes(database)
        await _seen(database, timedelta(days=settings.retention_days))
        await Worker(settings=settings, sessions=database.sessions).fold()
        full = await _sizes(database)
    grown = {part: full[part] - empty[part] for part in PARTS}
    raw = ("predictions", "outcomes")
    kept = {  # raw rows grow with the predictions; totals with the minutes, of which all were busy
        part: grown[part] * DAYS * (DAY // RECORDED if part in raw else 1) for part in raw
    } | {
        "totals by minute, hour and day": grown["totals by minute, hour and day"] * DAYS,
        "totals by unit": grown["totals by unit"],
    }
    gigabytes = sum(kept.values()) / 1e9
    rows = [(part, f"{grown[part] / 1e6:,.1f} MB", f"{kept[part] / 1e9:,.1f} GB") for part in PARTS]
    each = grown["predictions"] / RECORDED
    return [
        Result(
            what=f"{DAYS} days of {DAY:,} predictions each, every tenth with its outcome",
            reach=f"≤ {GIGABYTES} GB",
            measured=f"{gigabytes:,.0f} GB ({each:.0f} bytes a prediction)",
            reached=gigabytes <= GIGABYTES,
        ),
        Table(
            title=f"A day of {RECORDED:,} predictions of two versions, and what follows from it",
            head=("what", "measured", f"{DAYS} days of {DAY:,}"),
            rows=rows,
        ),
    ]


async def _sizes(database: Database) -> dict[str, int]:
    await database.execute("CHECKPOINT")
    sizes, counted = {}, set[str]()
    for part, patterns in PARTS.items():
        found = await database.execute(SIZES, patterns=list(patterns))
        sizes[part] = sum(row.bytes for row in found if row.name not in counted)
        counted.update(row.name for row in found)
    return sizes


async def _seen(database: Database, retention: timedelta) -> None:
    """A day, in batches that follow each other through all of it."""
    source = random.Random(1)
    start = now() - timedelta(days=1)
    async with db.transaction(database.sessions) as session:
        await ensure_partitions(session, now=start)
        rollout = await canary(session, MODEL)
    step = timedelta(days=1) / (RECORDED // BATCH)
    for n in range(RECORDED // BATCH):
        await _batch(database, source, rollout, start + n * step, retention)
    note(f"recorded {RECORDED:,} predictions of a day")


async def _batch(
    database: Database, source: random.Random, rollout: Rollout, at: datetime, retention: timedelta
) -> None:
    rows = list(predictions(source, rollout, (uuid7(at) for _ in range(BATCH)), at))
    labels = [
        OutcomeLine(prediction_id=row.prediction_id, label=row.label, at=at)
        for row in rows
        if source.random() < LABELLED
    ]
    async with db.transaction(database.sessions) as session:
        await record_predictions(session, rollout.model_id, rows, now=at)
        batch = Submission(batch_id=None, predictions=[], outcomes=labels)
        await record(session, rollout.model_id, batch, atomic=True, retention=retention, now=at)
