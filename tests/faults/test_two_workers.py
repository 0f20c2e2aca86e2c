"""Two workers look after the same rollouts."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.faults import invariants
from tests.faults.conftest import Start
from tests.faults.stops import Stop, closed, until
from tests.rollouts.conftest import Driver as Rollouts
from turnout.rollouts.domain.plan import Stage

HARM = (Stage(weight=500, bake=timedelta(hours=1)),)


async def test_two_workers_same_release(
    engine: AsyncEngine, worker: Start, rollouts: Rollouts
) -> None:
    """While one of them is in the middle of a step, the other one passes that rollout over and
    sees to all the others; it neither waits nor takes the step, too."""
    models = [f"model-{n}" for n in range(4)]
    found = [await rollouts.under_way(model=model, stages=HARM) for model in models]
    for rollout_id in found:
        await rollouts.see(rollout_id, 200, 150)
    held = found[0]

    async def others_ended() -> bool:
        return all([(await rollouts.rollout(other)).finished_at for other in found[1:]])

    async def all_ended() -> bool:
        return await others_ended() and (await rollouts.rollout(held)).finished_at is not None

    step = Stop(table="rollout_step", when=f"NEW.rollout_id = '{held}'")
    async with closed(engine, step) as gate:
        worker()
        worker()
        await gate.reached()
        await until(others_ended, "the other worker has seen to the others")
        meanwhile = await rollouts.events(held)
        await gate.open()
        await until(all_ended, "the step is taken")

    assert meanwhile == ["started"]
    for rollout_id, model in zip(found, models, strict=True):
        assert await rollouts.events(rollout_id) == ["started", "rolled_back"]
        assert await rollouts.shares(model=model) == {"1.0.0": 100}
    await invariants.check(rollouts.sessions)
