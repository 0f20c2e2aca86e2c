from datetime import time, timedelta

import pytest

from tests.rollouts.conftest import Driver
from turnout.db import transaction
from turnout.errors import Conflict
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import FrozenNow
from turnout.rollouts.domain.freezes import DAYS, Weekly
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.verbs import GuardrailFails, InFreezeWindow
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


async def test_a_pause_by_evidence_does_not_outlive_a_failure(driver: Driver) -> None:
    """Resuming would start the stage afresh, and what has failed would never be answered."""
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.tick(30 * MINUTE)
    await driver.see(rollout_id, 200, 150)

    with pytest.raises(GuardrailFails):
        await driver.say(order.resume, rollout_id, Order())
    await driver.tick()

    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK


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


ALWAYS = Weekly(days=DAYS, from_=time(0), to=time(0), reason="month's end")


async def test_freeze_blocks_advance_not_rollback(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.freeze(ALWAYS)
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, after=10 * MINUTE)
    await driver.tick()
    held = await driver.rollout(rollout_id)
    with pytest.raises(InFreezeWindow):
        await driver.say(order.promote, rollout_id, Promotion())
    await driver.see(rollout_id, 2_000, 1_500)
    await driver.tick()

    assert (held.phase, held.progress.stage) == (Phase.RUNNING, 0)
    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK


async def test_what_a_freeze_window_held_goes_on_when_it_is_lifted(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.freeze(ALWAYS)
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, after=40 * MINUTE)
    await driver.tick()
    held = await driver.events(rollout_id)
    await driver.freeze()
    await driver.tick()

    assert held == ["started"]
    assert await driver.events(rollout_id) == ["started", "advanced"]


async def test_nothing_starts_in_a_freeze_window_unless_somebody_says_why(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.start("1.0.0")
    await driver.freeze(ALWAYS)
    scheduled = await driver.start("2.0.0", starts_at=driver.clock() + MINUTE)
    await driver.tick(2 * MINUTE)
    with pytest.raises(FrozenNow):
        await driver.start("2.0.0")
    started = await driver.start("2.0.0", override_freeze=True, reason="it cannot wait")

    assert (await driver.rollout(scheduled)).phase is Phase.SCHEDULED
    assert (await driver.rollout(started)).phase is Phase.RUNNING
