from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tests.factories import NOON, add_evidence, arm_evidence, prediction
from turnout.observations import commands, queries
from turnout.observations.domain.figures import Figures, VersionFigures
from turnout.observations.domain.outcome import Outcome
from turnout.observations.domain.prediction import Prediction
from turnout.observations.fold_sql import CLASSES_KEPT
from turnout.observations.tables import ArmTotal
from turnout.stats.quantile_sketch import QuantileSketch

MODEL = 1
MINUTE = timedelta(minutes=1)
RETENTION = timedelta(days=30)


async def folded(session: AsyncSession, *predictions: Prediction) -> None:
    await commands.record_predictions(session, MODEL, predictions, now=NOON)
    await commands.fold(session, now=NOON)


async def performance(session: AsyncSession, **given: object) -> list[VersionFigures]:
    span = {"since": NOON - timedelta(hours=1), "until": NOON + MINUTE} | given
    return await queries.performance(session, MODEL, **span)  # type: ignore[arg-type]


@pytest.fixture
async def statements(connection: AsyncConnection) -> AsyncIterator[list[str]]:
    """What is sent to the database from here on."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    yield sent
    event.remove(connection.sync_connection, "before_cursor_execute", note)


async def test_evidence_of_many_splits_takes_one_round_trip(
    session: AsyncSession, statements: list[str]
):
    arms = {
        (model_id, split_id): arm_evidence(10 * split_id, version_id=model_id)
        for model_id in (1, 2)
        for split_id in (model_id, model_id + 10)
    }
    for (model_id, split_id), arm in arms.items():
        await add_evidence(session, model_id, split_id, arm)
    statements.clear()

    found = await queries.evidence(session, [*arms, (1, 99)])

    assert len(statements) == 1
    assert found == {split_id: {arm.version_id: arm} for (_, split_id), arm in arms.items()}
    assert await queries.evidence(session, []) == {}


async def test_evidence_belongs_to_its_model(session: AsyncSession):
    await add_evidence(session, MODEL, 7, arm_evidence(10))

    assert await queries.evidence(session, [(2, 7)]) == {}


async def test_sums_that_cannot_be_are_no_evidence_and_hide_no_other(session: AsyncSession):
    await add_evidence(session, MODEL, 7, arm_evidence(10))
    session.add(
        ArmTotal(model_id=MODEL, split_id=7, version_id=1, metric="revenue", units=1, n=1, x2=-1)
    )
    await session.flush()

    found = await queries.evidence(session, [(MODEL, 7)])

    assert set(found[7][1].metrics) == {"error_rate", "latency_mean"}


async def test_minutes_add_up_over_splits(session: AsyncSession):
    await folded(
        session,
        prediction(at=NOON, split_id=7, latency_ms=10, confidence=0.5, cost=1, error=True),
        prediction(at=NOON + 59 * MINUTE / 60, split_id=8, latency_ms=20),
        prediction(at=NOON + MINUTE, split_id=7),
        prediction(at=NOON, version_id=2),
        prediction(at=NOON, shadow=True),
    )

    async def minute(since: datetime) -> dict[bool, Figures]:
        found = await queries.performance(
            session, MODEL, since=since, until=since + MINUTE, version_id=1
        )
        return {one.shadow: one.figures for one in found}

    first, second = await minute(NOON), await minute(NOON + MINUTE)

    figures = first[False]
    assert (figures.predictions, figures.errors, figures.error_rate) == (2, 1, 0.5)
    assert (figures.latency.value, figures.confidence.value, figures.cost.value) == (15, 0.5, 1)
    assert figures.latencies == QuantileSketch.of([10, 20])
    assert second[False].predictions == 1
    assert second[False].latencies == QuantileSketch()
    assert (first[True].predictions, True in second) == (1, False)


async def test_figures_are_of_the_time_asked_for(session: AsyncSession):
    await folded(
        session,
        prediction(at=NOON - timedelta(hours=2), error=True),
        prediction(at=NOON, label="a"),
        prediction(at=NOON, version_id=2, label="b"),
    )

    both = await performance(session)
    one = await performance(session, version_id=2)

    assert [(found.version_id, found.figures.errors) for found in both] == [(1, 0), (2, 0)]
    assert [(found.version_id, found.classes) for found in one] == [(2, {"b": 1})]


async def test_a_label_counts_in_the_minute_of_its_prediction(session: AsyncSession):
    old = prediction(at=NOON - timedelta(hours=2), label="a")
    await folded(session, old)
    outcome = Outcome(prediction_id=old.prediction_id, label="a")
    await commands.feedback(session, MODEL, outcome, retention=RETENTION, now=NOON)
    await commands.fold(session, now=NOON)

    [found] = await performance(session, since=NOON - timedelta(hours=3))

    assert (found.figures.labelled, found.figures.accuracy) == (1, 1.0)
    assert await performance(session) == []


async def test_free_text_is_not_counted_by_the_word(session: AsyncSession):
    often = [prediction(label="often") for _ in range(2)]
    await folded(session, *often, *(prediction(label=f"word {n}") for n in range(100)))

    [found] = await performance(session)

    assert len(found.classes) == CLASSES_KEPT + 1
    assert found.classes["often"] == 2
    assert sum(found.classes.values()) == 102
