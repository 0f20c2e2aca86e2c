"""A worker is killed with SIGKILL at each statement of a step, and another one takes over."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import Clock
from tests.experiments.conftest import HOUR
from tests.experiments.conftest import Driver as Experiments
from tests.faults import invariants
from tests.faults.conftest import Start
from tests.faults.forks import kill
from tests.faults.stops import Stop, closed, until
from tests.rollouts.conftest import MODEL
from tests.rollouts.conftest import Driver as Rollouts
from turnout.db import Sessions, transaction
from turnout.rollouts.commands import order
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.plan import Stage

MINUTE = timedelta(minutes=1)
HARM = (
    Stage(weight=5_000, bake=HOUR),
    Stage(weight=10_000, bake=HOUR),
)
BAKED = (
    Stage(weight=500, bake=timedelta(), guardrails=()),
    Stage(weight=2_500, bake=HOUR, guardrails=()),
    Stage(weight=10_000, bake=timedelta(), guardrails=()),
)
LAST = (Stage(weight=10_000, bake=timedelta(), guardrails=()),)
BETTER = {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}

CLAIM = "NEW.lease_until IS NOT NULL AND OLD.lease_until IS NULL"
STEP = "NEW.step > OLD.step"
BY_WORKER = "NEW.actor = 'worker'"


def at(table: str, write: str = "INSERT", when: str = "true", *, name: str) -> object:
    return pytest.param(Stop(table=table, write=write, when=when), id=name)


SHARED = (
    at("split", "UPDATE", "OLD.active", name="the former split withdrawn"),
    at("split", name="the new split written"),
    at("route", name="its versions held"),
    at("audit_entry", when="NEW.action = 'split.set'", name="the split noted"),
)
ADVANCE = (
    at("rollout", "UPDATE", CLAIM, name="the claim written"),
    at("rollout_look", name="the evidence stored"),
    *SHARED,
    at("rollout", "UPDATE", STEP, name="the progress written"),
    at("rollout_step", name="the history written"),
    at("audit_entry", when="NEW.action = 'rollout.advanced'", name="the step noted"),
)
ROLLBACK = (
    at("quarantine", name="the version quarantined"),
    at("split", "UPDATE", "OLD.owned AND NEW.active AND NOT NEW.owned", name="the traffic let go"),
    at("rollout", "UPDATE", STEP, name="the end written"),
)
SUCCESS = (
    at("version", "UPDATE", "NEW.stage = 'production'", name="the candidate in production"),
    at("version", "UPDATE", "NEW.stage = 'archived'", name="the baseline archived"),
    at("lifecycle_transition", when=BY_WORKER, name="the lives noted"),
)
CONCLUSION = (
    at("experiment", "UPDATE", CLAIM, name="the claim written"),
    at("experiment_analysis", name="the analysis stored"),
    at("version", "UPDATE", "NEW.stage = 'production'", name="the winner in production"),
    at("experiment", "UPDATE", STEP, name="the end written"),
    at("experiment_step", name="the history written"),
    at("audit_entry", when="NEW.action = 'experiment.concluded'", name="the step noted"),
)


@dataclass(frozen=True)
class Scene:
    """A database in which a worker is killed."""

    engine: AsyncEngine
    sessions: Sessions
    worker: Start

    async def kill_at(self, stop: Stop, *, undone: bool = False) -> None:
        """Let a worker come to this statement and no further, and leave its claim to expire."""
        async with closed(self.engine, stop) as gate:
            victim = self.worker()
            await gate.reached()
            kill(victim)
            if undone:
                await gate.cut()
            await gate.open()
            await until(self._alone, "the server has noticed")
        await invariants.check(self.sessions)

    async def _alone(self) -> bool:
        """No transaction is left of the one that was killed."""
        others = """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND xact_start IS NOT NULL
        """
        async with self.sessions() as session:
            return not await session.scalar(text(others))

    async def claims_run_out(self) -> None:
        """Five seconds pass at once."""
        async with transaction(self.sessions) as session:
            for table in ("rollout", "experiment"):
                await session.execute(
                    text(f"UPDATE {table} SET lease_until = now() WHERE lease_until IS NOT NULL")
                )

    async def taken_over(self, table: str, id_: UUID, step: int) -> None:
        """Let another worker carry on until this step has been taken and two beats have passed."""
        await self.claims_run_out()
        self.worker()
        taken = text(f"SELECT step >= {step} FROM {table} WHERE id = :id")
        fences = text(f"SELECT fence FROM {table} WHERE id = :id")
        over = text(f"SELECT finished_at IS NOT NULL FROM {table} WHERE id = :id")
        seen: list[int] = []

        async def settled() -> bool:
            async with self.sessions() as session:
                if not await session.scalar(taken, {"id": id_}):
                    return False
                seen.append(await session.scalar(fences, {"id": id_}) or 0)
                return bool(await session.scalar(over, {"id": id_})) or seen[-1] >= seen[0] + 2

        await until(settled, f"step {step} taken by another worker")
        await invariants.check(self.sessions)


@pytest.fixture
def scene(engine: AsyncEngine, sessions: Sessions, worker: Start) -> Scene:
    return Scene(engine, sessions, worker)


@pytest.mark.parametrize("stop", ADVANCE)
async def test_crash_before_commit(scene: Scene, rollouts: Rollouts, stop: Stop) -> None:
    """Nothing of the step is there; it is taken anew, once."""
    rollout_id = await rollouts.under_way(stages=BAKED)
    await scene.kill_at(stop)
    left = await rollouts.events(rollout_id)
    await scene.taken_over("rollout", rollout_id, 2)

    assert left == ["started"]
    assert await rollouts.events(rollout_id) == ["started", "advanced"]
    assert [look.progress.stage for look in await rollouts.looks(rollout_id)].count(0) == 1
    assert await rollouts.shares() == {"2.0.0": 25, "1.0.0": 75}


@pytest.mark.parametrize("stop", ROLLBACK)
async def test_a_rollback_is_wholly_there_or_not_at_all(
    scene: Scene, rollouts: Rollouts, stop: Stop
) -> None:
    rollout_id = await rollouts.under_way(stages=HARM)
    await rollouts.see(rollout_id, 200, 150)
    await scene.kill_at(stop)
    left = (await rollouts.events(rollout_id), await rollouts.quarantined())
    await scene.taken_over("rollout", rollout_id, 2)

    assert left == (["started"], [])
    assert await rollouts.events(rollout_id) == ["started", "rolled_back"]
    assert await rollouts.quarantined() == ["2.0.0"]
    assert await rollouts.shares() == {"1.0.0": 100}


async def test_a_rollback_that_takes_its_time_goes_on_where_a_worker_was_killed(
    scene: Scene, rollouts: Rollouts
) -> None:
    rollout_id = await rollouts.under_way(stages=HARM, rollback_over=HOUR)
    rollouts.clock.advance(-25 * MINUTE)
    await rollouts.say(order.roll_back, rollout_id, Order())
    await scene.kill_at(Stop(table="rollout", write="UPDATE", when=STEP))
    left = await rollouts.events(rollout_id)
    await scene.taken_over("rollout", rollout_id, 3)

    assert left == ["started", "rolling_back"]
    assert await rollouts.events(rollout_id) == [*left, "stepped_back"]
    assert await rollouts.shares() == {"2.0.0": 25, "1.0.0": 75}


@pytest.mark.parametrize("stop", SUCCESS)
async def test_a_success_is_wholly_there_or_not_at_all(
    scene: Scene, rollouts: Rollouts, stop: Stop
) -> None:
    rollout_id = await rollouts.under_way(stages=LAST)
    before = await rollouts.stages_of_life()
    await scene.kill_at(stop)
    left = await rollouts.stages_of_life()
    await scene.taken_over("rollout", rollout_id, 2)

    assert left == before
    assert await rollouts.events(rollout_id) == ["started", "succeeded"]
    assert await rollouts.stages_of_life() == {"1.0.0": "archived", "2.0.0": "production"}
    assert await lives_changed_by_workers(scene.sessions) == ["staging", "archived", "production"]


@pytest.mark.parametrize("stop", CONCLUSION)
async def test_a_conclusion_is_wholly_there_or_not_at_all(
    scene: Scene, experiments: Experiments, stop: Stop
) -> None:
    experiment_id = await better(experiments)
    await scene.kill_at(stop)
    left = await experiments.events(experiment_id)
    await scene.taken_over("experiment", experiment_id, 3)

    assert left == ["created", "started"]
    await check_concluded(scene, experiments, experiment_id)


@pytest.mark.parametrize(
    "undone", [pytest.param(True, id="undone"), pytest.param(False, id="done")]
)
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(Stop(table="rollout", write="UPDATE", when=CLAIM, in_commit=True), id="claim"),
        pytest.param(Stop(table="rollout_step", in_commit=True), id="step"),
    ],
)
async def test_a_commit_whose_answer_was_never_heard(
    scene: Scene, rollouts: Rollouts, stop: Stop, undone: bool
) -> None:
    """Whether the server had carried it out or not, the step is there once in the end."""
    rollout_id = await rollouts.under_way(stages=BAKED)
    await scene.kill_at(stop, undone=undone)
    left = await rollouts.events(rollout_id)
    await scene.taken_over("rollout", rollout_id, 2)

    went_through = stop.table == "rollout_step" and not undone
    assert left == (["started", "advanced"] if went_through else ["started"])
    assert await rollouts.events(rollout_id) == ["started", "advanced"]
    assert [look.progress.stage for look in await rollouts.looks(rollout_id)].count(0) == 1


@pytest.mark.parametrize(
    "undone", [pytest.param(True, id="undone"), pytest.param(False, id="done")]
)
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(
            Stop(table="experiment", write="UPDATE", when=CLAIM, in_commit=True), id="claim"
        ),
        pytest.param(Stop(table="experiment_step", in_commit=True), id="step"),
    ],
)
async def test_a_conclusion_whose_answer_was_never_heard(
    scene: Scene, experiments: Experiments, stop: Stop, undone: bool
) -> None:
    experiment_id = await better(experiments)
    await scene.kill_at(stop, undone=undone)
    await scene.taken_over("experiment", experiment_id, 3)

    await check_concluded(scene, experiments, experiment_id)


@pytest.mark.parametrize("in_commit", [False, True], ids=["undone", "done, but never heard"])
async def test_a_look_at_the_goal_counts_once(
    scene: Scene, experiments: Experiments, in_commit: bool
) -> None:
    """A look that is lost spends nothing of the error rate, and one that is kept is not repeated
    on what it has seen."""
    experiments.clock.advance(-HOUR)
    experiment_id = await experiments.under_way()
    await experiments.see(experiment_id, {"1.0.0": (500, 350), "2.0.0": (500, 350)}, after=HOUR)
    await scene.kill_at(Stop(table="experiment_analysis", in_commit=in_commit))
    left = await experiments.triggers(experiment_id)
    scene.worker()
    await until(lambda: looked(experiments, experiment_id), "a look by another worker")

    assert left == (["schedule"] if in_commit else [])
    assert await experiments.triggers(experiment_id) == ["schedule"]
    (state,) = (await experiments.experiment(experiment_id)).sequences.goal.values()
    assert len(state.looks) == 1
    await invariants.check(scene.sessions)


async def test_a_claim_runs_out_by_itself(scene: Scene, rollouts: Rollouts) -> None:
    """Five seconds after a worker died between its claim and its step, another one takes it."""
    rollout_id = await rollouts.under_way(stages=BAKED)
    await scene.kill_at(Stop(table="rollout", write="UPDATE", when=CLAIM, in_commit=True))
    scene.worker()

    async def advanced() -> bool:
        return "advanced" in await rollouts.events(rollout_id)

    await until(advanced, "the step taken by another worker")
    assert await rollouts.events(rollout_id) == ["started", "advanced"]
    await invariants.check(scene.sessions)


@pytest.mark.parametrize("in_commit", [False, True], ids=["undone", "done"])
async def test_crash_between_decision_and_routing_write(
    scene: Scene, rollouts: Rollouts, live_client: AsyncClient, clock: Clock, in_commit: bool
) -> None:
    """Decision and routing are one transaction: the gateway goes on with the old weights, or has
    the new ones, and it converges without anybody's help."""
    rollout_id = await rollouts.under_way(stages=HARM)
    await until(lambda: routed(live_client, {"1.0.0", "2.0.0"}), "the canary is routed")
    await rollouts.see(rollout_id, 200, 150)
    await scene.kill_at(
        Stop(table="rollout_look" if not in_commit else "split", in_commit=in_commit)
    )
    left = await rollouts.events(rollout_id)
    if not in_commit:
        assert await answering(live_client) == {"1.0.0", "2.0.0"}
    await scene.taken_over("rollout", rollout_id, 2)
    await until(lambda: routed(live_client, {"1.0.0"}), "the gateway has heard of it")

    assert left == (["started", "rolled_back"] if in_commit else ["started"])
    assert await rollouts.events(rollout_id) == ["started", "rolled_back"]


