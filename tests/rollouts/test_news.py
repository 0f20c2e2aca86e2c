"""What others are told of a rollout: one thing for each step that matters to them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.rollouts.conftest import Driver
from turnout.events.tables import EventRow
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands import order
from turnout.rollouts.commands.restore import restore
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion, Restoration
from turnout.rollouts.domain.plan import OnConflict, OnDeadline, Stage

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))
IMPATIENT = (Stage(weight=500, bake=MINUTE, max_duration=MINUTE, on_deadline=OnDeadline.ROLLBACK),)
GATED = (Stage(weight=500, bake=MINUTE, approval=True, guardrails=()),)

Story = Callable[[Driver], Awaitable[UUID]]


async def harm(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    return rollout_id


async def harm_while_paused(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.say(order.pause, rollout_id, Order())
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    return rollout_id


async def harm_at_100_percent(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.say(order.promote, rollout_id, Promotion(full=True))
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    return rollout_id


async def no_data_until_the_deadline(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=IMPATIENT)
    await driver.tick(MINUTE)
    return rollout_id


async def a_person(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.say(order.roll_back, rollout_id, Order())
    return rollout_id


async def a_person_for_the_model(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    async with driver.sessions() as session:
        wish = Restoration(reason="complaints")
        await restore(session, "fraud-detection", wish, actor="ada", now=driver.clock())
        await session.commit()
    return rollout_id


async def harm_to_another_of_its_group(driver: Driver) -> UUID:
    sound, broken = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.see(broken, 200, 150)
    await driver.tick()
    return sound


async def a_baseline_that_is_gone(driver: Driver) -> UUID:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    return rollout_id


@pytest.mark.parametrize(
    ("story", "end"),
    [
        (harm, "rolled_back"),
        (harm_while_paused, "rolled_back"),
        (harm_at_100_percent, "rolled_back"),
        (no_data_until_the_deadline, "rolled_back"),
        (a_person, "rolled_back"),
        (a_person_for_the_model, "rolled_back"),
        (harm_to_another_of_its_group, "rolled_back"),
        (a_baseline_that_is_gone, "failed"),
    ],
)
async def test_no_alert_silence(driver: Driver, story: Story, end: str) -> None:
    rollout_id = await story(driver)
    for _ in range(3):
        await driver.tick()

    told = await driver.told(rollout_id)
    assert [kind for kind in told if kind.endswith(("rolled_back", "failed"))] == [f"rollout.{end}"]
    assert told[-1] == f"rollout.{end}"


async def test_a_rollout_is_told_from_its_start_to_its_end(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=GATED, start_approval=True)
    await driver.say(order.approve, rollout_id, Advance())
    await driver.say(order.pause, rollout_id, Order())
    await driver.say(order.resume, rollout_id, Order())
    await driver.tick(MINUTE)
    await driver.say(order.approve, rollout_id, Advance())
    await driver.say(order.skip, rollout_id, Emergency(reason="a fix"))

    assert await driver.told(rollout_id) == [
        "rollout.awaiting_approval",
        "rollout.advanced",
        "rollout.paused",
        "rollout.awaiting_approval",
        "rollout.advanced",
        "rollout.succeeded",
    ]


async def test_who_is_told_knows_what_why_and_by_whom(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.say(order.roll_back, rollout_id, Order(reason="complaints"))
    async with driver.sessions() as session:
        query = select(EventRow).where(EventRow.type == "rollout.rolled_back")
        event = (await session.scalars(query)).one()

    assert (event.model, event.at) == ("fraud-detection", driver.clock())
    assert event.subject == f"models/fraud-detection/rollouts/{rollout_id}"
    assert event.data == {
        "rollout": str(rollout_id),
        "step": 2,
        "model": "fraud-detection",
        "candidate": "2.0.0",
        "baseline": "1.0.0",
        "from_phase": "running",
        "phase": "rolled_back",
        "stage": 0,
        "weight": 0,
        "verdict": "no_data",
        "reason": "complaints",
        "actor": "ada",
    }


async def test_a_rollout_that_is_superseded_or_cancelled_is_told_to_be_aborted(
    driver: Driver,
) -> None:
    first = await driver.under_way(stages=STAGES)
    await driver.register("3.0.0")
    second = await driver.start("3.0.0", stages=STAGES, on_conflict=OnConflict.SUPERSEDE)
    waiting = await driver.start("2.0.0", stages=STAGES, on_conflict=OnConflict.QUEUE)
    await driver.say(order.abort, waiting, Order())

    assert await driver.told(first) == ["rollout.started", "rollout.aborted"]
    assert await driver.told(second) == ["rollout.started"]
    assert await driver.told(waiting) == ["rollout.aborted"]


async def test_versions_are_told_when_they_are_registered_and_moved(driver: Driver) -> None:
    await driver.register("1.0.0")
    await driver.move("1.0.0", Lifecycle.STAGING)
    async with driver.sessions() as session:
        rows = (await session.scalars(select(EventRow).order_by(EventRow.id))).all()

    assert [(row.type, row.subject) for row in rows] == [
        ("version.registered", "models/fraud-detection/versions/1.0.0"),
        ("version.transitioned", "models/fraud-detection/versions/1.0.0"),
    ]
    assert (rows[1].data["from_stage"], rows[1].data["stage"]) == ("development", "staging")
