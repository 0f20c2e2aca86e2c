"""Several workers and people at once, on real connections with real commits."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from tests.experiments.conftest import HOUR, SECOND, Driver
from turnout.db import transaction
from turnout.experiments.commands.start import ExperimentUnderWay
from turnout.experiments.commands.tick import Beat, Claim, _due, _settle, _survey, tick
from turnout.experiments.domain.machine import AlreadyPaused
from turnout.experiments.tables import Experiment

BETTER = {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}
SAME = {"1.0.0": (500, 350), "2.0.0": (500, 350)}


def beat(driver: Driver, after: timedelta = SECOND) -> Beat:
    return Beat(clock=driver.clock, began=driver.clock.advance(after), interval=SECOND)


async def claims(driver: Driver) -> list[Claim]:
    """What a worker has claimed that is stopped right after its survey."""
    return list((await _survey(driver.sessions, beat(driver))).claims)


async def test_an_experiment_is_concluded_once(live_driver: Driver) -> None:
    models = [f"model-{number}" for number in range(6)]
    found = [
        await live_driver.under_way(model=model, auto_conclude=True, promote_winner=True)
        for model in models
    ]
    for experiment_id in found:
        await live_driver.see(experiment_id, BETTER)
    live_driver.clock.advance(HOUR)

    await asyncio.gather(
        *(tick(live_driver.sessions, clock=live_driver.clock, interval=SECOND) for _ in range(3))
    )

    for experiment_id, model in zip(found, models, strict=True):
        assert await live_driver.events(experiment_id) == ["created", "started", "concluded"]
        assert await live_driver.triggers(experiment_id) == ["end"]
        assert await live_driver.shares(model=model) == {"2.0.0": 100}


async def test_a_look_that_is_due_happens_once(live_driver: Driver) -> None:
    experiment_id = await live_driver.under_way()
    await live_driver.see(experiment_id, SAME)
    live_driver.clock.advance(HOUR)

    await asyncio.gather(
        *(tick(live_driver.sessions, clock=live_driver.clock, interval=SECOND) for _ in range(3))
    )

    assert await live_driver.triggers(experiment_id) == ["schedule"]
    (state,) = (await live_driver.experiment(experiment_id)).sequences.goal.values()
    assert len(state.looks) == 1


async def test_looks_by_hand_at_once_are_numbered_one_after_the_other(live_driver: Driver) -> None:
    experiment_id = await live_driver.under_way()
    await live_driver.see(experiment_id, SAME, after=HOUR)

    await asyncio.gather(*(live_driver.analyse(experiment_id) for _ in range(3)))

    assert [found.number for found in await live_driver.analyses(experiment_id)] == [1, 2, 3]
    (state,) = (await live_driver.experiment(experiment_id)).sequences.goal.values()
    assert len(state.looks) == 1


async def test_of_two_starts_at_once_one_is_refused(live_driver: Driver) -> None:
    await live_driver.register("1.0.0", "2.0.0")
    drafts = [await live_driver.create(key=key) for key in ("one", "two")]

    outcomes = await asyncio.gather(
        *(live_driver.start(experiment_id) for experiment_id in drafts), return_exceptions=True
    )

    assert [type(refusal) for refusal in outcomes if refusal] == [ExperimentUnderWay]


async def test_a_double_click_pauses_once(live_driver: Driver) -> None:
    experiment_id = await live_driver.under_way()

    outcomes = await asyncio.gather(
        *(live_driver.pause(experiment_id) for _ in range(2)), return_exceptions=True
    )

    assert [type(refusal) for refusal in outcomes if refusal] == [AlreadyPaused]
    assert await live_driver.events(experiment_id) == ["created", "started", "paused"]


async def test_a_worker_that_lost_its_claim_does_nothing(live_driver: Driver) -> None:
    """A person pauses while a worker sleeps on its claim; what it then does is void."""
    experiment_id = await live_driver.under_way(auto_conclude=True)
    await live_driver.see(experiment_id, BETTER, after=HOUR)
    (claim,) = await claims(live_driver)
    await live_driver.pause(experiment_id)
    await _settle(live_driver.sessions, claim, beat(live_driver))

    assert await live_driver.events(experiment_id) == ["created", "started", "paused"]
    assert await live_driver.analyses(experiment_id) == []


async def test_a_claim_whose_worker_died_is_taken_over_after_its_lease(
    live_driver: Driver,
) -> None:
    """Between claim and conclusion nothing is half done: neither analysis nor traffic."""
    experiment_id = await live_driver.under_way(auto_conclude=True)
    await live_driver.see(experiment_id, BETTER, after=HOUR)
    (lost,) = await claims(live_driver)
    left = await live_driver.experiment(experiment_id)
    await live_driver.tick()
    during = await live_driver.events(experiment_id)
    async with transaction(live_driver.sessions) as session:
        await session.execute(update(Experiment).values(lease_until=text("now() - interval '1s'")))
    await live_driver.tick()
    after = await live_driver.events(experiment_id)
    await _settle(live_driver.sessions, lost, beat(live_driver))

    assert (left.analyses, left.looked_at, left.sequences.goal) == (0, None, {})
    assert during == ["created", "started"]
    assert after == ["created", "started", "concluded"]
    assert await live_driver.events(experiment_id) == after
    assert await live_driver.triggers(experiment_id) == ["end"]


async def test_a_step_that_cannot_be_written_leaves_nothing_behind(live_driver: Driver) -> None:
    experiment_id = await live_driver.under_way(auto_conclude=True, promote_winner=True)
    await live_driver.see(experiment_id, BETTER, after=HOUR)
    async with transaction(live_driver.sessions) as session:
        await session.execute(text("ALTER TABLE experiment_step ADD CHECK (event <> 'concluded')"))
    with pytest.raises(ExceptionGroup):
        await live_driver.tick()

    assert await live_driver.analyses(experiment_id) == []
    assert await live_driver.shares() == {"1.0.0": 50, "2.0.0": 50}
    assert (await live_driver.stages_of_life())["2.0.0"] == "development"
    async with live_driver.sessions() as session:
        again = await session.get_one(Experiment, experiment_id)
    assert (again.finished_at, again.sequences.goal) == (None, {})


async def test_the_latest_are_looked_at_first_and_each_by_one_worker(live_driver: Driver) -> None:
    found = [await live_driver.under_way(model=f"model-{number}") for number in range(3)]
    now = beat(live_driver, 10 * SECOND)
    async with transaction(live_driver.sessions) as session:
        for late, experiment_id in enumerate(found):
            due_at = now.began - late * SECOND
            await session.execute(
                update(Experiment).where(Experiment.id == experiment_id).values(due_at=due_at)
            )

    async with transaction(live_driver.sessions) as one:
        first = await _due(one, now)
        async with transaction(live_driver.sessions) as other:
            second = await _due(other, now)

    assert [experiment.id for experiment in first] == found[::-1]
    assert second == []
