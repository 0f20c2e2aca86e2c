"""Recording: what counts as new, as the same again, as unknown and as bad."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests import factories
from tests.factories import NOON, prediction
from turnout import db
from turnout.db import Sessions
from turnout.observations import commands
from turnout.observations.domain.batch import BatchRefused, BatchReport, TooManyRows
from turnout.observations.domain.outcome import Outcome
from turnout.observations.domain.prediction import uuid7
from turnout.observations.wire import read_json

MODEL = 1
RETENTION = timedelta(days=30)
Rows = Sequence[Mapping[str, Any]]


async def record(
    session: AsyncSession,
    *,
    predictions: Rows = (),
    outcomes: Rows = (),
    batch_id: str | None = None,
    atomic: bool = False,
    model_id: int = MODEL,
    now: datetime = NOON,
) -> BatchReport:
    body = {"batch_id": batch_id, "predictions": predictions, "outcomes": outcomes}
    return await commands.record(
        session,
        model_id,
        read_json(msgspec.json.encode(body), None),
        atomic=atomic,
        retention=RETENTION,
        now=now,
    )


def rows(*ids: str, version: str = "1.0.0", **given: Any) -> list[dict[str, Any]]:
    return [{"prediction_id": found, "version": version} | given for found in ids]


async def count(session: AsyncSession, table: str) -> int:
    found = await session.execute(text(f"SELECT count(*) FROM {table}"))
    return int(found.scalar_one())


@pytest.fixture
async def model_id(session: AsyncSession) -> int:
    return (await factories.version(session)).model_id


async def test_rows_are_recorded_once(session: AsyncSession, model_id: int):
    first = await record(session, predictions=rows("a", "b"), model_id=model_id)
    again = await record(session, predictions=rows("b", "c", "c"), model_id=model_id)

    assert first == BatchReport(accepted=2)
    assert again == BatchReport(accepted=1, duplicate=2)
    assert await count(session, "prediction") == 3


async def test_an_id_that_tells_its_time_counts_once_whatever_time_is_sent(
    session: AsyncSession, model_id: int
):
    made = uuid7(NOON)

    await record(session, predictions=rows(made), model_id=model_id)
    again = await record(
        session, predictions=rows(made, at="2026-02-20T08:00:00Z"), model_id=model_id
    )

    assert again == BatchReport(duplicate=1)


async def test_a_batch_sent_again_is_answered_by_the_first_report(
    session: AsyncSession, model_id: int
):
    bad = [*rows("a", "b"), {"prediction_id": "c"}]

    first = await record(session, predictions=bad, batch_id="one", model_id=model_id)
    again = await record(session, predictions=bad, batch_id="one", model_id=model_id)
    plain = await record(session, predictions=rows("d"), batch_id="two", model_id=model_id)
    repeated = await record(session, predictions=rows("d"), batch_id="two", model_id=model_id)

    assert first.accepted == 2
    assert [(row.index, row.field, row.reason) for row in first.rejected] == [
        (2, "version", "missing")
    ]
    assert again == first
    assert repeated == plain == BatchReport(accepted=1)
    assert await count(session, "prediction") == 3


async def test_a_batch_id_belongs_to_its_model(session: AsyncSession, model_id: int):
    other = await factories.version(session, model="churn-predictor")

    await record(session, predictions=rows("a"), batch_id="one", model_id=model_id)
    report = await record(session, predictions=rows("a"), batch_id="one", model_id=other.model_id)

    assert report == BatchReport(accepted=1)


async def test_one_bad_row_refuses_an_atomic_batch(session: AsyncSession, model_id: int):
    batch = [*rows("a"), *rows("b", version="9.9.9")]

    with pytest.raises(BatchRefused) as refusal:
        async with session.begin_nested():
            await record(session, predictions=batch, batch_id="x", atomic=True, model_id=model_id)
    mended = await record(session, predictions=rows("a"), batch_id="x", model_id=model_id)

    assert refusal.value.detail == (
        "1 of 2 rows are bad, so none was recorded; the first is predictions[1], version:"
        " this model has no version 9.9.9"
    )
    assert mended == BatchReport(accepted=1)


async def test_versions_are_known_in_every_spelling(session: AsyncSession, model_id: int):
    spelled = [*rows("a", version="v1.0.0"), *rows("b", version="1.0"), *rows("c", version="one")]

    report = await record(session, predictions=spelled, model_id=model_id)

    assert report.accepted == 2
    [bad] = report.rejected
    assert (bad.index, bad.field) == (2, "version")
    assert "not a semantic version" in bad.reason


async def test_a_batch_has_a_limit(session: AsyncSession):
    with pytest.raises(TooManyRows):
        await record(session, predictions=rows("a") * 50_001)


async def test_days_of_the_past_get_their_partition_when_they_are_needed(
    session: AsyncSession, model_id: int
):
    past = ["2026-02-10T00:00:00Z", "2026-02-11T23:59:59Z"]
    batch = [*rows("a", at=past[0]), *rows("b", at=past[1]), *rows("c")]

    report = await record(session, predictions=batch, model_id=model_id)
    repeated = await record(session, predictions=batch, model_id=model_id)

    assert report == BatchReport(accepted=3)
    assert repeated == BatchReport(duplicate=3)


async def test_the_gateway_records_once_per_key(session: AsyncSession):
    seen = [prediction() for _ in range(3)]

    new = await commands.record_predictions(session, MODEL, seen, now=NOON, key="k")
    retried = await commands.record_predictions(session, MODEL, seen, now=NOON, key="k")
    unkeyed = await commands.record_predictions(session, MODEL, seen, now=NOON)

    assert (new, retried, unkeyed) == (3, 0, 0)


async def test_a_shadow_shares_the_id_of_what_was_served(session: AsyncSession):
    served = prediction(version_id=1)
    shadows = [
        prediction(served.prediction_id, version_id=version_id, shadow=True)
        for version_id in (2, 3)
    ]

    new = await commands.record_predictions(session, MODEL, [served, *shadows, *shadows], now=NOON)

    assert new == 3


@pytest.mark.parametrize(
    ("sent", "report"),
    [
        pytest.param([{"prediction_id": "a", "label": "x"}], BatchReport(accepted=1), id="known"),
        pytest.param(
            [{"prediction_id": "a", "label": "x"}, {"prediction_id": "a", "correct": False}],
            BatchReport(accepted=1, duplicate=1),
            id="one truth per prediction",
        ),
        pytest.param(
            [
                {"prediction_id": "a", "label": "x"},
                {"prediction_id": "a", "metric": "revenue", "value": 3},
            ],
            BatchReport(accepted=2),
            id="another metric is another outcome",
        ),
        pytest.param(
            [{"prediction_id": "z", "correct": True}, {"prediction_id": "z", "correct": True}],
            BatchReport(unknown=1, duplicate=1),
            id="of a prediction that is not known",
        ),
        pytest.param(
            [{"unit": "u", "metric": "revenue", "value": 1}] * 2,
            BatchReport(accepted=2),
            id="a unit may spend twice",
        ),
    ],
)
async def test_outcomes_are_counted_by_what_became_of_them(
    session: AsyncSession, model_id: int, sent: Rows, report: BatchReport
):
    assert (
        await record(session, predictions=rows("a"), outcomes=sent, model_id=model_id)
    ) == BatchReport(
        accepted=report.accepted + 1, duplicate=report.duplicate, unknown=report.unknown
    )


async def test_feedback_finds_a_prediction_of_any_day(session: AsyncSession, model_id: int):
    await record(session, predictions=rows("a", at="2026-02-10T00:00:00Z"), model_id=model_id)

    async def told(prediction_id: str) -> BatchReport:
        outcome = Outcome(prediction_id=prediction_id, correct=True)
        return await commands.feedback(session, model_id, outcome, retention=RETENTION, now=NOON)

    assert await told("a") == BatchReport(accepted=1)
    assert await told("a") == BatchReport(duplicate=1)
    assert await told("b") == BatchReport(unknown=1)


async def test_a_batch_sent_twice_at_once_counts_once(sessions: Sessions):
    async with db.transaction(sessions) as session:
        model_id = (await factories.version(session)).model_id
        await commands.ensure_partitions(session, now=NOON)
    ids = [f"p-{n}" for n in range(50)]

    async def send(batch_id: str | None, order: Sequence[str]) -> BatchReport:
        async with db.transaction(sessions) as session:
            return await record(
                session, predictions=rows(*order), batch_id=batch_id, model_id=model_id
            )

    with_id = await asyncio.gather(*(send("same", ids) for _ in range(4)))
    without = await asyncio.gather(*(send(None, order) for order in (ids, ids[::-1], ids)))

    assert with_id == [BatchReport(accepted=50)] * 4
    assert without == [BatchReport(duplicate=50)] * 3
    async with sessions() as session:
        assert await count(session, "prediction") == 50


async def test_a_batch_that_was_given_up_can_be_sent_again(sessions: Sessions):
    async with db.transaction(sessions) as session:
        model_id = (await factories.version(session)).model_id
        await commands.ensure_partitions(session, now=NOON)

    async def send() -> BatchReport:
        async with db.transaction(sessions) as session:
            return await record(
                session, predictions=rows("a", "b"), batch_id="one", model_id=model_id
            )

    async with sessions() as dying:
        await record(dying, predictions=rows("a", "b"), batch_id="one", model_id=model_id)
        waiting = asyncio.create_task(send())
        await asyncio.sleep(0)
        await dying.rollback()

    assert await waiting == BatchReport(accepted=2)
    assert await send() == BatchReport(accepted=2)
    async with sessions() as session:
        assert await count(session, "prediction") == 2
