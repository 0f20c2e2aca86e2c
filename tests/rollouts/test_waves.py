"""A stage begins with what is known of the waves in which the baseline's latencies come."""

from datetime import timedelta

import pytest

from tests.observations.test_waves import answered, latencies
from tests.rollouts.conftest import MODEL, Driver
from turnout.db import transaction
from turnout.observations.domain.guardrails import Guardrail
from turnout.registry import queries as registry
from turnout.rollouts.commands import order
from turnout.rollouts.domain.orders import Emergency
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.watch import NOTHING

HOUR = timedelta(hours=1)
LIMITS = (
    Guardrail(metric="error_rate", max=0.1),
    Guardrail(metric="latency_mean", max_increase=0.0),
)


async def test_every_stage_begins_with_them_and_keeps_them(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    async with transaction(driver.sessions) as session:
        model = await registry.model(session, MODEL)
        baseline = await registry.version(session, model.id, "1.0.0")
        await answered(session, baseline, latencies(1))

    rollout_id = await driver.start(
        "2.0.0",
        guardrails=LIMITS,
        stages=(Stage(weight=1_000, bake=HOUR), Stage(weight=5_000, bake=HOUR)),
    )
    begun = await driver.rollout(rollout_id)
    await driver.see(rollout_id, 400, baseline=4_000)
    await driver.tick(timedelta(minutes=2))
    watched = await driver.rollout(rollout_id)
    await driver.say(order.skip, rollout_id, Emergency(reason="it is night"))
    skipped = await driver.rollout(rollout_id)

    errors, latency = begun.sequences.guardrails
    assert errors == NOTHING
    assert latency.waves is not None
    assert max(latency.waves.variances) > 50
    assert watched.sequences.guardrails[0].spending.share > 0
    assert watched.sequences.guardrails[1].waves == latency.waves
    assert skipped.progress.stage == 1
    anew = skipped.sequences.guardrails[1]
    assert anew.spending == NOTHING.spending
    assert anew.waves is not None
    assert anew.waves.variances == pytest.approx(latency.waves.variances, rel=0.05)


async def test_a_new_baseline_has_none(driver: Driver) -> None:
    rollout_id = await driver.under_way(guardrails=LIMITS, stages=(Stage(weight=1_000, bake=HOUR),))

    assert (await driver.rollout(rollout_id)).sequences.guardrails == ()
