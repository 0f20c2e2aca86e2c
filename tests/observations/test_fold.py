"""Folding: the totals are those of all rows at once, however the rows came and were folded."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout import db
from turnout.db import Sessions
from turnout.observations import commands, folding, queries
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.prediction import Prediction
from turnout.observations.tables import UnitTotal
from turnout.observations.wire import OutcomeLine, Submission
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals

MODELS = itertools.count(1_000)
MODEL = 1
SPLIT = 7
RETENTION = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A prediction by one of two versions, and what came of it."""

    version_id: int
    unit: str | None
    error: bool
    latency_ms: float | None
    confidence: float | None
    correct: bool | None
    revenue: float | None

    def prediction(self) -> Prediction:
        return prediction(
            version_id=self.version_id,
            unit=self.unit,
            error=self.error,
            latency_ms=self.latency_ms,
            confidence=self.confidence,
        )

    def measures(self) -> dict[str, float | None]:
        return {
            "error_rate": float(self.error),
            "latency_mean": self.latency_ms,
            "confidence": self.confidence,
            "accuracy": None if self.correct is None else float(self.correct),
            "revenue": self.revenue,
        }


def measured(low: float, high: float) -> st.SearchStrategy[float | None]:
    """Values whose squares are numbers, too."""
    return st.none() | st.floats(low, high).map(lambda value: round(value, 9))


EVENTS = st.builds(
    Event,
    version_id=st.sampled_from([1, 2]),
    unit=st.sampled_from([None, "a", "b", "c"]),
    error=st.booleans(),
    latency_ms=measured(0, 10_000),
    confidence=measured(0, 1),
    correct=st.none() | st.booleans(),
    revenue=measured(-100, 100),
)


def expected(events: Sequence[Event], version_id: int) -> dict[str, UnitTotals]:
    """The totals by their definition, from all events of an arm at once."""
    units: dict[tuple[str, object], list[float]] = defaultdict(list)
    for place, event in enumerate(events):
        if event.version_id == version_id:
            for metric, value in event.measures().items():
                if value is not None:
                    units[metric, event.unit or place].append(value)
    totals: dict[str, UnitTotals] = {}
    for (metric, _), values in units.items():
        n, x = len(values), sum(values)
        one = UnitTotals(units=1, n=n, n2=n * n, x=x, x2=x * x, xn=x * n)
        totals[metric] = totals.get(metric, UnitTotals()) + one
    return totals


def crossings(events: Sequence[Event]) -> int:
    """How often a unit came to another arm than its first."""
    seen = {(event.unit, event.version_id) for event in events if event.unit is not None}
    return len(seen) - len({unit for unit, _ in seen})


async def tell(session: AsyncSession, model_id: int, outcomes: Sequence[OutcomeLine]) -> None:
    batch = Submission(batch_id=None, predictions=(), outcomes=outcomes)
    await commands.record(session, model_id, batch, atomic=True, retention=RETENTION, now=NOON)


async def record(session: AsyncSession, model_id: int, events: Sequence[Event]) -> None:
    predictions = [event.prediction() for event in events]
    await commands.record_predictions(session, model_id, predictions, now=NOON)
    outcomes = []
    for event, seen in zip(events, predictions, strict=True):
        found = seen.prediction_id
        if event.correct is not None:
            outcomes.append(OutcomeLine(prediction_id=found, correct=event.correct))
        if event.revenue is not None:
            outcomes.append(OutcomeLine(prediction_id=found, metric="revenue", value=event.revenue))
    await tell(session, model_id, outcomes)


async def fold(session: AsyncSession, *, limit: int, old_and_new: bool) -> None:
    while (model_id := await folding.lock_longest_waiting(session)) is not None:
        due = await folding.take_batches(session, model_id, limit=limit, now=NOON)
        assert due is not None
        await folding.fold_batches(session, due, old_and_new=old_and_new)


async def arms(session: AsyncSession, model_id: int = MODEL) -> dict[int, ArmEvidence]:
    return (await queries.evidence(session, [(model_id, SPLIT)])).get(SPLIT, {})


def exactly(totals: UnitTotals) -> tuple[float, float, float]:
    return (totals.units, totals.n, totals.n2)


def about(totals: UnitTotals) -> object:
    return pytest.approx((totals.x, totals.x2, totals.xn), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    batches=st.lists(st.lists(EVENTS, max_size=12), min_size=1, max_size=4),
    limit=st.integers(1, 20),
)
async def test_folding_in_any_pieces_gives_the_totals_of_the_whole(
    session: AsyncSession, old_and_new: bool | None, batches: list[list[Event]], limit: int
):
    model_id = next(MODELS)
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    for place, batch in enumerate(batches):
        await record(session, model_id, batch)
        if place % 2:
            await fold(session, limit=limit, old_and_new=old_and_new)
    await fold(session, limit=limit, old_and_new=old_and_new)

    found = await arms(session, model_id)

    events = [event for batch in batches for event in batch]
    assert set(found) == {event.version_id for event in events}
    assert sum(arm.crossed for arm in found.values()) == crossings(events)
    for version_id, arm in found.items():
        own = [event for event in events if event.version_id == version_id]
        totals = expected(events, version_id)
        assert arm.predictions == len(own)
        assert arm.latency == QuantileSketch.of(
            event.latency_ms for event in own if event.latency_ms is not None
        )
        assert set(arm.metrics) == set(totals)
        for metric, total in totals.items():
            assert exactly(arm.metrics[metric]) == exactly(total)
            assert (
                arm.metrics[metric].x,
                arm.metrics[metric].x2,
                arm.metrics[metric].xn,
            ) == about(total)


