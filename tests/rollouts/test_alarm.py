"""A person is called to what no worker can settle, once, and called off when it is settled."""

from dataclasses import replace
from datetime import timedelta

from tests.rollouts.conftest import SECOND, Driver
from turnout.observations.domain.guardrails import Guardrail
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands import order
from turnout.rollouts.commands.watchdog import report_missed
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.replan import Replan

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=5_000, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))
COMPARED = (replace(STAGES[0], guardrails=(Guardrail(metric="error_rate", max_increase=0.01),)),)


async def test_uneven_arms_call_a_person_until_they_are_even(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=COMPARED)
    states = []
    for candidate in (1_000, 1_001, 3_000, 3_001):
        await driver.see(rollout_id, candidate, baseline=3_000)
        await driver.tick()
        states.append(await driver.alerts())

    firing, resolved = [("uneven_arms", "firing")], [("uneven_arms", "resolved")]
    assert states == [firing, firing, resolved, resolved]


async def test_who_ends_a_rollout_ends_its_alerts(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=COMPARED)
    await driver.see(rollout_id, 1_000, baseline=3_000)
    await driver.tick()
    await driver.say(order.abort, rollout_id, Order())

    assert await driver.alerts() == [("uneven_arms", "resolved")]


async def test_a_pause_for_want_of_data_calls_a_person_until_it_is_over(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.tick(30 * MINUTE)
    await driver.tick()
    paused = await driver.alerts()
    await driver.say(order.resume, rollout_id, Order())

    assert paused == [("paused", "firing")]
    assert await driver.alerts() == [("paused", "resolved")]


async def test_other_stages_to_come_do_not_end_a_pause(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.tick(30 * MINUTE)
    await driver.say(order.replan, rollout_id, Replan(stages=STAGES[1:]))

    assert await driver.alerts() == [("paused", "firing")]


async def test_who_paused_for_what_is_not_seen_any_more_still_waits_for_a_person(
    driver: Driver,
) -> None:
    rollout_id = await driver.under_way(stages=(*COMPARED, STAGES[1]))
    await driver.see(rollout_id, 1_000, baseline=3_000)
    await driver.tick()
    await driver.tick(30 * MINUTE)
    untrusted = await driver.alerts()
    await driver.see(rollout_id, 3_000, baseline=3_000)
    await driver.tick()
    waiting = await driver.alerts()
    await driver.say(order.resume, rollout_id, Order())

    assert untrusted == [("uneven_arms", "firing")]
    assert waiting == [("uneven_arms", "resolved"), ("paused", "firing")]
    assert await driver.alerts() == [("uneven_arms", "resolved"), ("paused", "resolved")]


async def test_a_pause_by_hand_calls_nobody(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.say(order.pause, rollout_id, Order())

    assert await driver.alerts() == []


async def test_a_rollback_that_failed_calls_a_person_until_the_traffic_is_moved(
    driver: Driver,
) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    failed = await driver.alerts()
    await driver.register("3.0.0")
    later = driver.clock() + 60 * MINUTE
    waiting = await driver.start("3.0.0", baseline="2.0.0", starts_at=later)
    await driver.say(order.abort, waiting, Order())
    withdrawn = await driver.alerts()
    await driver.start("3.0.0", baseline="2.0.0")

    assert (await driver.rollout(rollout_id)).phase is Phase.FAILED
    assert failed == [("rollback-failed", "firing")]
    assert withdrawn == failed
    assert await driver.alerts() == [("rollback-failed", "resolved")]


async def test_who_moves_the_traffic_by_hand_settles_a_rollback_that_failed(
    driver: Driver,
) -> None:
    await driver.register("3.0.0")
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    failed = await driver.alerts()
    await driver.split_by_hand({"3.0.0": 10_000})

    assert failed == [("rollback-failed", "firing")]
    assert await driver.alerts() == [("rollback-failed", "resolved")]


async def test_a_rollout_that_nobody_looks_at_calls_a_person_until_somebody_does(
    driver: Driver,
) -> None:
    await driver.under_way(stages=STAGES)
    for _ in range(2):
        now = driver.clock.advance(MINUTE)
        await report_missed(driver.sessions, now=now, interval=SECOND)
    missed = await driver.alerts()
    await driver.tick()

    assert missed == [("missed", "firing")]
    assert await driver.alerts() == [("missed", "resolved")]
