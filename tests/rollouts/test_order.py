from datetime import timedelta

import pytest

from tests.rollouts.conftest import Driver
from turnout.db import transaction
from turnout.errors import Conflict
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.commands import order
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.verbs import GuardrailFails
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def test_a_promotion_is_refused_while_a_guardrail_fails(driver: Driver) -> None:
    rollout_id = await driver.under_way()
    await driver.see(rollout_id, 200, 150)

    with pytest.raises(GuardrailFails):
        async with transaction(driver.sessions) as session:
            await order.promote(
                session, rollout_id, Promotion(full=True), actor="ada", now=driver.clock()
            )


async def test_what_is_refused_changes_nothing(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    before = await driver.rollout(rollout_id)
    with pytest.raises(Conflict):
        async with transaction(driver.sessions) as session:
            await order.promote(
                session,
                rollout_id,
                Promotion(expected_stage=1),
                actor="ada",
                now=driver.clock(),
            )
    after = await driver.rollout(rollout_id)

    assert (after.progress, after.step, after.fence) == (before.progress, before.step, before.fence)


async def test_a_fresh_start_counts_no_old_evidence(driver: Driver) -> None:
    guardrail = Guardrail(metric="error_rate", max=0.02, proof="not_worse")
    rollout_id = await driver.under_way(stages=STAGES, guardrails=(guardrail,))
    await driver.see(rollout_id, 500, 9, after=30 * MINUTE)
    await driver.tick()
    paused = await driver.rollout(rollout_id)
    async with transaction(driver.sessions) as session:
        await order.resume(session, rollout_id, Order(), actor="ada", now=driver.clock())
    await driver.tick()
    resumed = await driver.rollout(rollout_id)

    assert paused.phase is Phase.PAUSED
    assert resumed.phase is Phase.RUNNING
    assert resumed.progress.split_id != paused.progress.split_id
    assert [look.judgement.verdict for look in await driver.looks(rollout_id)] == [
        Verdict.INCONCLUSIVE,
        Verdict.INCONCLUSIVE,
        Verdict.NO_DATA,
    ]
