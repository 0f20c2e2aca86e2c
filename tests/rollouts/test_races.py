"""Several workers and people at once, on real connections with real commits."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.rollouts.conftest import SECOND, Driver
from tests.rollouts.crashes import Crash, MortalSession, mortal_sessions
from turnout.db import transaction
from turnout.registry.domain.document import RegistryDocument
from turnout.registry.transfer import compared
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import RolloutUnderWay
from turnout.rollouts.commands.tick import Claim, _due, _settle, _survey, tick
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.rollouts.domain.verbs import RolloutEnded, StageMoved, VerbRefused
from turnout.rollouts.tables import Rollout

STAGES = (
    Stage(weight=500, bake=timedelta(minutes=10)),
    Stage(weight=2_500, bake=timedelta(minutes=10)),
    Stage(weight=10_000, bake=timedelta(minutes=10)),
)


async def promote(driver: Driver, rollout_id: UUID, wish: Promotion) -> None:
    async with transaction(driver.sessions) as session:
        await order.promote(session, rollout_id, wish, actor="ada", now=driver.clock())


async def claims(driver: Driver) -> list[Claim]:
    """What a worker has claimed that is stopped right after its survey."""
    began = driver.clock.advance(SECOND)
    survey = await _survey(driver.sessions, driver.clock, began=began, interval=SECOND)
    return list(survey.claims)


async def test_two_workers_same_release(live_driver: Driver) -> None:
    models = [f"model-{number}" for number in range(8)]
    rollouts = [await live_driver.under_way(model=model, stages=STAGES) for model in models]
    for rollout_id in rollouts:
        await live_driver.see(rollout_id, 200, 150)
    live_driver.clock.advance(SECOND)

    await asyncio.gather(
        *(tick(live_driver.sessions, clock=live_driver.clock, interval=SECOND) for _ in range(3))
    )

    for rollout_id, model in zip(rollouts, models, strict=True):
        assert await live_driver.events(rollout_id) == ["started", "rolled_back"]
        assert await live_driver.shares(model=model) == {"1.0.0": 100}


async def test_double_click_promote(live_driver: Driver) -> None:
    rollout_id = await live_driver.under_way(stages=STAGES)

    outcomes = await asyncio.gather(
        *(promote(live_driver, rollout_id, Promotion(expected_stage=0)) for _ in range(2)),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [StageMoved]
    assert (await live_driver.rollout(rollout_id)).progress.stage == 1
    assert await live_driver.shares() == {"2.0.0": 25, "1.0.0": 75}


async def test_auto_rollback_vs_manual_promote(live_driver: Driver) -> None:
    rollout_id = await live_driver.under_way(stages=STAGES)
    await live_driver.see(rollout_id, 200, 150)

    _, refusal = await asyncio.gather(
        live_driver.tick(),
        promote(live_driver, rollout_id, Promotion(full=True)),
        return_exceptions=True,
    )
    await live_driver.tick()  # the first one passes over a rollout that a person holds

    assert isinstance(refusal, VerbRefused)
    assert (await live_driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK


async def test_abort_beats_promote_full(live_driver: Driver) -> None:
    rollout_id = await live_driver.under_way(stages=STAGES)
    await promote(live_driver, rollout_id, Promotion(full=True))
    async with transaction(live_driver.sessions) as session:
        await order.abort(session, rollout_id, Order(), actor="ada", now=live_driver.clock())

    with pytest.raises(RolloutEnded):
        await promote(live_driver, rollout_id, Promotion(full=True))
    assert await live_driver.shares() == {"1.0.0": 100}


async def test_of_two_starts_at_once_one_is_refused(live_driver: Driver) -> None:
    await live_driver.register("1.0.0", "2.0.0", "3.0.0")
    await live_driver.start("1.0.0")

    outcomes = await asyncio.gather(
        *(live_driver.start(version) for version in ("2.0.0", "3.0.0")), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(refusal) for refusal in refused] == [RolloutUnderWay]


async def test_of_two_first_versions_at_once_one_becomes_a_canary(live_driver: Driver) -> None:
    await live_driver.register("1.0.0", "2.0.0")

    started = await asyncio.gather(*(live_driver.start(version) for version in ("1.0.0", "2.0.0")))

    phases = {(await live_driver.rollout(rollout_id)).phase for rollout_id in started}
    assert phases == {Phase.SUCCEEDED, Phase.RUNNING}


async def test_zombie_worker_after_lease_loss(live_driver: Driver) -> None:
    """A person aborts while a worker sleeps on its claim; what it then does is void."""
    rollout_id = await live_driver.under_way(stages=STAGES)
    await live_driver.see(rollout_id, 200, 150)
    (claim,) = await claims(live_driver)
    async with transaction(live_driver.sessions) as session:
        await order.abort(session, rollout_id, Order(), actor="ada", now=live_driver.clock())
    await _settle(live_driver.sessions, claim, live_driver.clock)
    await live_driver.tick()

    assert await live_driver.events(rollout_id) == ["started", "aborted"]


async def test_crash_before_commit(live_driver: Driver, engine: AsyncEngine) -> None:
    """A worker dies when all is written and nothing committed; the next one begins anew."""
    rollout_id = await live_driver.under_way(stages=STAGES)
    await live_driver.see(rollout_id, 200, 150)
    before = await live_driver.split()
    MortalSession.commits_left = 1  # the survey's; the step's is never made
    with pytest.raises(Crash):
        await replace(live_driver, sessions=mortal_sessions(engine)).tick()
    during = (await live_driver.split(), await live_driver.events(rollout_id))
    async with transaction(live_driver.sessions) as session:
        await session.execute(update(Rollout).values(lease_until=text("now() - interval '1s'")))
    await live_driver.tick()

    assert during == (before, ["started"])
    assert await live_driver.events(rollout_id) == ["started", "rolled_back"]
    assert await live_driver.actions() == [
        "rollout.succeeded",
        "rollout.started",
        "rollout.rolled_back",
    ]


async def test_crash_between_decision_and_routing_write(live_driver: Driver) -> None:
    """A claim whose worker died is taken over after its lease; the dead one's is void."""
    rollout_id = await live_driver.under_way(stages=STAGES)
    await live_driver.see(rollout_id, 200, 150)
    (lost,) = await claims(live_driver)
    await live_driver.tick()
    during = await live_driver.events(rollout_id)
    async with transaction(live_driver.sessions) as session:
        await session.execute(update(Rollout).values(lease_until=text("now() - interval '1s'")))
    await live_driver.tick()
    after = await live_driver.events(rollout_id)
    await _settle(live_driver.sessions, lost, live_driver.clock)

    assert during == ["started"]
    assert after == ["started", "rolled_back"]
    assert await live_driver.events(rollout_id) == after


