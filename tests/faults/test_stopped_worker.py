"""A worker is stopped with SIGSTOP, as by a machine that is put to sleep, and wakes up later."""

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from multiprocessing.context import ForkServerProcess

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.experiments.conftest import HOUR
from tests.experiments.conftest import Driver as Experiments
from tests.faults import invariants
from tests.faults.conftest import Start
from tests.faults.stops import Stop, closed, until
from tests.rollouts.conftest import Driver as Rollouts
from turnout import db
from turnout.db import Sessions, transaction
from turnout.http import system_clock
from turnout.rollouts.domain.plan import Stage

STAGES = (
    Stage(weight=500, bake=timedelta(), guardrails=()),
    Stage(weight=5_000, bake=HOUR),
)
BETTER = {"1.0.0": (1_500, 1_050), "2.0.0": (1_500, 1_350)}
IDLE = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle in transaction'
        AND pid <> pg_backend_pid()
"""
CLAIM = "NEW.lease_until IS NOT NULL AND OLD.lease_until IS NULL"

BEAT = timedelta(seconds=0.05)
EARLY_BEAT = timedelta(seconds=0.045)
A_CLAIM = A_STEP = 1
"""By how much each of them raises the fence."""
NOTE_CLAIMS = (
    "CREATE TABLE claim (fence bigint, due_at timestamptz)",
    """
    CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO claim VALUES (NEW.fence, NEW.due_at); RETURN NULL; END $$
    """,
    """
    CREATE TRIGGER note_claim AFTER UPDATE ON rollout
    FOR EACH ROW WHEN (NEW.fence > OLD.fence) EXECUTE FUNCTION note_claim()
    """,
)
"""Have the database write down when each evaluation says that the next one is due."""


def sleep(process: ForkServerProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)


def wake(process: ForkServerProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)


@asynccontextmanager
async def asleep(engine: AsyncEngine, stop: Stop, worker: Start) -> AsyncIterator[None]:
    """A worker sleeps at this write, which the server has carried out; in the end it wakes up."""
    async with closed(engine, stop) as gate:
        process = worker()
        await gate.reached()
        sleep(process)
    yield
    wake(process)


async def claims_run_out(sessions: Sessions) -> None:
    """Five seconds pass at once: leases are over, and what waits for its next beat is due."""
    async with transaction(sessions) as session:
        for table in ("rollout", "experiment"):
            await session.execute(
                text(f"UPDATE {table} SET lease_until = now(), due_at = least(due_at, now())")
            )


async def test_zombie_worker_after_lease_loss(
    engine: AsyncEngine, worker: Start, rollouts: Rollouts
) -> None:
    """It wakes with a claim that is outdated, and must claim anew before it acts."""
    rollout_id = await rollouts.under_way(stages=STAGES)
    claim = Stop(table="rollout", write="UPDATE", when=CLAIM, in_commit=True)
    async with asleep(engine, claim, worker):
        await until(lambda: committed(rollouts.sessions), "the claim is committed")
        await claims_run_out(rollouts.sessions)
        rollouts.clock.now = system_clock()
        await rollouts.tick(timedelta())
        taken = await rollouts.events(rollout_id)
        await rollouts.see(rollout_id, 200, 150)
        fence = (await rollouts.rollout(rollout_id)).fence
    await until(lambda: ended(rollouts.sessions), "it goes on with a claim of its own")

    assert taken == ["started", "advanced"]
    assert (await rollouts.rollout(rollout_id)).fence >= fence + A_CLAIM + A_STEP
    steps = await rollouts.steps(rollout_id)
    assert [step.event for step in steps] == ["started", "advanced", "rolled_back"]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    await invariants.check(rollouts.sessions)


async def test_a_worker_asleep_in_a_transaction_holds_nobody_up(
    engine: AsyncEngine, worker: Start, rollouts: Rollouts
) -> None:
    """The server ends its transaction after a while, and with it all it had begun."""
    rollout_id = await rollouts.under_way(stages=STAGES)
    async with engine.connect() as connection:
        patience = await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
    async with asleep(engine, Stop(table="split"), worker):
        await until(lambda: idle_in_transaction(rollouts.sessions), "its transaction lies idle")
        await rollouts.tick()
        held = await rollouts.events(rollout_id)
        await half_a_minute_passes(rollouts.sessions)
        await claims_run_out(rollouts.sessions)
        rollouts.clock.now = system_clock()
        await rollouts.tick(timedelta())
        taken = await rollouts.events(rollout_id)
        await rollouts.see(rollout_id, 200, 150)
    await until(lambda: ended(rollouts.sessions), "it goes on with a new connection")

    assert patience == f"{db.IDLE_IN_TRANSACTION_SECONDS}s"
    assert held == ["started"]
    assert taken == ["started", "advanced"]
    assert await rollouts.events(rollout_id) == ["started", "advanced", "rolled_back"]
    await invariants.check(rollouts.sessions)


async def test_a_conclusion_decided_before_a_long_sleep_is_void(
    engine: AsyncEngine, worker: Start, experiments: Experiments
) -> None:
    """While it slept a person has looked at the goal: what it concludes rests on a later look."""
    experiments.clock.advance(-HOUR)
    experiment_id = await experiments.under_way(auto_conclude=True, promote_winner=True)
    await experiments.see(experiment_id, BETTER, after=HOUR)
    claim = Stop(table="experiment", write="UPDATE", when=CLAIM, in_commit=True)
    async with asleep(engine, claim, worker):
        await until(lambda: committed(experiments.sessions), "the claim is committed")
        await claims_run_out(experiments.sessions)
        experiments.clock.now = system_clock()
        await experiments.analyse(experiment_id)
        fence = (await experiments.experiment(experiment_id)).fence

    await until(lambda: concluded(experiments.sessions), "it goes on with a claim of its own")

    analyses = await experiments.analyses(experiment_id)
    assert [analysis.trigger for analysis in analyses] == ["person", "end"]
    assert analyses[0].at <= analyses[1].at
    assert (await experiments.experiment(experiment_id)).fence >= fence + A_CLAIM + A_STEP
    await invariants.check(experiments.sessions)


async def test_misfire_and_coalesce(worker: Start, rollouts: Rollouts) -> None:
    """Twenty beats slept through are one evaluation, not twenty."""
    rollout_id = await rollouts.under_way(stages=STAGES[1:])
    async with transaction(rollouts.sessions) as session:
        for statement in NOTE_CLAIMS:
            await session.execute(text(statement))
    process = worker()
    await until(lambda: counted(rollouts.sessions, 3), "the worker beats")
    sleep(process)
    asleep_at = await claims(rollouts.sessions)
    await until(lambda: overdue(rollouts.sessions), "twenty beats missed")
    wake(process)
    await until(lambda: counted(rollouts.sessions, len(asleep_at) + 3), "it beats again")

    spaces = [after - before for before, after in pairwise(await claims(rollouts.sessions))]
    assert min(spaces) >= EARLY_BEAT
    assert max(spaces[len(asleep_at) - 1 :]) >= 20 * BEAT
    assert await rollouts.events(rollout_id) == ["started"]


async def committed(sessions: Sessions) -> bool:
    return await holds(
        sessions,
        "SELECT EXISTS (SELECT FROM rollout WHERE lease_until > now())"
        " OR EXISTS (SELECT FROM experiment WHERE lease_until > now())",
    )


async def ended(sessions: Sessions) -> bool:
    return await holds(sessions, "SELECT every(finished_at IS NOT NULL) FROM rollout")


async def concluded(sessions: Sessions) -> bool:
    return await holds(sessions, "SELECT every(finished_at IS NOT NULL) FROM experiment")


async def idle_in_transaction(sessions: Sessions) -> bool:
    return await holds(sessions, f"SELECT EXISTS ({IDLE})")


async def half_a_minute_passes(sessions: Sessions) -> None:
    """The server does what the time limit has it do."""
    ended = f"SELECT every(pg_terminate_backend(pid, 10000)) FROM ({IDLE}) idle"
    assert await holds(sessions, ended)


async def overdue(sessions: Sessions) -> bool:
    query = "SELECT every(due_at < now() - interval '1s') FROM rollout WHERE finished_at IS NULL"
    return await holds(sessions, query)


async def holds(sessions: Sessions, query: str) -> bool:
    async with sessions() as session:
        return bool(await session.scalar(text(query)))


async def counted(sessions: Sessions, many: int) -> bool:
    return len(await claims(sessions)) >= many


async def claims(sessions: Sessions) -> Sequence[datetime]:
    async with sessions() as session:
        return (await session.scalars(text("SELECT due_at FROM claim ORDER BY fence"))).all()
