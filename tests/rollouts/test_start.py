from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.rollouts.conftest import Driver
from turnout.db import transaction
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import (
    CandidateIsBaseline,
    NothingToMirror,
    Quarantined,
    RolloutUnderWay,
    SeveralServe,
)
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage, Strategy
from turnout.stats.verdict import Verdict
from turnout.traffic.domain.split import SplitOwned, VersionRejected

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def test_initial_release_skips_stages(driver: Driver) -> None:
    await driver.register("1.0.0")
    rollout_id = await driver.start("1.0.0", strategy=Strategy.CANARY)

    (step,) = await driver.steps(rollout_id)
    assert (step.to_phase, step.weight) == (Phase.SUCCEEDED, 10_000)
    assert step.reason == "first version: goes live without analysis"
    assert await driver.shares() == {"1.0.0": 100}
    assert await driver.stages_of_life() == {"1.0.0": "production"}
    assert not (await driver.split()).owned


async def test_rolled_back_version_is_quarantined(driver: Driver) -> None:
    rollout_id = await driver.under_way()
    await driver.see(rollout_id, 200, 150)
    await driver.tick()
    with pytest.raises(Quarantined, match=r"2\.0\.0 was taken off the road on 2026-03-02"):
        await driver.start("2.0.0")
    again = await driver.start("2.0.0", override_quarantine=True, reason="the cause was elsewhere")

    assert (await driver.rollout(again)).phase is Phase.RUNNING
    assert (await driver.rollout(again)).progress.stage == 0
    assert await driver.quarantined() == []


async def test_an_aborted_version_may_start_again(driver: Driver) -> None:
    rollout_id = await driver.under_way()
    async with transaction(driver.sessions) as session:
        await order.abort(session, rollout_id, Order(), actor="ada", now=driver.clock())
    shares = await driver.shares()
    await driver.start("2.0.0")

    assert shares == {"1.0.0": 100}
    assert (await driver.rollout(rollout_id)).phase is Phase.ABORTED
    assert (await driver.steps(rollout_id))[-1].verdict is Verdict.CANCELLED


async def test_a_model_has_one_rollout_at_a_time(driver: Driver) -> None:
    rollout_id = await driver.under_way()
    await driver.register("3.0.0")
    with pytest.raises(RolloutUnderWay) as refused:
        await driver.start("3.0.0")

    assert refused.value.facts["rollout"] == str(rollout_id)
    assert await driver.shares() == {"2.0.0": 10, "1.0.0": 90}


async def test_the_database_itself_holds_a_model_to_one_rollout(driver: Driver) -> None:
    rollout_id = await driver.under_way()
    copy = text(
        "INSERT INTO rollout (id, model_id, candidate_id, plan, progress, step, seen, sequences,"
        " fence, due_at, restores, created_by, created_at) SELECT gen_random_uuid(), model_id,"
        " candidate_id, plan, progress, step, seen, sequences, fence, due_at, restores,"
        " created_by, created_at FROM rollout WHERE id = :id"
    )
    with pytest.raises(IntegrityError, match="uq_rollout_live"):
        async with transaction(driver.sessions) as session:
            await session.execute(copy, {"id": rollout_id})


@pytest.mark.parametrize(
    ("candidate", "fields", "refusal"),
    [
        pytest.param("1.0.0", {}, CandidateIsBaseline, id="what answers already"),
        pytest.param("2.0.0", {"baseline": "2.0.0"}, CandidateIsBaseline, id="its own baseline"),
        pytest.param("9.0.0", {}, VersionNotFound, id="unknown candidate"),
        pytest.param("2.0.0", {"baseline": "9.0.0"}, VersionNotFound, id="unknown baseline"),
        pytest.param("2.0.0", {"model": "churn"}, ModelNotFound, id="unknown model"),
        pytest.param("3.0.0", {}, VersionRejected, id="a version that is rejected"),
    ],
)
async def test_a_rollout_that_makes_no_sense_is_refused(
    driver: Driver, candidate: str, fields: dict[str, Any], refusal: type[Exception]
) -> None:
    await driver.register("1.0.0", "2.0.0", "3.0.0")
    await driver.start("1.0.0")
    await driver.move("3.0.0", Lifecycle.REJECTED)

    with pytest.raises(refusal):
        await driver.start(candidate, **fields)


async def test_a_first_version_cannot_only_be_mirrored(driver: Driver) -> None:
    await driver.register("1.0.0")

    with pytest.raises(NothingToMirror):
        await driver.start("1.0.0", strategy=Strategy.SHADOW, promote=False)


async def test_a_split_by_hand_leaves_the_baseline_to_be_named(driver: Driver) -> None:
    await driver.register("1.0.0", "1.1.0", "2.0.0")
    await driver.split_by_hand({"1.0.0": 3_000, "1.1.0": 7_000})
    with pytest.raises(SeveralServe, match=r"1\.1\.0 and 1\.0\.0 share the traffic"):
        await driver.start("2.0.0")
    await driver.start("2.0.0", baseline="1.1.0")

    assert await driver.shares() == {"2.0.0": 10, "1.1.0": 90}


async def test_before_any_split_the_version_in_production_is_the_baseline(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0")
    await driver.move("1.0.0", Lifecycle.STAGING)
    await driver.move("1.0.0", Lifecycle.PRODUCTION)
    await driver.start("2.0.0")

    assert await driver.shares() == {"2.0.0": 10, "1.0.0": 90}


async def test_nobody_else_moves_the_traffic_of_a_rollout(driver: Driver) -> None:
    await driver.under_way()

    with pytest.raises(SplitOwned):
        await driver.split_by_hand({"1.0.0": 10_000})
