from datetime import timedelta
from typing import Any

import pytest

from tests.rollouts.conftest import MODEL, Driver
from turnout.db import transaction
from turnout.rollouts.commands.refusals import (
    Quarantined,
)
from turnout.rollouts.commands.restore import (
    AnswersAlready,
    CandidateUnderWay,
    NoProvenVersion,
    restore,
)
from turnout.rollouts.domain.orders import Restoration
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage

MINUTE = timedelta(minutes=1)
STAGES = (Stage(weight=500, bake=10 * MINUTE), Stage(weight=10_000, bake=10 * MINUTE))


async def go_back(driver: Driver, to_version: str | None = None) -> Any:
    async with transaction(driver.sessions) as session:
        wish = Restoration(to_version=to_version, reason="customers complain")
        rollout = await restore(session, MODEL, wish, actor="ada", now=driver.clock())
        return rollout.id


async def test_rollback_goes_to_the_last_proven_version(driver: Driver) -> None:
    await driver.register("1.0.0", "2.0.0", "3.0.0")
    await driver.start("1.0.0")
    for version in ("2.0.0", "3.0.0"):
        at_once = (Stage(weight=10_000, bake=timedelta(), guardrails=()),)
        await driver.start(version, stages=at_once)
        await driver.tick()
    first = await go_back(driver)
    shares = [await driver.shares()]
    second = await go_back(driver)
    shares.append(await driver.shares())

    assert shares == [{"2.0.0": 100}, {"1.0.0": 100}]
    assert await driver.events(first) == await driver.events(second) == ["rolled_back"]
    assert (await driver.stages_of_life())["1.0.0"] == "production"
    with pytest.raises(NoProvenVersion):
        await go_back(driver)
    with pytest.raises(Quarantined):
        await go_back(driver, "3.0.0")
    with pytest.raises(AnswersAlready):
        await go_back(driver, "1.0.0")


async def test_rollback_of_a_rollout_under_way_ends_it(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    assert await go_back(driver) == rollout_id

    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK
    assert await driver.shares() == {"1.0.0": 100}


async def test_rollback_of_a_rollout_under_way_to_a_third_version(driver: Driver) -> None:
    rollout_id = await driver.under_way(stages=STAGES)
    await driver.register("0.9.0")
    with pytest.raises(CandidateUnderWay):
        await go_back(driver, "2.0.0")
    restoring = await go_back(driver, "0.9.0")

    assert restoring != rollout_id
    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK
    assert await driver.shares() == {"0.9.0": 100}
    assert await driver.quarantined() == ["1.0.0", "2.0.0"]
