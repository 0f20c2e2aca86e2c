"""Guardrails and goals that count only what is old enough."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.observations.commands import record, record_predictions
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.observations.wire import OutcomeLine, Submission
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Stage
from turnout.settings import Settings
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Role
from turnout.worker import Worker

STEP = 5 * SECOND
LATE = 4
"""Steps after which the baseline's mistakes come to light."""

UNITS = 200

launches: TypeAdapter[Launch] = TypeAdapter(Launch)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            {"stages": [{"weight": 10, "bake": "1h", "guardrails": [
                {"metric": "accuracy", "min": 0.8, "maturity": "1d"}]}]},
            "stages[0] lasts at most 3:00:00, so no prediction in it comes to be 1 day",
            id="a stage that is over before",
        ),
        pytest.param(
            {"guardrails": [{"metric": "accuracy", "min": 0.8, "maturity": "1d"}]},
            "stages[0] lasts at most 0:30:00",
            id="stages that are over before",
        ),
        pytest.param(
            {"guardrails": [{"metric": "latency_p99", "max": 80, "maturity": "1m"}]},
            "latency_p99 is known as soon as a prediction is made",
            id="what is known at once",
        ),
        pytest.param(
            {"stages": [{"weight": 50, "bake": "1h", "goal": {
                "metric": "revenue", "direction": "increase", "per": "unit", "maturity": "1h"}}]},
            "leave out maturity, or set per to 'outcome'",
            id="a goal over all that were exposed",
        ),
    ],
)  # fmt: skip
def test_nothing_waits_for_what_cannot_be(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        launches.validate_python({"candidate": "2.0.0"} | body)

    assert sentence in refused.value.errors()[0]["msg"]


def test_a_guardrail_says_which_predictions_it_counts() -> None:
    guardrail = Guardrail(metric="accuracy", min=0.8, maturity=timedelta(days=1))

    assert str(guardrail) == "accuracy at least 0.8 (of predictions 1 day, 0:00:00 old)"


async def answer_everybody(driver: Driver) -> tuple[list[OutcomeLine], list[OutcomeLine]]:
    """Every fifth answer is wrong, whoever gives it. What is said at once, and what later."""
    now, split = driver.clock(), await driver.split()
    rows: list[Prediction] = []
    soon: list[OutcomeLine] = []
    late: list[OutcomeLine] = []
    for place in range(UNITS):
        unit = f"user-{place}"
        found = assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0)
        row = Prediction(
            prediction_id=uuid7(now),
            version_id=found.version_id,
            split_id=found.split_id,
            unit=unit,
            at=now,
        )
        rows.append(row)
        correct = (place + now.second // 5) % 5 != 0
        said = OutcomeLine(prediction_id=row.prediction_id, correct=correct)
        (late if not correct and found.variant == Role.BASELINE else soon).append(said)
    async with transaction(driver.sessions) as session:
        await record_predictions(session, split.model_id, rows, now=now)
    return soon, late


async def tell(driver: Driver, outcomes: list[OutcomeLine]) -> None:
    said = Submission(batch_id=None, predictions=(), outcomes=outcomes)
    model_id = (await driver.split()).model_id
    by: dict[str, Any] = {"retention": timedelta(days=1), "now": driver.clock()}
    async with transaction(driver.sessions) as session:
        await record(session, model_id, said, atomic=True, **by)


@pytest.mark.parametrize(
    ("maturity", "phase"),
    [
        pytest.param(None, Phase.ROLLED_BACK, id="counting all condemns an innocent"),
        pytest.param(LATE * STEP, Phase.SUCCEEDED, id="counting what is old enough does not"),
    ],
)
async def test_a_version_whose_mistakes_come_to_light_sooner_is_no_worse(
    live_driver: Driver, settings: Settings, maturity: timedelta | None, phase: Phase
) -> None:
    worker = Worker(settings=settings, sessions=live_driver.sessions, clock=live_driver.clock)
    await worker.retain()
    limit = Guardrail(metric="accuracy", max_decrease=0.1, maturity=maturity)
    stages = (Stage(weight=5_000, bake=12 * STEP, guardrails=(limit,)),)
    rollout_id = await live_driver.under_way(stages=stages)
    waiting: list[list[OutcomeLine]] = []

    while (rollout := await live_driver.rollout(rollout_id)).finished_at is None:
        live_driver.clock.advance(STEP)
        soon, late = await answer_everybody(live_driver)
        waiting.append(late)
        await tell(live_driver, soon + (waiting.pop(0) if len(waiting) > LATE else []))
        await worker.fold()
        await worker.tick()

    assert rollout.phase is phase
