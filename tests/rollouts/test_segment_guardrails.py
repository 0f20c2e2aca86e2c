"""Guardrails that watch some of the users by themselves."""

from collections import Counter

import pytest

from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.observations.commands import record_predictions
from turnout.observations.domain.followed import Segment
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Stage
from turnout.settings import Settings
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Role
from turnout.worker import Worker

UNITS = 400
ERRORS = Guardrail(metric="error_rate", max_increase=0.05)
BY_COUNTRY = Guardrail(
    metric="error_rate",
    max_increase=0.05,
    segment=Segment(attribute="country", values=("AT", "DE")),
)


def test_the_error_rate_is_divided_among_the_values() -> None:
    stages = (Stage(weight=5_000, bake=20 * SECOND), Stage(weight=10_000, bake=SECOND))
    guardrails = (Guardrail(metric="cost", max=3), BY_COUNTRY)
    plan = Launch(candidate="2.0.0", stages=stages, guardrails=guardrails).plan()

    assert [len(plan.limits(index)) for index in range(2)] == [3, 1]
    assert plan.gates == 4


async def answer_everybody(driver: Driver) -> None:
    """Every twentieth user of either version is in Austria, and half of the candidate's answers
    there fail."""
    now, split = driver.clock(), await driver.split()
    rows, seen = [], Counter[str]()
    for place in range(UNITS):
        unit = f"user-{place}"
        found = assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=0)
        seen[found.variant] += 1
        country = "AT" if seen[found.variant] % 20 == 0 else "DE"
        falls = (seen[found.variant] // 20 + now.second) % 2 == 0
        row = Prediction(
            prediction_id=uuid7(now),
            version_id=found.version_id,
            split_id=found.split_id,
            unit=unit,
            at=now,
            latency_ms=20,
            error=found.variant == Role.CANDIDATE and country == "AT" and falls,
            attributes={"country": country},
        )
        rows.append(row)
    async with transaction(driver.sessions) as session:
        await record_predictions(session, split.model_id, rows, now=now)


@pytest.mark.parametrize(
    ("guardrail", "phase"),
    [
        pytest.param(ERRORS, Phase.SUCCEEDED, id="over all users the harm is within the margin"),
        pytest.param(BY_COUNTRY, Phase.ROLLED_BACK, id="over those of one country it is not"),
    ],
)
async def test_harm_to_a_few_is_seen_where_they_are_watched(
    live_driver: Driver, settings: Settings, guardrail: Guardrail, phase: Phase
) -> None:
    worker = Worker(settings=settings, sessions=live_driver.sessions, clock=live_driver.clock)
    await worker.retain()
    stages = (Stage(weight=5_000, bake=30 * SECOND, guardrails=(guardrail,)),)
    rollout_id = await live_driver.under_way(stages=stages)

    while (rollout := await live_driver.rollout(rollout_id)).phase is Phase.RUNNING:
        live_driver.clock.advance(SECOND)
        await answer_everybody(live_driver)
        await worker.fold()
        await worker.tick()

    assert rollout.phase is phase
    if phase is Phase.ROLLED_BACK:
        assert "(where country = AT)" in (await live_driver.steps(rollout_id))[-1].reason