async def better(experiments: Experiments) -> UUID:
    """An experiment whose treatment has won by now."""
    experiments.clock.advance(-HOUR)
    experiment_id = await experiments.under_way(auto_conclude=True, promote_winner=True)
    await experiments.see(experiment_id, BETTER, after=HOUR)
    return experiment_id


async def looked(experiments: Experiments, experiment_id: UUID) -> bool:
    return bool(await experiments.analyses(experiment_id))


async def routed(client: AsyncClient, versions: set[str]) -> bool:
    return await answering(client) == versions


async def answering(client: AsyncClient) -> set[str]:
    """The versions that the gateway sends a hundred users to."""
    answers = [
        await client.post(f"models/{MODEL}/assign", json={"unit": f"user-{n}"}) for n in range(100)
    ]
    return {answer.json()["version"] for answer in answers if answer.is_success}


async def check_concluded(scene: Scene, experiments: Experiments, experiment_id: UUID) -> None:
    assert await experiments.events(experiment_id) == ["created", "started", "concluded"]
    assert await experiments.triggers(experiment_id) == ["end"]
    assert await experiments.shares() == {"2.0.0": 100}
    assert await experiments.stages_of_life() == {"1.0.0": "development", "2.0.0": "production"}
    assert await lives_changed_by_workers(scene.sessions) == ["staging", "production"]


async def lives_changed_by_workers(sessions: Sessions) -> list[str]:
    query = "SELECT to_stage FROM lifecycle_transition WHERE actor = 'worker' ORDER BY id"
    async with sessions() as session:
        return list((await session.scalars(text(query))).all())
