"""A/B tests as stages of a rollout, from the start to what becomes of the traffic."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests import factories
from tests.rollouts.conftest import Driver
from turnout.db import transaction
from turnout.rollouts.domain.evidence import judge
from turnout.rollouts.domain.goals import GoalMemory, StageGoal
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage, Strategy
from turnout.rollouts.tables import Rollout
from turnout.stats.goal import GoalStatus
from turnout.stats.verdict import Verdict

HOUR = timedelta(hours=1)
GOAL = StageGoal(metric="accuracy", minimum_detectable_effect=0.05)
TEST: dict[str, Any] = {"strategy": Strategy.AB_TEST, "goal": GOAL}


async def label(
    driver: Driver,
    rollout_id: UUID,
    candidate: float,
    baseline: float,
    *,
    of: int = 900,
    after: timedelta = timedelta(),
) -> None:
    """Let time pass, in which the arms came to be right in these shares of so many answers."""
    driver.clock.advance(after)
    async with transaction(driver.sessions) as session:
        rollout = await session.get_one(Rollout, rollout_id)
        assert rollout.progress.split_id is not None
        shares = {rollout.candidate_id: candidate, rollout.baseline_id: baseline}
        for version_id, share in shares.items():
            assert version_id is not None
            arm = factories.arm_evidence(
                of,
                version_id=version_id,
                last_at=driver.clock(),
                outcomes={"accuracy": factories.counted(of, round(share * of))},
            )
            await factories.add_evidence(session, rollout.model_id, rollout.progress.split_id, arm)


async def test_half_and_half_until_the_goal_decides_then_all_traffic(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    shares = [await driver.shares()]
    await label(driver, rollout_id, 0.9, 0.8, after=HOUR / 2)
    await driver.tick()
    shares.append(await driver.shares())
    await label(driver, rollout_id, 0.9, 0.8, after=HOUR / 2)
    await driver.tick()
    shares.append(await driver.shares())

    assert shares == [
        {"2.0.0": 50, "1.0.0": 50},
        {"2.0.0": 50, "1.0.0": 50},
        {"2.0.0": 100, "1.0.0": 0},
    ]
    step = (await driver.steps(rollout_id))[-1]
    assert step.reason.startswith("accuracy to increase: better: 90 % against the control's 80 %")
    [won] = [look for look in await driver.looks(rollout_id) if look.id == step.look_id]
    assert won.judgement.goal is not None
    assert won.judgement.goal.status is GoalStatus.WIN


async def test_harm_to_the_goal_is_a_rollback_at_once(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    await label(driver, rollout_id, 0.7, 0.8)
    await driver.tick()

    step = (await driver.steps(rollout_id))[-1]
    assert (step.to_phase, step.verdict) == (Phase.ROLLED_BACK, Verdict.FAIL)
    assert step.reason.startswith("accuracy to increase: worse: 70 % against the control's 80 %")
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.quarantined() == ["2.0.0"]


@pytest.mark.parametrize(
    ("candidate", "after", "found"),
    [
        pytest.param(0.78, HOUR, "no improvement worth waiting for", id="futility_stop"),
        pytest.param(0.838, timedelta(days=7), "no difference shown", id="the time is over"),
    ],
)
async def test_without_a_win_the_baseline_stays_and_nobody_is_quarantined(
    driver: Driver, candidate: float, after: timedelta, found: str
) -> None:
    rollout_id = await driver.under_way(**TEST)
    await label(driver, rollout_id, candidate, 0.8, of=700, after=after)
    await driver.tick()

    step = (await driver.steps(rollout_id))[-1]
    assert (step.to_phase, step.verdict) == (Phase.ABORTED, Verdict.INCONCLUSIVE)
    assert step.reason.startswith(f"the baseline stays. accuracy to increase: {found}")
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.quarantined() == []


async def test_futility_waits_for_the_bake_time(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    await label(driver, rollout_id, 0.78, 0.8, of=700, after=HOUR / 2)
    await driver.tick()

    assert (await driver.rollout(rollout_id)).phase is Phase.RUNNING


async def test_a_search_without_labels_pauses_when_its_time_is_over(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    await driver.see(rollout_id, 5_000, baseline=5_000, after=timedelta(days=7))
    await driver.tick()

    rollout = await driver.rollout(rollout_id)
    assert rollout.phase is Phase.PAUSED
    assert rollout.progress.pause is not None
    assert "accuracy to increase: no data in one of the arms" in rollout.progress.pause.reason


async def test_a_win_does_not_make_up_for_a_guardrail_that_fails(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    await label(driver, rollout_id, 0.9, 0.8, after=HOUR)
    await driver.see(rollout_id, 900, 800, baseline=900)
    await driver.tick()

    step = (await driver.steps(rollout_id))[-1]
    assert step.to_phase is Phase.ROLLED_BACK
    assert step.reason.startswith("error_rate")


async def test_one_plan_goes_from_shadow_over_canary_and_test_to_all_traffic(
    driver: Driver,
) -> None:
    stages = (
        Stage(weight=0, shadow=True, bake=HOUR),
        Stage(weight=500, bake=HOUR),
        Stage(weight=5_000, bake=HOUR, goal=GOAL),
        Stage(weight=10_000, bake=HOUR),
    )
    rollout_id = await driver.under_way(strategy=Strategy.AB_TEST, stages=stages)
    for _ in range(3):
        await label(driver, rollout_id, 0.9, 0.8, after=HOUR)
        await driver.tick()
    await driver.see(rollout_id, 1_000, after=HOUR)
    await driver.tick()

    assert await driver.events(rollout_id) == ["started", *["advanced"] * 3, "succeeded"]
    assert await driver.shares() == {"2.0.0": 100}


async def test_every_look_at_a_goal_leads_to_the_same_judgement_again(driver: Driver) -> None:
    rollout_id = await driver.under_way(**TEST)
    for units in (200, 400, 600):
        await label(driver, rollout_id, 0.82, 0.8, of=units, after=HOUR / 12)
        await driver.tick()
    remembered = (await driver.rollout(rollout_id)).sequences.goal
    await label(driver, rollout_id, 0.9, 0.8, after=HOUR)
    await driver.tick()

    assert remembered is not None
    assert len(remembered.state.looks) == 3
    plan = (await driver.rollout(rollout_id)).plan
    for look in await driver.looks(rollout_id):
        judgement, _ = judge(plan, look.progress, look.evidence, look.sequences, look.at)
        assert judgement == look.judgement
    decisive = next(look for look in await driver.looks(rollout_id) if look.at == driver.clock())
    assert decisive.sequences.goal == remembered


async def test_the_next_stage_remembers_nothing_of_this_one(driver: Driver) -> None:
    stages = tuple(Stage(weight=w, bake=HOUR, goal=replace(GOAL)) for w in (5_000, 7_500))
    rollout_id = await driver.under_way(strategy=Strategy.AB_TEST, stages=stages)
    await label(driver, rollout_id, 0.9, 0.8, after=HOUR)
    await driver.tick()
    rollout = await driver.rollout(rollout_id)

    assert rollout.progress.stage == 1
    assert rollout.sequences.goal == GoalMemory()
