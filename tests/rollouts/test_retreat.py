"""A rollback that takes its time."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from httpx2 import AsyncClient
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON
from tests.rollouts.conftest import SECOND, Driver, Verb
from tests.rollouts.requests import START
from turnout.db import transaction
from turnout.observations.domain.guardrails import Guardrail
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import Quarantined
from turnout.rollouts.commands.restore import restore
from turnout.rollouts.commands.retry import retry
from turnout.rollouts.commands.watchdog import report_missed
from turnout.rollouts.domain import verbs
from turnout.rollouts.domain.freezes import DAYS, Weekly
from turnout.rollouts.domain.group import GroupLaunch, MemberLaunch
from turnout.rollouts.domain.orders import Emergency, Order, Promotion, Restoration, Retry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, OnConflict, Stage
from turnout.rollouts.domain.retreat import Retreat
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
ALWAYS = Weekly(days=DAYS, from_=time(0), to=time(0))
THIRD = 20 * SECOND
STAGES = (Stage(weight=4_000, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))
BACK = Retreat(began=NOON, over=MINUTE, reason="complaints", verdict=Verdict.PASS)


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        pytest.param(0, 3, id="a quarter is gone from the beginning"),
        pytest.param(19, 3, id="not yet a third of the time"),
        pytest.param(20, 2, id="a third of it"),
        pytest.param(40, 1, id="two thirds"),
        pytest.param(59, 1, id="almost over"),
        pytest.param(60, 0, id="over"),
        pytest.param(3_600, 0, id="missed by all workers: made up for at once"),
        pytest.param(-5, 3, id="a clock a little behind"),
        pytest.param(-3_600, 0, id="a clock set back must not keep the candidate on the road"),
    ],
)
def test_the_share_goes_down_by_quarters(seconds: int, left: int) -> None:
    assert BACK.due(NOON + seconds * SECOND) == left


@given(st.integers(0, 3), st.timedeltas(-2 * MINUTE, 2 * MINUTE), st.integers(0, 10_000))
def test_no_clock_gives_anything_back(left: int, after: timedelta, weight: int) -> None:
    before = replace(BACK, left=left)
    then = replace(before, left=before.due(NOON + after))

    assert 0 <= then.of(weight) <= before.of(weight) <= weight


@pytest.mark.parametrize("text", ["0s", "61m"])
async def test_a_rollback_takes_some_time_or_none(
    client: AsyncClient, driver: Driver, text: str
) -> None:
    await driver.under_way()
    answer = await client.post(START, json={"candidate": "2.0.0", "rollback_over": text})

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["reason"].endswith("leave it out to roll back at once")


async def test_harm_takes_the_candidate_off_the_road_by_and_by(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.see(rollout_id, 200, 150, baseline=300)
    shares = []
    for after in (SECOND, 19 * SECOND, SECOND, THIRD, THIRD):
        await driver.tick(after)
        shares.append((await driver.shares()).get("2.0.0"))
    steps = await driver.steps(rollout_id)

    assert shares == [30, 30, 20, 10, None]
    assert [(step.event, step.to_phase, step.weight) for step in steps[1:]] == [
        ("rolling_back", Phase.ROLLING_BACK, 3_000),
        ("stepped_back", Phase.ROLLING_BACK, 2_000),
        ("stepped_back", Phase.ROLLING_BACK, 1_000),
        ("rolled_back", Phase.ROLLED_BACK, 0),
    ]
    assert {step.verdict for step in steps[1:]} == {Verdict.FAIL}
    assert len({step.reason for step in steps[1:]}) == 1
    assert len({step.split_id for step in steps}) == 5
    assert await driver.told(rollout_id) == [
        "rollout.started",
        "rollout.rolling_back",
        "rollout.rolled_back",
    ]
    assert await driver.alerts() == [("rolling_back", "resolved")]


async def test_it_is_quarantined_and_calls_a_person_from_the_first_step(
    client: AsyncClient, driver: Driver
) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order(reason="complaints"))
    quarantined, alerts = await driver.quarantined(), await driver.alerts()
    (alert,) = (await client.get("alerts")).json()["items"]
    with pytest.raises(Quarantined):
        await driver.start("2.0.0", on_conflict=OnConflict.QUEUE)
    await driver.start(
        "2.0.0", on_conflict=OnConflict.QUEUE, override_quarantine=True, reason="not its fault"
    )
    await driver.tick(MINUTE)

    assert quarantined == ["2.0.0"]
    assert alerts == [("rolling_back", "firing")]
    assert alert["summary"] == "it is rolling back until 12:01:00 UTC: complaints"
    assert await driver.quarantined() == [], "what was lifted since stays so"


@pytest.mark.parametrize("verb", [order.roll_back, order.abort], ids=["rollback", "abort"])
async def test_a_person_may_end_it_at_once(driver: Driver, verb: Verb[Order]) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order(reason="complaints"))
    await driver.say(verb, rollout_id, Order(reason="it is worse than we thought"))

    assert await driver.events(rollout_id) == ["started", "rolling_back", "rolled_back"]
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.quarantined() == ["2.0.0"]


async def test_harm_that_shows_again_ends_it_at_once(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order(reason="complaints"))
    await driver.see(rollout_id, 200, 10, baseline=300)
    await driver.tick()
    slight = (await driver.rollout(rollout_id)).phase
    await driver.see(rollout_id, 400, 150, baseline=300)
    await driver.tick()
    last = (await driver.steps(rollout_id))[-1]

    assert slight is Phase.ROLLING_BACK
    assert (last.event, last.verdict) == ("rolled_back", Verdict.FAIL)
    assert last.reason.startswith("harm shows again while rolling back: error_rate")


@pytest.mark.parametrize("verb", ["approve", "pause", "resume", "promote", "skip"])
async def test_nothing_else_can_be_done_meanwhile(driver: Driver, verb: str) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order())
    wish = Emergency(reason="a hole") if verb == "skip" else Promotion()
    with pytest.raises(verbs.BeingRolledBack, match="rolling back until 12:01:00 UTC"):
        await driver.say(getattr(order, verb), rollout_id, wish)

    assert await driver.events(rollout_id) == ["started", "rolling_back"]


async def test_where_nobody_is_answered_it_takes_no_time(driver: Driver) -> None:
    rollout_id = await driver.under_way(
        stages=(Stage(weight=0, shadow=True, bake=MINUTE), *STAGES), rollback_over=MINUTE
    )
    await driver.say(order.roll_back, rollout_id, Order())

    assert await driver.events(rollout_id) == ["started", "rolled_back"]


async def test_it_goes_on_from_a_pause_and_in_a_freeze_window(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.pause, rollout_id, Order())
    await driver.freeze(ALWAYS)
    await driver.say(order.roll_back, rollout_id, Order())
    for _ in range(3):
        await driver.tick(THIRD)

    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK


async def test_a_baseline_that_is_taken_away_meanwhile_leaves_it_to_a_person(
    driver: Driver,
) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order())
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.tick(THIRD)

    assert (await driver.rollout(rollout_id)).phase is Phase.FAILED
    assert await driver.shares() == {"2.0.0": 30, "1.0.0": 70}
    assert await driver.alerts() == [("rolling_back", "resolved"), ("rollback-failed", "firing")]


async def test_to_a_third_version_it_goes_at_once(driver: Driver) -> None:
    await driver.register("3.0.0")
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    async with transaction(driver.sessions) as session:
        wish = Restoration(reason="both are bad", to_version="3.0.0")
        await restore(session, "fraud-detection", wish, actor="ada", now=driver.clock())

    assert await driver.events(rollout_id) == ["started", "rolled_back"]
    assert await driver.shares() == {"3.0.0": 100}


async def test_it_is_listed_once_as_what_began_it(client: AsyncClient, driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order(reason="complaints"))
    path = "models/fraud-detection/rollbacks"
    begun = (await client.get(path)).json()["items"]
    view = (await client.get(f"rollouts/{rollout_id}")).json()
    await driver.tick(MINUTE)
    ended = (await client.get(path)).json()["items"]

    assert (view["phase"], view["weight"]) == ("rolling_back", 30)
    assert view["waiting_for"] == "rolling back until 12:01:00 UTC"
    assert begun == ended
    assert [(found["actor"], found["reason"]) for found in ended] == [("ada", "complaints")]


async def test_every_verdict_is_found_again(client: AsyncClient, driver: Driver) -> None:
    limits = (
        Guardrail(metric="error_rate", max_increase=0.02),
        Guardrail(metric="latency_p95", max=100),
    )
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE, guardrails=limits)
    for errors in (5, 150, 10, 300):
        await driver.see(rollout_id, 400, errors, baseline=300)
        await driver.tick()
    replay = (await client.get(f"rollouts/{rollout_id}/replay")).json()

    assert (await driver.events(rollout_id))[1:] == ["rolling_back", "rolled_back"]
    assert (replay["same"], replay["looks"] > 2) == (True, True)


async def test_who_does_not_look_at_it_is_missed(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.roll_back, rollout_id, Order())
    now = driver.clock.advance(10 * SECOND)

    assert await report_missed(driver.sessions, now=now, interval=SECOND) == 1


async def test_a_retry_takes_the_same_time_for_it(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, rollback_over=MINUTE)
    await driver.say(order.abort, rollout_id, Order())
    again = await driver.say(retry, rollout_id, Retry())

    assert again.plan.rollback_over == MINUTE


async def test_each_member_of_a_group_takes_its_own_time(driver: Driver) -> None:
    for model in ("a", "b"):
        await driver.register("1.0.0", "2.0.0", model=model)
        await driver.start("1.0.0", model=model)
    slow = MemberLaunch(model="a", candidate="2.0.0", stages=STAGES, rollback_over=MINUTE)
    quick = MemberLaunch(model="b", candidate="2.0.0", stages=STAGES)
    first, second = await driver.start_group(GroupLaunch(rollouts=(slow, quick)))
    await driver.see(second, 200, 150)
    for after in (SECOND, THIRD, THIRD, THIRD):
        await driver.tick(after)

    back = ["rolling_back", "stepped_back", "stepped_back", "rolled_back"]
    assert await driver.events(first) == ["started", *back]
    assert await driver.events(second) == ["started", "rolled_back"]


async def test_only_the_member_that_goes_to_a_third_version_goes_at_once(driver: Driver) -> None:
    for model in ("a", "b"):
        await driver.register("1.0.0", "2.0.0", "3.0.0", model=model)
        await driver.start("1.0.0", model=model)
    one, other = (
        MemberLaunch(model=model, candidate="2.0.0", stages=STAGES, rollback_over=MINUTE)
        for model in ("a", "b")
    )
    first, second = await driver.start_group(GroupLaunch(rollouts=(one, other)))
    async with transaction(driver.sessions) as session:
        wish = Restoration(reason="both are bad", to_version="3.0.0")
        await restore(session, "a", wish, actor="ada", now=driver.clock())

    assert await driver.events(first) == ["started", "rolled_back"]
    assert await driver.events(second) == ["started", "rolling_back"]


def test_a_plan_without_it_rolls_back_at_once() -> None:
    assert Launch(candidate="2.0.0").plan().rollback_over is None
