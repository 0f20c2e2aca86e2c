"""Rollouts that begin later: at a time, after an approval, behind another one or in its place."""

from datetime import timedelta

import pytest

from tests.factories import NOON
from tests.rollouts.conftest import SECOND, Driver
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import NothingBeside, RolloutUnderWay
from turnout.rollouts.commands.retry import NothingToRetry, retry
from turnout.rollouts.domain.orders import Advance, Order, Promotion, Retry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import OnConflict, Stage
from turnout.rollouts.domain.verbs import NotBegun
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def first_version(driver: Driver, *others: str) -> None:
    await driver.register("1.0.0", *others)
    await driver.start("1.0.0")


async def test_a_scheduled_start_waits_for_its_time_and_leaves_the_traffic_alone(
    driver: Driver,
) -> None:
    await first_version(driver, "2.0.0")
    rollout_id = await driver.start("2.0.0", starts_at=NOON + HOUR, stages=STAGES)
    await driver.tick(59 * MINUTE)
    waiting = await driver.rollout(rollout_id)
    shares = await driver.shares()
    looks = await driver.looks(rollout_id)
    await driver.tick(MINUTE)

    assert (waiting.phase, looks) == (Phase.SCHEDULED, [])
    assert shares == {"1.0.0": 100}
    assert await driver.events(rollout_id) == ["scheduled", "started"]
    assert (await driver.rollout(rollout_id)).progress.stage == 0
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}


async def test_the_baseline_is_the_version_that_answers_when_the_time_has_come(
    driver: Driver,
) -> None:
    await first_version(driver, "2.0.0", "3.0.0")
    rollout_id = await driver.start("3.0.0", starts_at=NOON + HOUR, stages=STAGES)
    at_once = (Stage(weight=10_000, bake=timedelta(), guardrails=()),)
    await driver.start("2.0.0", stages=at_once)
    await driver.tick()
    await driver.tick(HOUR)

    assert await driver.shares() == {"3.0.0": 5, "2.0.0": 95}
    assert (await driver.rollout(rollout_id)).phase is Phase.RUNNING


async def test_a_time_that_is_past_is_now(driver: Driver) -> None:
    await first_version(driver, "2.0.0")
    rollout_id = await driver.start("2.0.0", starts_at=NOON - HOUR)

    assert (await driver.rollout(rollout_id)).phase is Phase.RUNNING


async def test_what_has_not_begun_can_be_aborted_and_nothing_else(driver: Driver) -> None:
    await first_version(driver, "2.0.0")
    rollout_id = await driver.start("2.0.0", starts_at=NOON + HOUR)
    with pytest.raises(NotBegun, match="starts at 2026-03-02 13:00 UTC"):
        await driver.say(order.promote, rollout_id, Promotion())
    with pytest.raises(NotBegun):
        await driver.say(order.roll_back, rollout_id, Order())
    split = await driver.split()
    await driver.say(order.abort, rollout_id, Order())

    assert (await driver.rollout(rollout_id)).phase is Phase.ABORTED
    assert (await driver.split()).id == split.id
    assert await driver.quarantined() == []


async def test_a_start_that_has_become_impossible_is_given_up(driver: Driver) -> None:
    await first_version(driver, "2.0.0")
    rollout_id = await driver.start("2.0.0", starts_at=NOON + HOUR)
    await driver.move("2.0.0", Lifecycle.REJECTED)
    await driver.tick(HOUR)

    step = (await driver.steps(rollout_id))[-1]
    assert (step.to_phase, step.verdict) == (Phase.ABORTED, Verdict.CANCELLED)
    assert "started could not be carried out: version 2.0.0" in step.reason
    assert await driver.shares() == {"1.0.0": 100}


async def test_a_start_waits_for_its_approval_at_no_traffic(driver: Driver) -> None:
    await first_version(driver, "2.0.0")
    rollout_id = await driver.start("2.0.0", start_approval=True, stages=STAGES)
    await driver.tick(HOUR)
    waiting = await driver.rollout(rollout_id)
    shares = await driver.shares()
    await driver.say(order.approve, rollout_id, Advance(reason="the owners agree"))

    assert waiting.phase is Phase.AWAITING_APPROVAL
    assert shares == {"2.0.0": 0, "1.0.0": 100}
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}
    assert (await driver.rollout(rollout_id)).progress.entered_at == driver.clock()


async def test_nobody_would_answer_while_a_first_version_waits_for_approval(
    driver: Driver,
) -> None:
    await driver.register("1.0.0")
    with pytest.raises(NothingBeside):
        await driver.start("1.0.0", start_approval=True)


async def test_new_version_mid_canary_reject_queue_supersede(driver: Driver) -> None:
    second = await driver.under_way(stages=STAGES)
    await driver.register("3.0.0", "4.0.0")
    with pytest.raises(RolloutUnderWay):
        await driver.start("3.0.0", on_conflict=OnConflict.REJECT)
    third = await driver.start("3.0.0", stages=STAGES, on_conflict=OnConflict.QUEUE)
    await driver.tick()
    queued = await driver.rollout(third)
    during = await driver.shares()
    fourth = await driver.start("4.0.0", stages=STAGES, on_conflict=OnConflict.SUPERSEDE)
    superseded = await driver.shares()
    await driver.say(order.promote, fourth, Promotion(full=True))
    await driver.say(order.promote, fourth, Promotion())
    await driver.tick()

    assert (queued.phase, during) == (Phase.SCHEDULED, {"2.0.0": 5, "1.0.0": 95})
    assert (await driver.rollout(second)).phase is Phase.ABORTED
    assert (await driver.steps(second))[-1].reason == "superseded by 4.0.0"
    assert superseded == {"4.0.0": 5, "1.0.0": 95}
    assert (await driver.rollout(third)).phase is Phase.RUNNING
    assert await driver.shares() == {"3.0.0": 5, "4.0.0": 95}