async def test_shadows_have_arms_of_their_own(session: AsyncSession):
    served = prediction(version_id=1)
    shadow = prediction(served.prediction_id, version_id=2, shadow=True, error=True)
    await commands.record_predictions(session, MODEL, [served, shadow], now=NOON)

    await commands.fold(session, now=NOON)

    found = await arms(session)
    assert {version_id: arm.metrics["error_rate"].x for version_id, arm in found.items()} == {
        1: 0,
        2: 1,
    }


@pytest.mark.parametrize("old_and_new", [False, None], ids=["any PostgreSQL", "as this one can"])
@pytest.mark.parametrize("limit", [1, 100], ids=["folded apart", "folded together"])
async def test_a_unit_that_changes_arms_crosses_to_the_later_one(
    session: AsyncSession, limit: int, old_and_new: bool | None
):
    if old_and_new is None:
        old_and_new = await folding.returns_old(session)
    order: list[dict[str, Any]] = [
        {"version_id": 2},
        {"version_id": 1},
        {"version_id": 1},
        {"version_id": 1, "unit": "stays"},
        {"version_id": 1, "unit": "stays"},
        {"version_id": 2, "unit": "another split", "split_id": 8},
        {"version_id": 1, "unit": "another split"},
        {"version_id": 2, "unit": "no split", "split_id": None},
        {"version_id": 1, "unit": "no split", "split_id": None},
        {"version_id": 2, "unit": None},
        {"version_id": 1, "unit": None},
        {"version_id": 3, "shadow": True},
        {"version_id": 3, "unit": "shadowed", "shadow": True},
        {"version_id": 1, "unit": "shadowed"},
    ]
    for second, seen in enumerate(order):
        row = prediction(at=NOON + timedelta(seconds=second), **seen)
        await commands.record_predictions(session, MODEL, [row], now=NOON)

    await fold(session, limit=limit, old_and_new=old_and_new)

    assert {found: arm.crossed for found, arm in (await arms(session)).items()} == {
        1: 1,
        2: 0,
        3: 0,
    }


async def test_next_to_nothing_is_nothing(session: AsyncSession):
    await commands.record_predictions(
        session, MODEL, [prediction(latency_ms=5e-324, cost=1e-200)], now=NOON
    )

    await commands.fold(session, now=NOON)

    arm = (await arms(session))[1]
    assert (arm.metrics["latency_mean"].x, arm.metrics["cost"].x2) == (0, 0)


async def test_a_fold_takes_about_as_much_as_it_may(session: AsyncSession):
    for _ in range(4):
        rows = [prediction() for _ in range(3)]
        await commands.record_predictions(session, MODEL, rows, now=NOON)

    folded = [await commands.fold(session, now=NOON, limit=4) for _ in range(3)]

    assert folded == [6, 6, 0]


async def test_the_model_that_waits_longest_comes_first(session: AsyncSession):
    for model_id in (3, 1, 2, 1):
        await commands.record_predictions(session, model_id, [prediction()], now=NOON)

    first = await folding.lock_longest_waiting(session)

    assert first == 3


async def test_one_model_has_one_folder_at_a_time(sessions: Sessions):
    async with db.transaction(sessions) as session:
        await commands.ensure_partitions(session, now=NOON)
        for model_id in (1, 2):
            await commands.record_predictions(session, model_id, [prediction()], now=NOON)

    async with sessions() as one, sessions() as another, sessions() as third:
        taken = [await folding.lock_longest_waiting(session) for session in (one, another, third)]

    assert taken == [1, 2, None]


async def test_workers_that_fold_at_once_fold_everything_once(sessions: Sessions):
    async with db.transaction(sessions) as session:
        await commands.ensure_partitions(session, now=NOON)
        for _ in range(20):
            rows = [prediction(unit=unit) for unit in ("a", "b", None)]
            await commands.record_predictions(session, MODEL, rows, now=NOON)

    async def work() -> int:
        total = 0
        while True:
            async with db.transaction(sessions) as session:
                folded = await commands.fold(session, now=NOON, limit=5)
            if not folded:
                return total
            total += folded

    await asyncio.gather(*(work() for _ in range(3)))
    await work()

    async with sessions() as session:
        totals = (await arms(session))[1].metrics["error_rate"]
    assert exactly(totals) == (22, 60, 20 * 20 * 2 + 20)


async def test_a_model_that_cannot_be_folded_stops_no_other(session: AsyncSession):
    await commands.record_predictions(session, 1, [prediction(unit="endless")], now=NOON)
    await commands.record_predictions(session, 2, [prediction()], now=NOON)
    session.add(
        UnitTotal(
            model_id=1, unit="endless", split_id=SPLIT, version_id=1, shadow=False,
            first_at=NOON, last_at=NOON, n=2**62,
        )
    )  # fmt: skip
    await session.flush()

    with pytest.raises(folding.FoldFailed) as failure:
        async with session.begin_nested():
            await commands.fold(session, now=NOON)

    assert failure.value.model_id == 1
    assert await commands.fold(session, now=NOON, passing_over={1}) == 1
    assert await commands.fold(session, now=NOON, passing_over={1}) == 0