async def test_the_latest_are_looked_at_first_and_each_by_one_worker(live_driver: Driver) -> None:
    rollouts = [await live_driver.under_way(model=f"model-{number}") for number in range(3)]
    now = live_driver.clock.advance(10 * SECOND)
    async with transaction(live_driver.sessions) as session:
        for late, rollout_id in enumerate(rollouts):
            due_at = now - late * SECOND
            await session.execute(
                update(Rollout).where(Rollout.id == rollout_id).values(due_at=due_at)
            )

    async with transaction(live_driver.sessions) as one:
        first = await _due(one, now=now, interval=SECOND)
        async with transaction(live_driver.sessions) as other:
            second = await _due(other, now=now, interval=SECOND)

    assert [rollout.id for rollout in first] == rollouts[::-1]
    assert second == []


async def test_an_import_of_the_registry_holds_up_no_rollback(live_driver: Driver) -> None:
    rollout_id = await live_driver.under_way(stages=STAGES)
    async with transaction(live_driver.sessions) as importing:
        nothing = RegistryDocument(format="turnout-registry", format_version=1, models=())
        await compared(importing, nothing)
        async with asyncio.timeout(10):
            await live_driver.say(order.roll_back, rollout_id, Order(reason="complaints"))

    assert await live_driver.shares() == {"1.0.0": 100}
