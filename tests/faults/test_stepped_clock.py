"""Clocks are set back and forth while workers work, on a real database.

Time is served by the clock that all share, the database's, so a step of that one moves the end of
a stage by at most its own length, and a step that is taken back moves it by nothing. A worker's own
clock moves nothing at all.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import Clock
from tests.experiments.conftest import Driver as Experiments
from tests.faults import invariants
from tests.rollouts.conftest import Driver as Rollouts
from turnout.db import Sessions
from turnout.experiments.domain.state import Status
from turnout.http import system_clock
from turnout.rollouts.commands.tick import tick
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage
from turnout.shared_clock import SharedClock

MINUTE = timedelta(minutes=1)
STAGES = (
    Stage(weight=500, bake=10 * MINUTE, guardrails=()),
    Stage(weight=2_500, bake=10 * MINUTE, guardrails=()),
)

Course = Callable[[int], int]
"""By how many minutes the clock is wrong after so many true ones."""

COURSES = (
    pytest.param(lambda _: 0, 10, id="right"),
    pytest.param(lambda at: -60 if 3 <= at < 6 else 0, 10, id="set back, and right again"),
    pytest.param(lambda at: 4 if 3 <= at < 6 else 0, 10, id="set forth, and right again"),
    pytest.param(lambda at: -5 if at >= 3 else 0, 15, id="set back for good"),
    pytest.param(lambda at: 4 if at >= 3 else 0, 6, id="set forth for good"),
    pytest.param(lambda at: 60 if at >= 3 else 0, 3, id="set forth beyond the end"),
    pytest.param(lambda at: -2 if at % 2 else 0, 10, id="to and fro, two minutes each time"),
    pytest.param(lambda at: (-7, 0, 3)[at % 3] if at < 7 else 0, 10, id="to and fro, wildly"),
)


@pytest.fixture
def rollouts(sessions: Sessions, clock: Clock) -> Rollouts:
    return Rollouts(sessions, clock)


@pytest.fixture
def experiments(sessions: Sessions, clock: Clock) -> Experiments:
    return Experiments(sessions, clock)


@pytest.mark.parametrize(("wrong", "ends"), COURSES)
async def test_a_stage_neither_ends_early_nor_hangs(
    rollouts: Rollouts, wrong: Course, ends: int
) -> None:
    rollout_id = await rollouts.under_way(stages=STAGES)
    began = rollouts.clock.now
    at, after = 0, await rollouts.rollout(rollout_id)
    while not after.progress.stage:
        at, before = at + 1, after
        rollouts.clock.now = began + (at + wrong(at)) * MINUTE
        await rollouts.tick(timedelta())
        after = await rollouts.rollout(rollout_id)
        assert after.fence > before.fence, "nobody looked"
        assert at <= ends, "it hangs"

    assert at == ends
    assert after.progress.stage == 1
    assert after.progress.elapsed(rollouts.clock.now) == timedelta()
    await invariants.check(rollouts.sessions)


@pytest.mark.parametrize(("wrong", "ends"), COURSES)
async def test_an_experiment_neither_ends_early_nor_hangs(
    experiments: Experiments, wrong: Course, ends: int
) -> None:
    experiment_id = await experiments.under_way(max_duration=10 * MINUTE, auto_conclude=True)
    await experiments.see(experiment_id, {"1.0.0": (300, 210), "2.0.0": (300, 210)})
    began = experiments.clock.now
    at, after = 0, await experiments.experiment(experiment_id)
    while after.status is Status.RUNNING:
        at, before = at + 1, after
        experiments.clock.now = began + (at + wrong(at)) * MINUTE
        await experiments.tick(timedelta())
        after = await experiments.experiment(experiment_id)
        assert after.fence > before.fence, "nobody looked"
        assert at <= ends, "it hangs"

    assert at == ends
    assert await experiments.events(experiment_id) == ["created", "started", "concluded"]
    await invariants.check(experiments.sessions)


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
async def test_what_a_worker_has_on_its_wall_is_nothing_to_a_stage(
    engine: AsyncEngine, sessions: Sessions, hours: int
) -> None:
    wall = Clock(system_clock())
    right, astray = SharedClock(engine), SharedClock(engine, own=wall)
    for shared in (right, astray):
        await shared.ask()
    rollouts = Rollouts(sessions, Clock(right()))
    rollout_id = await rollouts.under_way(stages=STAGES)
    before = await rollouts.rollout(rollout_id)
    wall.advance(timedelta(hours=hours))
    await tick(sessions, clock=astray, interval=timedelta(seconds=1))
    after = await rollouts.rollout(rollout_id)

    assert after.fence > before.fence, "nobody looked"
    assert after.progress.stage == 0
    assert after.progress.elapsed(astray()) < 10 * MINUTE


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
async def test_harm_is_stopped_at_once_whatever_the_clock_says(
    rollouts: Rollouts, hours: int
) -> None:
    rollout_id = await rollouts.under_way(stages=(Stage(weight=500, bake=48 * 60 * MINUTE),))
    await rollouts.tick()
    await rollouts.see(rollout_id, 200, 150)
    await rollouts.tick(timedelta(hours=hours))

    assert (await rollouts.rollout(rollout_id)).phase is Phase.ROLLED_BACK
    await invariants.check(rollouts.sessions)
