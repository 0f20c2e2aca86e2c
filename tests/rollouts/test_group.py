"""Release groups: forward together or not at all, and down together."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts import examples, queries
from turnout.rollouts.commands import order
from turnout.rollouts.commands.group import NothingToWaitFor
from turnout.rollouts.commands.refusals import GroupOutOfScope, RolloutUnderWay
from turnout.rollouts.commands.retry import NothingToRetry, retry
from turnout.rollouts.commands.start import start
from turnout.rollouts.commands.tick import tick
from turnout.rollouts.domain.group import GroupLaunch, MemberLaunch
from turnout.rollouts.domain.orders import Advance, Order, Promotion, Retry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, OnConflict, Stage
from turnout.rollouts.domain.verbs import VerbRefused

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def phases(driver: Driver, rollouts: list[Any]) -> list[Phase]:
    return [(await driver.rollout(rollout_id)).phase for rollout_id in rollouts]


async def stages(driver: Driver, rollouts: list[Any]) -> list[int]:
    return [(await driver.rollout(rollout_id)).progress.stage for rollout_id in rollouts]


async def test_a_member_that_is_ready_waits_for_the_others(driver: Driver) -> None:
    ready, late = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.see(ready, 1_000, 5, baseline=19_000, after=10 * MINUTE)
    await driver.tick()
    waiting = await stages(driver, [ready, late])
    looks = len(await driver.looks(ready))
    await driver.see(ready, 1_100, 5)
    await driver.see(late, 1_000, 5, baseline=19_000, after=MINUTE)
    await driver.tick()

    assert (waiting, looks) == ([0, 0], 1)
    assert await stages(driver, [ready, late]) == [1, 1]
    assert await driver.shares(model="a") == await driver.shares(model="b")


async def test_members_finish_together(driver: Driver) -> None:
    group = await driver.group_under_way("a", "b", stages=STAGES)
    for _ in STAGES:
        driver.clock.advance(10 * MINUTE)
        for rollout_id in group:
            await driver.see(rollout_id, 1_000, 5, baseline=19_000)
        await driver.tick()

    assert await phases(driver, group) == [Phase.SUCCEEDED] * 2


async def test_a_guardrail_that_fails_for_one_takes_all_off_the_road(driver: Driver) -> None:
    sound, broken = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.see(broken, 200, 150)
    await driver.tick()

    assert await phases(driver, [sound, broken]) == [Phase.ROLLED_BACK] * 2
    assert await driver.shares(model="a") == await driver.shares(model="b") == {"1.0.0": 100}
    reason = (await driver.steps(sound))[-1].reason
    assert reason.startswith(f"its group goes down with rollout {broken}: error_rate")


async def test_what_went_down_together_is_retried_together(driver: Driver) -> None:
    sound, broken = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.see(broken, 200, 150)
    await driver.tick()
    again = await driver.say(
        retry, sound, Retry(override_quarantine=True, reason="the cause was elsewhere")
    )
    async with driver.sessions() as session:
        assert again.group_id is not None
        members = await queries.members(session, again.group_id)

    assert again.retries == sound
    assert {member.retries for member in members} == {sound, broken}
    assert [member.phase for member in members] == [Phase.RUNNING] * 2
    with pytest.raises(RolloutUnderWay):
        await driver.say(retry, broken, Retry())


async def test_a_group_is_retried_once_all_of_it_has_ended(driver: Driver) -> None:
    ended, other = await driver.group_under_way("a", "b", stages=STAGES)
    with pytest.raises(NothingToRetry):
        await driver.say(retry, ended, Retry())

    assert await phases(driver, [ended, other]) == [Phase.RUNNING] * 2


async def test_a_member_whose_rollback_cannot_be_carried_out_holds_up_no_other(
    driver: Driver,
) -> None:
    group = await driver.group_under_way("fraud-detection", "b", stages=STAGES)
    states = {(await driver.rollout(found)).model_id: found for found in group}
    stuck, broken = (states[key] for key in sorted(states))
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.see(broken, 200, 150)
    await driver.tick()

    assert await phases(driver, [stuck, broken]) == [Phase.FAILED, Phase.ROLLED_BACK]
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}
    assert await driver.shares(model="b") == {"1.0.0": 100}


async def test_a_member_that_cannot_advance_keeps_all_where_they_are(driver: Driver) -> None:
    group = await driver.group_under_way("fraud-detection", "b", stages=STAGES)
    await driver.move("2.0.0", Lifecycle.REJECTED)
    driver.clock.advance(10 * MINUTE)
    for rollout_id in group:
        await driver.see(rollout_id, 1_000, 5, baseline=19_000)
    await driver.tick()

    assert await stages(driver, group) == [0, 0]
    assert sorted(await phases(driver, group)) == [Phase.PAUSED, Phase.RUNNING]


async def test_an_approval_is_noted_until_the_others_are_ready(driver: Driver) -> None:
    gated = (Stage(weight=500, bake=MINUTE, approval=True, guardrails=()), STAGES[1])
    one, other = await driver.group_under_way("a", "b", stages=gated)
    await driver.tick(MINUTE)
    await driver.say(order.approve, one, Advance())
    await driver.tick()
    noted = await stages(driver, [one, other])
    again = await driver.say(order.approve, one, Advance(expected_stage=0))
    await driver.say(order.approve, other, Advance())
    await driver.tick()

    assert (noted, again.progress.approved) == ([0, 0], (0,))
    assert await driver.events(one) == ["started", "awaiting_approval", "approved", "advanced"]
    assert await stages(driver, [one, other]) == [1, 1]


@pytest.mark.parametrize(
    ("verb", "wish", "phase"),
    [
        (order.abort, Order(), Phase.ABORTED),
        (order.roll_back, Order(), Phase.ROLLED_BACK),
        (order.promote, Promotion(full=True), Phase.BAKING),
    ],
)
async def test_a_verb_for_one_is_for_all(
    driver: Driver, verb: Any, wish: Order, phase: Phase
) -> None:
    group = await driver.group_under_way("a", "b", "c", stages=STAGES)
    await driver.say(verb, group[1], wish)

    assert await phases(driver, group) == [phase] * 3


async def test_what_one_member_refuses_none_does(driver: Driver) -> None:
    one, other = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.see(other, 200, 150)
    with pytest.raises(VerbRefused):
        await driver.say(order.promote, one, Promotion())

    assert await stages(driver, [one, other]) == [0, 0]


async def test_a_group_starts_as_a_whole_or_not(driver: Driver) -> None:
    await driver.under_way(model="b")
    await driver.register("1.0.0", "2.0.0", model="a")
    await driver.start("1.0.0", model="a")
    members = tuple(MemberLaunch(model=model, candidate="2.0.0") for model in ("a", "b"))
    with pytest.raises(RolloutUnderWay):
        await driver.start_group(GroupLaunch(rollouts=members))

    assert await driver.shares(model="a") == {"1.0.0": 100}


async def test_a_first_version_waits_for_nobody(driver: Driver) -> None:
    await driver.register("1.0.0", model="a")
    await driver.register("1.0.0", model="b")
    members = tuple(MemberLaunch(model=model, candidate="1.0.0") for model in ("a", "b"))
    with pytest.raises(NothingToWaitFor):
        await driver.start_group(GroupLaunch(rollouts=members))


async def test_workers_that_meet_in_a_group_move_it_once(live_driver: Driver) -> None:
    group = await live_driver.group_under_way("a", "b", "c", stages=STAGES)
    live_driver.clock.advance(10 * MINUTE)
    for rollout_id in group:
        await live_driver.see(rollout_id, 1_000, 5, baseline=19_000)
    live_driver.clock.advance(SECOND)
    await asyncio.gather(
        *(tick(live_driver.sessions, clock=live_driver.clock, interval=SECOND) for _ in range(3))
    )
    await live_driver.tick()

    for rollout_id in group:
        assert await live_driver.events(rollout_id) == ["started", "advanced"]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        pytest.param(({}, {"model": "a"}), "once", id="a model twice"),
        pytest.param(
            ({}, {"stages": STAGES[1:]}), r"equally many stages.*\(a: 2, b: 1\)", id="unequal plans"
        ),
        pytest.param(({}, {"on_conflict": OnConflict.QUEUE}), "starts at once", id="a queue"),
    ],
)
def test_a_group_that_cannot_go_together_is_refused(
    members: tuple[dict[str, Any], ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        GroupLaunch(
            rollouts=tuple(
                MemberLaunch(**({"model": model, "candidate": "2.0.0", "stages": STAGES} | fields))
                for model, fields in zip("ab", members, strict=True)
            )
        )


async def test_a_group_over_http(client: AsyncClient, driver: Driver) -> None:
    for model in ("fraud-detection", "churn-predictor"):
        await driver.register("1.0.0", "2.0.0", model=model)
        await driver.start("1.0.0", model=model)
    answer = await client.post("release-groups", json=examples.GROUP["two models"]["value"])
    group = answer.json()
    found = (await client.get("rollouts", params={"group": group["id"]})).json()["items"]

    assert answer.status_code == 201, answer.text
    assert {view["model"] for view in group["rollouts"]} == {"fraud-detection", "churn-predictor"}
    assert {view["id"] for view in found} == {view["id"] for view in group["rollouts"]}
    assert {view["group"] for view in found} == {group["id"]}
    assert {view["reason"] for view in found} == {"the new features are in both"}


async def test_who_is_confined_to_a_model_takes_no_place_of_a_group_that_is_not_theirs(
    driver: Driver,
) -> None:
    """Neither now nor when the worker begins what they have asked for."""
    group = await driver.group_under_way("a", "b", stages=STAGES)
    await driver.register("3.0.0", model="a")
    launch = Launch(candidate="3.0.0", stages=STAGES, on_conflict=OnConflict.SUPERSEDE)
    later = replace(launch, starts_at=driver.clock() + MINUTE)

    async def ask(launch: Launch, *models: str) -> Any:
        async with transaction(driver.sessions) as session:
            by: dict[str, Any] = {"actor": "ci", "now": driver.clock(), "confined_to": models}
            return (await start(session, "a", launch, **by)).id

    with pytest.raises(GroupOutOfScope, match=r"'ci' is confined to a: .* one of another model"):
        await ask(launch, "a")
    scheduled = await ask(later, "a")
    await driver.tick(MINUTE)
    refused = (await driver.steps(scheduled))[-1]
    untouched = await phases(driver, group)
    theirs = await ask(launch, "a", "b")

    assert (refused.event, untouched) == ("aborted", [Phase.RUNNING] * 2)
    assert "one of another model would be aborted, too" in refused.reason
    assert await phases(driver, [*group, theirs]) == [Phase.ABORTED, Phase.ABORTED, Phase.RUNNING]
