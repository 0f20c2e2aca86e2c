"""What a person says to an experiment under way: lock, decide, apply."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.experiments import queries
from turnout.experiments.commands.apply import apply
from turnout.experiments.commands.look import look_at_goal, store
from turnout.experiments.domain import machine
from turnout.experiments.domain.machine import ConcludeOrder, Order
from turnout.experiments.tables import Experiment, ExperimentAnalysis, Trigger


async def pause(
    session: AsyncSession, experiment_id: UUID, order: Order, *, actor: str, now: datetime
) -> Experiment:
    experiment = await queries.locked(session, experiment_id)
    transition = machine.pause(experiment.progress, order, now=now)
    await apply(session, experiment, transition, None, actor=actor, now=now)
    return experiment


async def resume(
    session: AsyncSession, experiment_id: UUID, order: Order, *, actor: str, now: datetime
) -> Experiment:
    experiment = await queries.locked(session, experiment_id)
    transition = machine.resume(experiment.progress, order, now=now)
    await apply(session, experiment, transition, None, actor=actor, now=now)
    return experiment


async def stop(
    session: AsyncSession, experiment_id: UUID, order: Order, *, actor: str, now: datetime
) -> Experiment:
    experiment = await queries.locked(session, experiment_id)
    transition = machine.stop(experiment.plan, experiment.progress, order, now=now)
    look = await look_at_goal(session, experiment, now)
    analysis = await store(session, experiment, look, Trigger.END)
    await apply(session, experiment, transition, analysis, actor=actor, now=now)
    return experiment


async def conclude(
    session: AsyncSession, experiment_id: UUID, order: ConcludeOrder, *, actor: str, now: datetime
) -> Experiment:
    """Look once more, and end with what that says."""
    experiment = await queries.locked(session, experiment_id)
    machine.check_live(experiment.progress)
    look = await look_at_goal(session, experiment, now)
    transition = machine.conclude(
        experiment.plan, experiment.progress, look.analysis, order, now=now
    )
    analysis = await store(session, experiment, look, Trigger.END)
    await apply(session, experiment, transition, analysis, actor=actor, now=now)
    return experiment


async def analyse(
    session: AsyncSession, experiment_id: UUID, *, now: datetime
) -> ExperimentAnalysis:
    """Look at the goal now, by hand. What follows from it is for the next tick to carry out."""
    experiment = await queries.locked(session, experiment_id)
    machine.check_live(experiment.progress)
    look = await look_at_goal(session, experiment, now)
    experiment.fence += 1
    experiment.due_at = now
    return await store(session, experiment, look, Trigger.PERSON)
