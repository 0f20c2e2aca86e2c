"""From what the gateway records, through the worker's jobs, to the end of a rollout."""

from datetime import timedelta

import pytest

from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.observations.commands import record_predictions
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.settings import Settings
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Role
from turnout.worker import Worker

STAGES = (Stage(weight=2_000, bake=20 * SECOND), Stage(weight=10_000, bake=20 * SECOND))
UNITS = 500


@pytest.fixture
async def worker(live_driver: Driver, settings: Settings) -> Worker:
    worker = Worker(settings=settings, sessions=live_driver.sessions, clock=live_driver.clock)
    await worker.retain()
    return worker


async def answer_everybody(driver: Driver, *, failing: str | None = None) -> None:
    """Every unit asks once, in the same second; the variant that is failing answers half."""
    now, split = driver.clock(), await driver.split()
    rows = []
    for number in range(UNITS):
        unit = f"user-{number}"
        found = assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0)
        prediction = Prediction(
            prediction_id=uuid7(now),
            version_id=found.version_id,
            split_id=found.split_id,
            unit=unit,
            at=now,
            latency_ms=20 + number % 7,
            error=found.variant == failing and number % 2 == 0,
        )
        rows.append(prediction)
    async with transaction(driver.sessions) as session:
        await record_predictions(session, split.model_id, rows, now=now)


async def second(driver: Driver, worker: Worker, *, failing: str | None) -> None:
    driver.clock.advance(SECOND)
    await answer_everybody(driver, failing=failing)
    await worker.fold()
    await worker.tick()


async def run(driver: Driver, worker: Worker, *, failing: str | None) -> tuple[Phase, timedelta]:
    """How a rollout ends that nobody touches, and after how long."""
    rollout_id = await driver.under_way(stages=STAGES)
    started = driver.clock()
    while (rollout := await driver.rollout(rollout_id)).finished_at is None:
        assert driver.clock() - started < timedelta(minutes=5)
        await second(driver, worker, failing=failing)
    return rollout.phase, rollout.finished_at - started


async def test_a_good_version_is_promoted(live_driver: Driver, worker: Worker) -> None:
    phase, after = await run(live_driver, worker, failing=None)

    assert phase is Phase.SUCCEEDED
    assert after == 2 * 20 * SECOND
    assert await live_driver.shares() == {"2.0.0": 100}


async def test_a_bad_version_is_off_the_road_in_seconds(
    live_driver: Driver, worker: Worker
) -> None:
    phase, after = await run(live_driver, worker, failing=Role.CANDIDATE)

    assert phase is Phase.ROLLED_BACK
    assert after <= 3 * SECOND
    assert await live_driver.shares() == {"1.0.0": 100}