async def test_rollouts_in_the_queue_begin_in_the_order_in_which_they_were_asked_for(
    driver: Driver,
) -> None:
    live = await driver.under_way(stages=STAGES)
    await driver.register("3.0.0", "4.0.0", "5.0.0")
    later = await driver.start(
        "5.0.0", starts_at=NOON + HOUR, stages=STAGES, on_conflict=OnConflict.QUEUE
    )
    queue = [
        await driver.start(version, stages=STAGES, on_conflict=OnConflict.QUEUE)
        for version in ("3.0.0", "4.0.0")
    ]
    phases = []
    for ending in (live, *queue):
        await driver.say(order.abort, ending, Order())
        await driver.tick()
        phases.append([(await driver.rollout(waiting)).phase.value for waiting in (*queue, later)])

    assert phases == [
        ["running", "scheduled", "scheduled"],
        ["aborted", "running", "scheduled"],
        ["aborted", "aborted", "scheduled"],
    ]


async def test_who_comes_to_a_queue_goes_to_its_end(driver: Driver) -> None:
    live = await driver.under_way(stages=STAGES)
    await driver.register("3.0.0", "4.0.0")
    first = await driver.start("3.0.0", stages=STAGES, on_conflict=OnConflict.QUEUE)
    await driver.say(order.abort, live, Order())
    second = await driver.start("4.0.0", stages=STAGES, on_conflict=OnConflict.QUEUE)
    await driver.tick()

    assert (await driver.rollout(first)).phase is Phase.RUNNING
    assert (await driver.rollout(second)).phase is Phase.SCHEDULED


async def test_a_scheduled_start_that_finds_another_rollout_is_rejected_then(
    driver: Driver,
) -> None:
    await first_version(driver, "2.0.0", "3.0.0")
    rollout_id = await driver.start("3.0.0", starts_at=NOON + HOUR)
    live = await driver.start("2.0.0", stages=STAGES)
    await driver.tick(HOUR)

    assert (await driver.rollout(rollout_id)).phase is Phase.ABORTED
    assert "has a rollout under way" in (await driver.steps(rollout_id))[-1].reason
    assert (await driver.rollout(live)).progress.phase.live


async def test_what_could_not_be_rolled_back_is_retried_against_the_same_baseline(
    driver: Driver,
) -> None:
    former = await driver.under_way(stages=STAGES)
    await driver.move("1.0.0", Lifecycle.REJECTED)
    await driver.see(former, 200, 150)
    await driver.tick()
    await driver.move("1.0.0", Lifecycle.DEVELOPMENT)
    again = await driver.say(retry, former, Retry())
    failed = await driver.rollout(former)

    assert failed.phase is Phase.FAILED
    assert again.baseline_id == failed.baseline_id
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}


async def test_retry_restarts_at_stage_zero(driver: Driver) -> None:
    former = await driver.under_way(stages=STAGES)
    await driver.see(former, 1_000, baseline=19_000, after=10 * MINUTE)
    await driver.tick()
    await driver.see(former, 1_000, 800)
    await driver.tick()
    wish = Retry(override_quarantine=True, reason="the cause was elsewhere")
    again = (await driver.say(retry, former, wish)).id
    await driver.tick()

    rollout = await driver.rollout(again)
    assert (await driver.rollout(former)).phase is Phase.ROLLED_BACK
    assert (rollout.progress.stage, rollout.phase) == (0, Phase.RUNNING)
    assert rollout.plan == (await driver.rollout(former)).plan
    assert rollout.retries == former
    (look,) = await driver.looks(again)
    assert look.judgement.verdict is Verdict.NO_DATA


@pytest.mark.parametrize("verb", [None, order.promote])
async def test_only_what_did_not_succeed_is_tried_again(
    driver: Driver, verb: object | None
) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    if verb is not None:
        for _ in STAGES:
            await driver.say(order.promote, rollout_id, Promotion())
    with pytest.raises(NothingToRetry):
        await driver.say(retry, rollout_id, Retry())


async def test_predictions_of_the_warm_up_do_not_count(driver: Driver) -> None:
    stages = (Stage(weight=500, warm_up=5 * MINUTE, bake=10 * MINUTE),)
    rollout_id = await driver.under_way(stages=stages)
    warming = await driver.split()
    await driver.see(rollout_id, 1_000, 900, after=MINUTE)
    await driver.tick()
    during = await driver.rollout(rollout_id)
    await driver.tick(5 * MINUTE)
    warm = await driver.rollout(rollout_id)
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, after=10 * MINUTE)
    await driver.tick()

    assert (during.phase, during.progress.warming) == (Phase.RUNNING, True)
    assert (warm.progress.warming, warm.progress.entered_at) == (False, NOON + 6 * MINUTE + SECOND)
    assert warm.progress.split_id != warming.id
    assert await driver.events(rollout_id) == ["started", "warmed_up", "advanced", "succeeded"]


async def test_early_end_before_first_measurement(driver: Driver) -> None:
    """A warm-up that is longer than the stage's own time does not let it end unmeasured."""
    stages = (Stage(weight=500, warm_up=HOUR, bake=MINUTE, max_duration=2 * MINUTE),)
    rollout_id = await driver.under_way(stages=stages)
    await driver.tick(30 * MINUTE)
    during = await driver.events(rollout_id)
    await driver.tick(30 * MINUTE)
    await driver.tick(MINUTE)

    assert during == ["started"]
    assert await driver.events(rollout_id) == ["started", "warmed_up"]
    assert await driver.shares() == {"2.0.0": 5, "1.0.0": 95}
