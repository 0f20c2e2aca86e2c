"""Batches of observations over HTTP against COPY of the same rows into a bare table."""

import itertools
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import uvloop

from benchmarks.database import BASELINE, CANDIDATE, Database, canary, migrated, now
from benchmarks.load import request, run
from benchmarks.observed import predictions
from benchmarks.result import Result, note
from benchmarks.service import Service, scratch, turnout
from turnout import db
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.rollouts.tables import Rollout

MODEL = "fraud-detection"
PATH = f"/api/v1/models/{MODEL}/observations"
ROWS = 1_000
BATCHES = 100
ROUNDS = 5
CONNECTIONS = 4
REACH = 0.35

FLAT_ROWS = 5_000_000
FLAT_PARTS = 10
FLAT_WITHIN = 1.05
"""Flat is what grows by no more than this after the first part."""

RECORDED = "SELECT * FROM prediction ORDER BY batch_seq, prediction_id"
STEM = b"00000000-0000-7000-8000-"
"""Stands in a body for the first 24 characters of every id; the other 12 count the rows."""


def _line(row: Prediction, rollout: Rollout) -> dict[str, object]:
    return {
        "prediction_id": row.prediction_id,
        "version": CANDIDATE if row.version_id == rollout.candidate_id else BASELINE,
        "split_id": row.split_id,
        "unit": row.unit,
        "at": row.at,
        "latency_ms": row.latency_ms,
        "confidence": row.confidence,
        "class": row.label,
        "error": row.error,
    }


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result]:
    async with migrated(directory) as database:
        bodies = await _bodies(database)
        with turnout("api", directory) as api:
            await _send(api, bodies, BATCHES)
            speed = await _speed(api, database, bodies)
            memory = await _memory(api, bodies)
        [(found,)] = await database.execute("SELECT count(*) FROM prediction")
    sent = ROWS * BATCHES * (ROUNDS + 1) + FLAT_ROWS
    if found != sent:
        raise RuntimeError(f"{found} rows were recorded of {sent} sent")
    return [speed, memory]


async def _bodies(database: Database) -> list[bytes]:
    async with db.transaction(database.sessions) as session:
        rollout = await canary(session, MODEL)
    source = random.Random(1)
    stem = STEM.decode()
    made = []
    for _ in range(BATCHES):
        ids = (f"{stem}{row:012x}" for row in range(ROWS))
        rows = predictions(source, rollout, ids, now())
        made.append(msgspec.json.encode({"predictions": [_line(row, rollout) for row in rows]}))
    return made


async def _speed(api: Service, database: Database, bodies: list[bytes]) -> Result:
    await database.execute("CREATE TABLE bare (LIKE prediction)")
    rates = []
    async with database.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        recorded = await driver.fetch(RECORDED)
        columns, rows = list(recorded[0].keys()), [tuple(row) for row in recorded]
        for _ in range(ROUNDS):
            rates.append(
                (
                    await _send(api, bodies, BATCHES),
                    await _copy(driver, columns, rows, at_once=ROWS),
                    await _copy(driver, columns, rows, at_once=len(rows)),
                )
            )
            note("{:,.0f} rows/s over HTTP, {:,.0f} by COPY, {:,.0f} by one".format(*rates[-1]))
    ratio = statistics.median(a / b for a, b, _ in rates)
    a, b, whole = (statistics.median(found) for found in zip(*rates, strict=True))
    return Result(
        what=f"observations over HTTP in batches of {ROWS:,}, one API process, against asyncpg"
        " COPY of the same rows into a bare table",
        reach=f"≥ {REACH} × its rows/s",
        measured=f"{ratio:.2f} × ({a:,.0f} against {b:,.0f} rows/s; one COPY of all {len(rows):,}"
        f" rows: {whole:,.0f})",
        reached=ratio >= REACH,
    )


async def _send(api: Service, bodies: list[bytes], count: int) -> float:
    """Send batches whose ids are new each time, since an id counts once; in rows per second."""
    requests = (
        request(PATH, body.replace(STEM, uuid7(now())[: len(STEM)].encode()))
        for body in itertools.islice(itertools.cycle(bodies), count)
    )
    found = await run(api.port, requests, connections=CONNECTIONS)
    if found.failed or found.requests != count:
        raise RuntimeError(f"{found.failed} of {found.requests} batches failed")
    return found.per_second * ROWS


async def _copy(
    driver: "asyncpg.Connection[asyncpg.Record]",
    columns: list[str],
    rows: list[tuple[Any, ...]],
    *,
    at_once: int,
) -> float:
    batches = [rows[first : first + at_once] for first in range(0, len(rows), at_once)]
    start = time.perf_counter()
    for batch in batches:
        await driver.copy_records_to_table("bare", records=batch, columns=columns)
    seconds = time.perf_counter() - start
    await driver.execute("TRUNCATE bare")
    return len(rows) / seconds


async def _memory(api: Service, bodies: list[bytes]) -> Result:
    part = FLAT_ROWS // FLAT_PARTS
    megabytes = []
    for number in range(1, FLAT_PARTS + 1):
        rate = await _send(api, bodies, part // ROWS)
        megabytes.append(api.resident_megabytes)
        note(f"{number * part:,} rows: {megabytes[-1]:.0f} MB resident, {rate:,.0f} rows/s")
    first, middle, last = megabytes[0], megabytes[len(megabytes) // 2], megabytes[-1]
    growth = last / first
    return Result(
        what=f"resident memory of that process over {FLAT_ROWS / 1e6:g} million rows",
        reach="flat",
        measured=f"{first:.0f} MB after the first tenth, {middle:.0f} MB half-way,"
        f" {last:.0f} MB at the end",
        reached=growth <= FLAT_WITHIN,
    )
