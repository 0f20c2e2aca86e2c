"""The last so many predictions, by the minute."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout.observations import commands
from turnout.observations.domain.outcome import Outcome
from turnout.observations.recent import Recent, recent

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
async def hour(session: AsyncSession) -> None:
    """Ten predictions a minute for an hour, slower by the minute; one in ten fails, and the first
    of every tenth minute is labelled. Another version, and a shadow, beside it."""
    rows = [
        prediction(
            f"p-{minute}-{k}",
            version_id=1 + k % 2,
            split_id=7 + minute % 2,
            at=NOON - (minute + 0.5) * MINUTE,
            latency_ms=100.0 + minute,
            error="timeout" if k == 0 else None,
            shadow=k in {18, 19},
        )
        for minute in range(60)
        for k in range(20)
    ]
    await commands.record_predictions(session, 1, rows, now=NOON)
    await commands.fold(session, now=NOON)
    for minute in range(0, 60, 10):
        outcome = Outcome(prediction_id=f"p-{minute}-0", correct=minute == 0, at=NOON)
        await commands.feedback(session, 1, outcome, retention=30 * DAY, now=NOON)
    await commands.fold(session, now=NOON)


def wanted(**fields: Any) -> Recent:
    whole: dict[str, Any] = {"model_id": 1, "version_id": 1, "since": NOON - DAY, "until": NOON}
    return Recent(**(whole | fields))


@pytest.mark.usefixtures("hour")
@pytest.mark.parametrize(
    ("fields", "predictions", "labelled"),
    [
        pytest.param({}, 540, 6, id="all of a day"),
        pytest.param({"since": NOON - 5 * MINUTE}, 45, 1, id="five minutes"),
        pytest.param({"last": 27}, 27, 1, id="the last 27 are three minutes"),
        pytest.param({"last": 28}, 36, 1, id="one more is another whole minute"),
        pytest.param({"last": 3, "counted": "labelled"}, 27, 3, id="the last three labels"),
        pytest.param({"last": 10_000}, 540, 6, id="more than there are"),
        pytest.param({"last": 5, "counted": "cost_n"}, 0, 0, id="never reported"),
        pytest.param({"version_id": 9}, 0, 0, id="another version"),
    ],
)
async def test_what_is_looked_at(
    session: AsyncSession, fields: dict[str, Any], predictions: int, labelled: int
):
    (found,) = await recent(session, [wanted(**fields)])

    assert (found.predictions, found.labelled) == (predictions, labelled)


@pytest.mark.usefixtures("hour")
async def test_many_are_answered_at_once_and_in_order(session: AsyncSession):
    whole, brief, none = await recent(
        session,
        [wanted(sketched=True), wanted(last=9, sketched=True), wanted(version_id=9, sketched=True)],
    )

    assert (whole.errors, brief.errors, none.errors) == (60, 1, 0)
    assert whole.latencies.count == 540
    assert whole.latencies.quantile(0.5) == pytest.approx(129, rel=0.02)
    assert brief.latencies.quantile(0.5) == pytest.approx(100, rel=0.01)
    assert none.latencies.quantile(0.5) is None
    assert await recent(session, []) == []
