"""The waves in which latencies come, read from the minutes of a version."""

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, version
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.tables import MinuteWindow
from turnout.observations.waves import LOOKS_BACK, SETTLED, waves
from turnout.registry.domain.version import VersionRef
from turnout.stats.quantile_sketch import GAMMA, QuantileSketch, bucket
from turnout.stats.waves import Past, Waves

MINUTE = timedelta(minutes=1)
HOURS = 6
EACH = 20
MEAN = Guardrail(metric="latency_mean", max_increase=0.0)
ALONE = Guardrail(metric="latency_mean", max=100.0)
QUANTILE = Guardrail(metric="latency_p90", max=100.0)
ERRORS = Guardrail(metric="error_rate", max=0.1)

Minutes = list[list[float]]


def latencies(seed: int) -> Minutes:
    rng, level = np.random.default_rng(seed), 0.0
    found = []
    for _ in range(60 * HOURS):
        level = 0.8 * level + 0.6 * rng.normal(0, 10)
        found.append((100 + level + rng.normal(0, 10, EACH)).tolist())
    return found


async def answered(
    session: AsyncSession, one: VersionRef, minutes: Sequence[Sequence[float]], *, split: int = 1
) -> None:
    """The last minutes of so many before noon that are known by then."""
    first = NOON - SETTLED - len(minutes) * MINUTE
    rows = []
    for number, values in enumerate(minutes):
        counts = QuantileSketch.of(values).counts
        rows.append(
            {
                "model_id": one.model_id,
                "version_id": one.id,
                "split_id": split,
                "shadow": False,
                "minute": first + number * MINUTE,
                "n": len(values),
                "latency_n": len(values),
                "latency": math.fsum(values),
                "buckets": [bucket for bucket, _ in counts],
                "counts": [count for _, count in counts],
            }
        )
    await session.execute(insert(MinuteWindow), rows)


async def found(session: AsyncSession, of: VersionRef, *limits: Guardrail) -> list[Waves | None]:
    return await waves(session, limits, model_id=of.model_id, version_id=of.id, now=NOON)


async def test_they_are_those_of_the_versions_own_minutes(session: AsyncSession):
    one = await version(session)
    seen = latencies(1)
    await answered(session, one, [minute[:5] for minute in seen], split=1)
    await answered(session, one, [minute[5:] for minute in seen], split=2)
    missing = LOOKS_BACK // MINUTE - len(seen)

    def past(sums: Sequence[float], variance: float) -> Past:
        n = [0.0] * missing + [float(EACH)] * len(seen)
        return Past(n=n, x=[0.0] * missing + list(sums), variance=variance)

    alone, quantile, nothing = await found(session, one, ALONE, QUANTILE, ERRORS)

    every = [value for minute in seen for value in minute]
    expected = Waves.alone(past([math.fsum(minute) for minute in seen], float(np.var(every))))
    edge = GAMMA ** (bucket(float(np.quantile(every, 0.9))) - 1)
    counts = [sum(value > edge for value in minute) for minute in seen]
    share = sum(counts) / len(every)
    above = Waves.alone(past(counts, share * (1 - share)))
    assert 0.1 < share < 0.15
    assert alone
    assert quantile
    assert expected
    assert above
    assert alone.variances == pytest.approx(expected.variances, rel=0.02)
    assert quantile.variances == pytest.approx(above.variances, rel=0.01)
    assert nothing is None


async def test_what_it_shares_with_those_beside_it_takes_no_part(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    await answered(session, one, latencies(1))
    await answered(session, two, latencies(1))
    quiet, alone = await found(session, one, MEAN, ALONE)

    assert quiet
    assert alone
    assert max(quiet.variances) < 0.1 < 0.1 * max(alone.variances)


async def test_little_is_known_of_a_version_that_is_new(session: AsyncSession):
    one, two = await version(session, "1.0.0"), await version(session, "2.0.0")
    await answered(session, two, latencies(1))
    assert await found(session, one, MEAN) == [None]

    await answered(session, one, latencies(2)[:60])
    assert await found(session, one, MEAN) == [None]
