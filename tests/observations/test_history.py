"""What the past says to those who plan."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import (
    NOON,
    PERSON,
    add_evidence,
    arm_evidence,
    counted,
    prediction,
    version,
)
from turnout.observations import commands, history
from turnout.observations.domain.outcome import Outcome
from turnout.observations.domain.pace import LabelDelay, Pace
from turnout.observations.domain.prediction import Prediction
from turnout.registry.domain.version import VersionRef
from turnout.stats.totals import UnitTotals
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Spread, Variant

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RETENTION = timedelta(days=30)


async def in_force(session: AsyncSession, found: VersionRef, since: datetime) -> int:
    """Send all traffic to one version from then on; the id of the split."""
    split = await traffic.set_split(
        session,
        found.model_id,
        owner=PERSON,
        strategy=Spread.STICKY,
        variants=[Variant(name="v", version_id=found.id, version=found.version, weight=10_000)],
        actor="ada",
        now=since,
    )
    return split.id


async def folded(session: AsyncSession, model_id: int, *predictions: Prediction) -> None:
    await commands.record_predictions(session, model_id, predictions, now=NOON)
    await commands.fold(session, now=NOON)


async def test_a_model_without_predictions_has_no_pace(session: AsyncSession):
    assert await history.pace(session, 1, now=NOON) is None


async def test_units_that_come_back_count_once(session: AsyncSession):
    one = await version(session)
    split_id = await in_force(session, one, NOON - 4 * DAY)
    await folded(
        session,
        one.model_id,
        *(
            prediction(
                version_id=one.id, split_id=split_id, unit=f"u{day % 2}", at=NOON - day * DAY
            )
            for day in range(1, 5)
        ),
        prediction(version_id=one.id, split_id=split_id, unit="u0", at=NOON, shadow=True),
    )

    found = await history.pace(session, one.model_id, now=NOON)

    assert found == Pace(units_per_day=0.5, predictions_per_day=1, measured_over=4 * DAY)


async def test_of_an_old_split_the_units_of_the_last_week_count(session: AsyncSession):
    one = await version(session)
    split_id = await in_force(session, one, NOON - 20 * DAY)
    units = {"old": 12, "gone": 8, "new": 2, "newer": 1}
    await folded(
        session,
        one.model_id,
        *(
            prediction(version_id=one.id, split_id=split_id, unit=unit, at=NOON - days * DAY)
            for unit, days in units.items()
        ),
        *(
            prediction(version_id=one.id, split_id=split_id, unit="old", at=NOON - n * HOUR)
            for n in range(1, 12)
        ),
    )

    found = await history.pace(session, one.model_id, now=NOON)

    assert found is not None
    assert found.measured_over == 2 * DAY
    assert found.predictions_per_day == 13 / 2
    assert found.units_per_day == pytest.approx(3 / 2)


async def test_where_no_unit_has_a_name_each_prediction_is_one(session: AsyncSession):
    one = await version(session)
    split_id = await in_force(session, one, NOON - 20 * DAY)
    await folded(
        session,
        one.model_id,
        *(
            prediction(version_id=one.id, split_id=split_id, unit=None, at=NOON - n * DAY)
            for n in range(1, 4)
        ),
    )

    found = await history.pace(session, one.model_id, now=NOON)

    assert found is not None
    assert found.units_per_day == found.predictions_per_day == 1


async def test_predictions_without_a_split_make_a_pace(session: AsyncSession):
    await folded(session, 1, prediction(split_id=None, at=NOON - DAY))

    found = await history.pace(session, 1, now=NOON)

    assert found == Pace(units_per_day=1, predictions_per_day=1, measured_over=DAY)


async def test_the_delay_of_labels(session: AsyncSession):
    rows = [prediction(at=NOON - DAY) for _ in range(11)]
    await folded(session, 1, *rows)
    for hours, row in enumerate(rows):
        outcome = Outcome(
            prediction_id=row.prediction_id, correct=True, at=NOON - DAY + hours * HOUR
        )
        await commands.feedback(session, 1, outcome, retention=RETENTION, now=NOON)

    found = await history.label_delay(session, 1, "accuracy")

    assert found == LabelDelay(median=5 * HOUR, p90=9 * HOUR)
    assert await history.label_delay(session, 1, "revenue") is None


async def test_the_totals_of_a_version_over_its_splits(session: AsyncSession):
    for split_id in (3, 8):
        await add_evidence(session, 1, split_id, arm_evidence(100, errors=split_id))
    await add_evidence(session, 1, 9, arm_evidence(100, errors=50, version_id=2))
    await add_evidence(session, 1, 0, arm_evidence(100, errors=99))

    errors, successes, none = [
        await history.recent_totals(session, 1, 1, metric)
        for metric in ("error_rate", "success_rate", "revenue")
    ]

    assert errors == counted(200, 11)
    assert successes == counted(200, 189)
    assert none == UnitTotals()
