"""A worker's looks at thresholds and drift of many models, versions and features."""

import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import uvloop

from benchmarks.database import ACTOR, Database, migrated, now, register
from benchmarks.result import Result, note
from benchmarks.service import scratch
from turnout import db
from turnout.drift import commands as drift
from turnout.drift.domain.baseline import Baseline, Frequencies, Histogram, Origin
from turnout.monitoring import commands as monitoring
from turnout.monitoring.domain.thresholds import Drift, Standard, Thresholds
from turnout.monitoring.queries import MOST_FOR_DRIFT
from turnout.observations.commands import ensure_partitions, record_predictions
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.registry import queries as registry
from turnout.settings import Settings
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Share, Spread
from turnout.worker import Worker

MODELS = 200
WEIGHTS = {"1.0.0": 3_400, "2.0.0": 3_300, "3.0.0": 3_300}
VERSIONS = tuple(WEIGHTS)
TEXTS = "abcdefgh"
FEATURES = 20
HOURS = 24
N = 900
"""Predictions of each model."""
ROUNDS = 3
SECONDS = 5.0
MICROSECONDS = 50

BASELINE = Baseline(
    features={
        f"number-{k}": Histogram(
            edges=tuple(place / 10 for place in range(1, 10)), counts=(1_000,) * 10
        )
        for k in range(FEATURES // 2)
    }
    | {
        f"text-{k}": Frequencies(categories=dict.fromkeys(TEXTS, 1_000))
        for k in range(FEATURES // 2)
    },
    prediction=Frequencies(categories={"ok": 9_000, "fraud": 1_000}),
    accuracy=0.9,
    latency_p99=400,
)

A_DAY = """
    INSERT INTO feature_hour (model_id, grid_id, version_id, hour, counts)
    SELECT model_id, grid_id, version_id, hour - back * interval '1 hour', counts
    FROM feature_hour CROSS JOIN generate_series(1, :hours) AS back
"""
LATER = """
    UPDATE threshold_set SET due_at = now() + interval '30 minutes', drift_looked_at =
        CASE WHEN :drift THEN NULL ELSE now() END
"""
DUE = """
    UPDATE threshold_set SET due_at = now() WHERE model_id IN (
        SELECT model_id FROM threshold_set
        WHERE due_at BETWEEN now() + interval '1 minute' AND now() + interval '40 minutes'
        ORDER BY model_id LIMIT :models
    ) RETURNING model_id
"""
UNSEEN = "SELECT count(*) FROM threshold_set WHERE drift_looked_at IS NULL"
SAMPLED = "SELECT sum(n)::bigint FROM feature_sample"
AGAIN = "WITH gone AS (DELETE FROM feature_grid) UPDATE batch SET folded_at = NULL"
ALERTS = "SELECT count(*) FROM alert"


def measure() -> Iterator[Result]:
    with scratch() as directory:
        yield from uvloop.run(_measure(directory))


async def _measure(directory: Path) -> list[Result]:
    settings = Settings(data_dir=directory)
    async with migrated(directory) as database:
        async with db.transaction(database.sessions) as session:
            await ensure_partitions(session, now=now())
        source = random.Random(1)
        for number in range(MODELS):
            await _watched(database, f"model-{number}", source)
        counted = await _fold(database, settings)
        await database.execute(A_DAY, hours=HOURS - 1)
        await database.execute("ANALYZE")
        rounds = [await _looks(database, directory, drift=True) for _ in range(ROUNDS)]
        plain = [await _looks(database, directory, drift=False) for _ in range(ROUNDS)]
        [(alerts,)] = await database.execute(ALERTS)
        [(unseen,)] = await database.execute(UNSEEN)
        [(sampled,)] = await database.execute(SAMPLED)
        await database.execute(AGAIN)
        uncounted = await _fold(database, settings)
    each = (counted - uncounted) / sampled
    if alerts or unseen:
        raise RuntimeError(f"{alerts} alerts, and nothing has moved; {unseen} not looked at")
    return [
        Result(
            what=f"thresholds and drift of {MODELS} models × {len(VERSIONS)} versions × {FEATURES}"
            f" features over {HOURS} hours, looked at once",
            reach=f"≤ {SECONDS:g} s of a core, once a minute",
            measured=f"{statistics.median(rounds):.2f} s (worst of {ROUNDS}: {max(rounds):.2f} s;"
            f" the thresholds alone: {statistics.median(plain):.2f} s)",
            reached=max(rounds) <= SECONDS,
        ),
        Result(
            what=f"fold: {FEATURES} features of a sampled prediction, counted on the bins of"
            f" {len(VERSIONS)} versions",
            reach=f"≤ {MICROSECONDS:g} µs of a core",
            measured=f"{each * 1e6:.0f} µs ({sampled:,} sampled)",
            reached=each * 1e6 <= MICROSECONDS,
        ),
    ]


async def _fold(database: Database, settings: Settings) -> float:
    before = _seconds(settings.data_dir)
    await Worker(settings=settings, sessions=database.sessions).fold()
    spent = _seconds(settings.data_dir) - before
    note(f"folded {MODELS * N:,} predictions: {spent:.2f} s of a core")
    return spent


async def _looks(database: Database, directory: Path, *, drift: bool) -> float:
    """Seconds of one core, the database's included, for beats at which so many models are due as
    are looked at for drift in one; each once."""
    await database.execute(LATER, drift=drift)
    spent, start = 0.0, time.perf_counter()
    while await database.execute(DUE, models=MOST_FOR_DRIFT):
        before = _seconds(directory)
        await monitoring.tick(database.sessions, clock=now, interval=timedelta(hours=1))
        spent += _seconds(directory) - before
    what = "thresholds and drift" if drift else "thresholds"
    note(f"looked at {what}: {spent:.2f} s of a core in {time.perf_counter() - start:.2f} s")
    return spent


def _seconds(directory: Path) -> float:
    """Of a core, by this process and by those that serve the database."""
    postmaster = next(directory.rglob("postmaster.pid")).read_text().split()[0]
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[1] == postmaster:
                ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


async def _watched(database: Database, name: str, source: random.Random) -> None:
    """A model whose versions share the traffic, each with a baseline, and nothing that moves."""
    async with db.transaction(database.sessions) as session:
        await register(session, name, *VERSIONS)
        model = await registry.model(session, name)
        shares = [Share(version=one, weight=weight) for one, weight in WEIGHTS.items()]
        split = await traffic.set_split_by_hand(
            session, model, strategy=Spread.STICKY, shares=shares, actor=ACTOR, now=now()
        )
        versions = [variant.version_id for variant in split.variants]
        for version in (await registry.versions_by_id(session, versions)).values():
            await drift.set_baseline(
                session,
                version,
                BASELINE,
                origin=Origin.COUNTS,
                actor=ACTOR,
                now=now(),
                reason=None,
            )
        watched = Thresholds(standard=Standard(), drift=Drift())
        await monitoring.set_thresholds(session, name, watched, actor=ACTOR, now=now())
        rows = [_prediction(source, versions[k % len(versions)], split.id, k) for k in range(N)]
        await record_predictions(session, model.id, rows, now=now())


def _prediction(source: random.Random, version_id: int, split_id: int, k: int) -> Prediction:
    numbers = {f"number-{place}": source.random() for place in range(FEATURES // 2)}
    texts = {f"text-{place}": source.choice(TEXTS) for place in range(FEATURES // 2)}
    at = now()
    return Prediction(
        prediction_id=uuid7(at),
        version_id=version_id,
        split_id=split_id,
        unit=f"user-{k}",
        at=at,
        latency_ms=source.lognormvariate(3, 0.5),
        confidence=source.uniform(0.7, 1),
        label="ok" if k % 10 else "fraud",
        attributes={**numbers, **texts},
    )
