from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.rollouts.conftest import Driver
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts import examples
from turnout.rollouts.commands import order
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.replan import LastStage, PlanDoesNotFit, Replan
from turnout.rollouts.domain.verbs import RolloutEnded, StageMoved

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))
HALF = Stage(weight=5_000, bake=MINUTE)
ERRORS = Guardrail(metric="error_rate", max=0.2)


async def test_the_stages_to_come_are_replaced_and_the_present_one_goes_on(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.see(rollout_id, 500, 2, baseline=9_500, after=9 * MINUTE)
    await driver.tick()
    before = await driver.rollout(rollout_id)
    wish = Replan(stages=(HALF,), reason="watch it at half", expected_stage=0)
    after = await driver.say(order.replan, rollout_id, wish)
    await driver.see(rollout_id, 1_000, 5, baseline=19_000, after=MINUTE)
    await driver.tick()

    assert [stage.weight for stage in after.plan.stages] == [500, 5_000, 10_000]
    assert (after.plan.version, after.progress) == (2, before.progress)
    assert after.plan.gates == before.plan.gates
    assert await driver.events(rollout_id) == ["started", "replanned", "advanced"]
    assert await driver.shares() == {"2.0.0": 50, "1.0.0": 50}


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        pytest.param(
            (Stage(weight=200, bake=MINUTE),), r"stages\[1\] has 2 % after 5 %", id="weights fall"
        ),
        pytest.param(
            (HALF, Stage(weight=7_500, bake=MINUTE), *STAGES[1:]),
            "divided among 6 guardrails, and with these stages there would be 12",
            id="more guardrails than there is room for",
        ),
    ],
)
async def test_stages_that_do_not_fit_are_refused(
    driver: Driver, stages: tuple[Stage, ...], sentence: str
) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    with pytest.raises(PlanDoesNotFit, match=sentence):
        await driver.say(order.replan, rollout_id, Replan(stages=stages))

    assert (await driver.rollout(rollout_id)).plan.version == 1


async def test_a_guardrail_that_only_reports_can_always_be_added(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES, guardrails=(ERRORS,))
    watched = Stage(
        weight=10_000,
        bake=MINUTE,
        guardrails=(ERRORS, Guardrail(metric="confidence", min=0.5, dry_run=True)),
    )
    after = await driver.say(order.replan, rollout_id, Replan(stages=(watched,)))

    assert after.plan.stages[1] == watched


async def test_there_is_nothing_to_change_behind_the_last_stage_or_the_end(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    with pytest.raises(StageMoved):
        await driver.say(order.replan, rollout_id, Replan(stages=(HALF,), expected_stage=1))
    await driver.say(order.promote, rollout_id, Promotion())
    with pytest.raises(LastStage):
        await driver.say(order.replan, rollout_id, Replan(stages=(HALF,)))
    await driver.say(order.abort, rollout_id, Order())
    with pytest.raises(RolloutEnded):
        await driver.say(order.replan, rollout_id, Replan(stages=(HALF,)))


async def test_a_group_keeps_its_number_of_stages(driver: Driver) -> None:
    one, _ = await driver.group_under_way("a", "b", stages=STAGES, guardrails=())
    with pytest.raises(PlanDoesNotFit, match="keeps 2 stages"):
        await driver.say(order.replan, one, Replan(stages=(HALF,)))
    slower = Stage(weight=10_000, bake=timedelta(hours=5))

    after = await driver.say(order.replan, one, Replan(stages=(slower,)))
    assert after.plan.stages[1] == slower


async def test_a_new_plan_over_http(client: AsyncClient, driver: Driver) -> None:
    rollout_id = await driver.under_way()
    path = f"rollouts/{rollout_id}/stages"
    body: dict[str, Any] = examples.REPLAN["slower"]["value"]
    answer = await client.put(path, json=body)
    refused = await client.put(path, json=body | {"stages": [{"weight": 1, "bake": "1h"}]})

    assert answer.status_code == 200, answer.text
    assert [stage["weight"] for stage in answer.json()["plan"]["stages"]] == [10, 25, 50, 100]
    assert refused.status_code == 409
    assert "the new stages do not fit: weights must rise" in refused.json()["detail"]
