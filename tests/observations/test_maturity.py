"""Outcomes that count once their prediction is old enough, in every arm alike."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout import db
from turnout.db import Sessions
from turnout.observations import commands, folding, queries
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.followed import Followed, check_maturity
from turnout.observations.domain.outcome import Outcome
from turnout.observations.tables import MaturingOutcome
from turnout.observations.wire import OutcomeLine, Submission
from turnout.stats.totals import UnitTotals

MODELS = itertools.count(9_000)
MODEL = 1
SPLIT = 7
HOUR = timedelta(hours=1)
RETENTION = timedelta(days=30)
AFTER_AN_HOUR = Followed(metric="accuracy", age=HOUR)
AFTER_A_DAY = Followed(metric="accuracy", age=24 * HOUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A prediction, and when it was said whether it was right; both in hours."""

    version_id: int
    unit: str | None
    correct: bool
    answered: int
    delay: int


LABELLED = st.builds(
    Labelled,
    version_id=st.sampled_from([1, 2]),
    unit=st.sampled_from([None, "a", "b"]),
    correct=st.booleans(),
    answered=st.integers(0, 6),
    delay=st.integers(0, 4),
)


def expected(rows: Sequence[Labelled], version_id: int, *, now: int, age: int) -> UnitTotals:
    """By definition: every label so far of a prediction that is at least so old."""
    units: dict[object, list[float]] = defaultdict(list)
    for place, row in enumerate(rows):
        known = row.answered + row.delay <= now and row.answered + age <= now
        if known and row.version_id == version_id:
            units[row.unit or place].append(float(row.correct))
    total = UnitTotals()
    for values in units.values():
        n, x = len(values), sum(values)
        total += UnitTotals(units=1, n=n, n2=n * n, x=x, x2=x * x, xn=x * n)
    return total


async def arms(session: AsyncSession, model_id: int = MODEL) -> dict[int, ArmEvidence]:
    return (await queries.evidence(session, [(model_id, SPLIT)])).get(SPLIT, {})


async def fold(session: AsyncSession, *, now: datetime, limit: int, old_and_new: bool) -> None:
    """As the worker does, with either form of the statements."""
    while (model_id := await folding.lock_longest_waiting(session)) is not None:
        due = await folding.take_batches(session, model_id, limit=limit, now=now)
        assert due is not None
        await folding.fold_batches(session, due, old_and_new=old_and_new)
    while (model_id := await folding.lock_ripe(session, now=now)) is not None:
        assert await folding.fold_ripe(
            session, model_id, limit=limit, now=now, old_and_new=old_and_new
        )


@pytest.mark.parametrize("old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(LABELLED, max_size=15),
    hours=st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True).map(sorted),
    age=st.integers(1, 4),
    limit=st.integers(1, 8),
)
async def test_at_every_moment_what_is_old_enough_counts_and_nothing_else(
    session: AsyncSession,
    *,
    old_and_new: bool | None,
    rows: list[Labelled],
    hours: list[int],
    age: int,
    limit: int,
):
    model_id = next(MODELS)
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    asked = Followed(metric="accuracy", age=age * HOUR)
    await commands.follow(session, model_id, SPLIT, [asked])
    answered = [
        (row, prediction(version_id=row.version_id, unit=row.unit, at=NOON + row.answered * HOUR))
        for row in rows
    ]
    before = -1
    for hour in hours:
        now = NOON + hour * HOUR
        new = [seen for row, seen in answered if before < row.answered <= hour]
        await commands.record_predictions(session, model_id, new, now=now)
        labels = [
            OutcomeLine(prediction_id=seen.prediction_id, correct=row.correct)
            for row, seen in answered
            if before < row.answered + row.delay <= hour
        ]
        said = Submission(batch_id=None, predictions=(), outcomes=labels)
        await commands.record(session, model_id, said, atomic=True, retention=RETENTION, now=now)
        await fold(session, now=now, limit=limit, old_and_new=old_and_new)

        found = await arms(session, model_id)
        for version_id in (1, 2):
            metrics = found[version_id].metrics if version_id in found else {}
            for series, least in ((asked.series, age), ("accuracy", 0)):
                total = expected(rows, version_id, now=hour, age=least)
                assert metrics.get(series, UnitTotals()) == total
        before = hour


