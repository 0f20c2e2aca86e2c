"""Outcomes find the arm that answered: by prediction or by unit, before it or days after it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout.observations import commands, queries
from turnout.observations.domain.batch import BatchReport
from turnout.observations.domain.outcome import Outcome
from turnout.observations.domain.prediction import Prediction
from turnout.stats.totals import UnitTotals

MODEL = 1
RETENTION = timedelta(days=30)
MINUTE = timedelta(minutes=1)


async def seen(session: AsyncSession, *predictions: Prediction) -> None:
    await commands.record_predictions(session, MODEL, predictions, now=NOON)


async def told(session: AsyncSession, **outcome: Any) -> BatchReport:
    return await commands.feedback(
        session, MODEL, Outcome(**outcome), retention=RETENTION, now=NOON + MINUTE
    )


async def folded(session: AsyncSession) -> dict[tuple[int, int, str], UnitTotals]:
    """All outcome metrics by split, version and name, after everything is folded."""
    while await commands.fold(session, now=NOON):
        pass
    keys = [(MODEL, split_id) for split_id in (0, 7, 8)]
    return {
        (split_id, version_id, metric): totals
        for split_id, arms in (await queries.evidence(session, keys)).items()
        for version_id, arm in arms.items()
        for metric, totals in arm.metrics.items()
        if metric not in {"error_rate", "latency_mean", "confidence", "cost"}
    }


def right(n: int, x: float) -> UnitTotals:
    return UnitTotals(units=1, n=n, n2=n * n, x=x, x2=x * x, xn=x * n)


@pytest.mark.parametrize(
    ("predicted", "label", "correct"),
    [
        pytest.param("fraud", "fraud", 1, id="right"),
        pytest.param("fraud", "ok", 0, id="wrong"),
        pytest.param("3", 3, 1, id="a number is its text"),
        pytest.param("true", True, 1, id="a boolean is its text"),
    ],
)
async def test_a_label_is_compared_with_the_predicted_class(
    session: AsyncSession, predicted: str, label: str | int, correct: int
):
    await seen(session, answered := prediction(label=predicted))

    report = await told(session, prediction_id=answered.prediction_id, label=label)

    assert report == BatchReport(accepted=1)
    assert await folded(session) == {(7, 1, "accuracy"): right(1, correct)}


async def test_a_label_without_a_class_to_compare_proves_nothing(session: AsyncSession):
    await seen(session, answered := prediction(label=None))

    first = await told(session, prediction_id=answered.prediction_id, label="fraud")
    again = await told(session, prediction_id=answered.prediction_id, label="ok")

    assert (first, again) == (BatchReport(accepted=1), BatchReport(duplicate=1))
    assert await folded(session) == {}


async def test_a_late_label_joins_the_version_that_answered(session: AsyncSession):
    answered = prediction(version_id=1, split_id=7, label="a", at=NOON - timedelta(days=20))
    await seen(session, answered, prediction(version_id=2, split_id=8, label="a"))
    await folded(session)

    await told(session, prediction_id=answered.prediction_id, label="a")

    assert await folded(session) == {(7, 1, "accuracy"): right(1, 1)}


async def test_one_label_reaches_the_shadow_too_and_one_mark_does_not(session: AsyncSession):
    served = [prediction(version_id=1, label="a", unit=unit) for unit in ("u", "v")]
    shadows = [
        prediction(found.prediction_id, version_id=2, label="b", unit=found.unit, shadow=True)
        for found in served
    ]
    await seen(session, *served, *shadows)

    labelled = await told(session, prediction_id=served[0].prediction_id, label="b")
    marked = await told(session, prediction_id=served[1].prediction_id, correct=True)

    assert labelled == marked == BatchReport(accepted=1)
    found = await folded(session)
    assert found[7, 1, "accuracy"] == right(1, 0) + right(1, 1)
    assert found[7, 2, "accuracy"] == right(1, 1)


@pytest.mark.parametrize("fold_between", [True, False], ids=["folded between", "folded at once"])
async def test_an_outcome_may_come_before_its_prediction(session: AsyncSession, fold_between: bool):
    answered = prediction(label="a")

    early = await told(session, prediction_id=answered.prediction_id, label="a")
    if fold_between:
        await folded(session)
    await seen(session, answered)

    assert early == BatchReport(unknown=1)
    assert await folded(session) == {(7, 1, "accuracy"): right(1, 1)}


async def test_an_early_outcome_and_a_late_one_are_one(session: AsyncSession):
    answered = prediction(label="a")
    await told(session, prediction_id=answered.prediction_id, correct=True)
    await seen(session, answered)

    late = await told(session, prediction_id=answered.prediction_id, correct=False)

    assert late == BatchReport(accepted=1)
    assert await folded(session) == {(7, 1, "accuracy"): right(1, 0)}
    assert await folded(session) == {(7, 1, "accuracy"): right(1, 0)}


async def test_an_outcome_waits_for_a_day(session: AsyncSession):
    answered = prediction(label="a")
    await told(session, prediction_id=answered.prediction_id, correct=True)
    await commands.drop_old_partitions(session, now=NOON + timedelta(days=1), days=30)
    await seen(session, answered)
    waited = await folded(session)

    late = prediction(label="a")
    await told(session, prediction_id=late.prediction_id, correct=True)
    await commands.drop_old_partitions(session, now=NOON + timedelta(days=2), days=30)
    await seen(session, late)

    assert waited == await folded(session) == {(7, 1, "accuracy"): right(1, 1)}


async def test_a_unit_is_credited_to_the_version_it_saw_last(session: AsyncSession):
    await seen(
        session,
        prediction(unit="u", version_id=1, split_id=7, at=NOON - 10 * MINUTE),
        prediction(unit="u", version_id=2, split_id=8, at=NOON - 5 * MINUTE),
        prediction(unit="u", version_id=2, split_id=8, at=NOON),
    )

    for minutes, value in ((-16, 1), (-10, 10), (-5, 100), (1, 1000)):
        at = NOON + minutes * MINUTE
        await told(session, unit="u", metric="revenue", value=value, at=at)

    found = await folded(session)
    assert found == {(7, 1, "revenue"): right(1, 10), (8, 2, "revenue"): right(2, 1100)}


async def test_a_shadow_is_never_credited(session: AsyncSession):
    served = prediction(unit="u", version_id=1)
    await seen(
        session,
        served,
        prediction(served.prediction_id, unit="u", version_id=2, shadow=True, at=NOON + MINUTE),
    )

    await told(session, unit="u", metric="revenue", value=5)

    assert await folded(session) == {(7, 1, "revenue"): right(1, 5)}


@pytest.mark.parametrize("fold_between", [True, False], ids=["folded between", "folded at once"])
async def test_a_unit_may_act_before_its_exposure_is_reported(
    session: AsyncSession, fold_between: bool
):
    report = await told(session, unit="u", metric="clicked", correct=True)
    if fold_between:
        await folded(session)
    await seen(session, prediction(unit="u"))

    assert report == BatchReport(accepted=1)
    assert await folded(session) == {(7, 1, "clicked"): right(1, 1)}


async def test_outcomes_of_one_unit_add_up(session: AsyncSession):
    await seen(session, first := prediction(unit="u"), second := prediction(unit="u"))

    for found, value in ((first, 2.0), (second, 3.0)):
        await told(session, prediction_id=found.prediction_id, metric="revenue", value=value)
        await folded(session)

    assert await folded(session) == {(7, 1, "revenue"): right(2, 5)}


async def test_what_was_not_randomised_is_kept_apart(session: AsyncSession):
    await seen(session, forced := prediction(unit="u", split_id=None))

    await told(session, prediction_id=forced.prediction_id, correct=True)

    assert await folded(session) == {(0, 1, "accuracy"): right(1, 1)}