async def test_several_ages_count_side_by_side(session: AsyncSession):
    await commands.follow(session, MODEL, SPLIT, [AFTER_AN_HOUR, AFTER_A_DAY, AFTER_A_DAY])
    seen = [prediction(at=NOON + hours * HOUR) for hours in (0, 23)]
    now = NOON + 24 * HOUR
    await commands.record_predictions(session, MODEL, seen, now=now)
    for row in seen:
        said = Outcome(prediction_id=row.prediction_id, correct=True)
        await commands.feedback(session, MODEL, said, retention=RETENTION, now=now)

    while await commands.fold(session, now=now):
        pass

    metrics = (await arms(session))[1].metrics
    assert {series: metrics[series].n for series in metrics if "accuracy" in series} == {
        "accuracy": 2,
        AFTER_AN_HOUR.series: 2,
        AFTER_A_DAY.series: 1,
    }


async def test_time_alone_brings_what_waits(session: AsyncSession):
    await commands.follow(session, MODEL, SPLIT, [AFTER_AN_HOUR])
    await commands.record_predictions(session, MODEL, [row := prediction()], now=NOON)
    said = Outcome(prediction_id=row.prediction_id, correct=True)
    await commands.feedback(session, MODEL, said, retention=RETENTION, now=NOON)
    while await commands.fold(session, now=NOON):
        pass
    early = set((await arms(session))[1].metrics)

    folded = [await commands.fold(session, now=NOON + HOUR) for _ in range(2)]

    assert AFTER_AN_HOUR.series not in early
    assert folded == [1, 0]
    assert (await arms(session))[1].metrics[AFTER_AN_HOUR.series].n == 1
    assert await session.scalar(select(func.count()).select_from(MaturingOutcome)) == 0


async def test_only_what_was_asked_for_in_that_split_waits(session: AsyncSession):
    await commands.follow(session, MODEL, SPLIT, [AFTER_AN_HOUR])
    other, own = prediction(split_id=8), prediction()
    await commands.record_predictions(session, MODEL, [other, own], now=NOON)
    for said in (
        Outcome(prediction_id=other.prediction_id, correct=True),
        Outcome(prediction_id=own.prediction_id, metric="revenue", value=5),
    ):
        await commands.feedback(session, MODEL, said, retention=RETENTION, now=NOON)

    while await commands.fold(session, now=NOON):
        pass

    assert await session.scalar(select(func.count()).select_from(MaturingOutcome)) == 0


async def test_a_model_that_cannot_be_folded_is_passed_over(session: AsyncSession):
    for model_id in (1, 2):
        await commands.follow(session, model_id, SPLIT, [AFTER_AN_HOUR])
        await commands.record_predictions(session, model_id, [row := prediction()], now=NOON)
        said = Outcome(prediction_id=row.prediction_id, correct=True)
        await commands.feedback(session, model_id, said, retention=RETENTION, now=NOON)
    while await commands.fold(session, now=NOON):
        pass

    folded = [
        await commands.fold(session, now=NOON + HOUR, passing_over=passed)
        for passed in ({1}, {1}, set[int]())
    ]

    assert folded == [1, 0, 1]


@pytest.mark.parametrize(
    ("metric", "maturity", "sentence"),
    [
        pytest.param("error_rate", HOUR, "known as soon as a prediction is made", id="at once"),
        pytest.param("latency_p99", HOUR, "known as soon as a prediction is made", id="latency"),
        pytest.param("agreement", HOUR, "known as soon as a prediction is made", id="of a shadow"),
        pytest.param("accuracy", timedelta(), "longer than nothing", id="no time"),
    ],
)
def test_what_is_known_at_once_does_not_mature(metric: str, maturity: timedelta, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        check_maturity(metric, maturity)


def test_no_outcome_is_called_like_a_matured_one():
    with pytest.raises(ValueError, match="has no @"):
        Outcome(unit="u", metric=AFTER_A_DAY.series, value=1)


async def test_workers_that_fold_at_once_count_what_is_ripe_once(sessions: Sessions):
    async with db.transaction(sessions) as session:
        await commands.ensure_partitions(session, now=NOON)
        await commands.follow(session, MODEL, SPLIT, [AFTER_AN_HOUR])
        rows = [prediction(unit=None) for _ in range(40)]
        await commands.record_predictions(session, MODEL, rows, now=NOON)
        labels = [OutcomeLine(prediction_id=row.prediction_id, correct=True) for row in rows]
        said = Submission(batch_id=None, predictions=(), outcomes=labels)
        await commands.record(session, MODEL, said, atomic=True, retention=RETENTION, now=NOON)

    async def work(now: datetime) -> None:
        folded = True
        while folded:
            async with db.transaction(sessions) as session:
                folded = bool(await commands.fold(session, now=now, limit=5))

    await work(NOON)
    await asyncio.gather(*(work(NOON + HOUR) for _ in range(3)))
    await work(NOON + HOUR)

    async with sessions() as session:
        metrics = (await arms(session))[1].metrics
    assert metrics[AFTER_AN_HOUR.series] == metrics["accuracy"]
    assert metrics["accuracy"].n == 40
