from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.errors import Conflict
from turnout.experiments import queries
from turnout.experiments.commands.apply import subject
from turnout.experiments.domain.machine import Event
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Progress, Sequences, Status
from turnout.experiments.tables import Experiment, ExperimentArm, ExperimentStep
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef, VersionNotFound

_PLAN: Final = TypeAdapter(Plan)


class KeyTaken(Conflict):
    def __init__(self, model: ModelRef, key: str, holder: UUID) -> None:
        super().__init__(
            f"{model.name} has an experiment {key!r} already: choose another key",
            model=model.name,
            key=key,
            experiment=str(holder),
        )


class NotDeletable(Conflict):
    def __init__(self, experiment: Experiment) -> None:
        super().__init__(
            f"{experiment.key} has been started, and what it showed is kept: only a draft can be"
            f" deleted",
            experiment_status=experiment.progress.status,
        )


async def create(
    session: AsyncSession,
    model_name: str,
    plan: Plan,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Experiment:
    """Write down a plan as a draft; it touches no traffic before its start."""
    model = await registry.model(session, model_name)
    version_ids = await registry.version_ids(session, model.id, list(plan.weights))
    for version in plan.weights:
        if version not in version_ids:
            raise VersionNotFound(model.name, version)
    experiment = await _add(session, model, plan, actor=actor, now=now)
    session.add_all(
        ExperimentArm(experiment_id=experiment.id, version_id=version_id, version=version)
        for version, version_id in version_ids.items()
    )
    session.add(
        ExperimentStep(
            experiment_id=experiment.id,
            step=experiment.step,
            event=Event.CREATED,
            to_status=Status.DRAFT,
            reason=reason or "created",
            actor=actor,
            at=now,
        )
    )
    audit(
        session,
        actor=actor,
        action=f"experiment.{Event.CREATED}",
        subject=subject(model, experiment),
        after=_PLAN.dump_python(plan, mode="json"),
        reason=reason,
        now=now,
    )
    await session.flush()
    return experiment


async def _add(
    session: AsyncSession, model: ModelRef, plan: Plan, *, actor: str, now: datetime
) -> Experiment:
    insertion = insert(Experiment).values(
        id=UUID(uuid7(now)),
        model_id=model.id,
        key=plan.key,
        plan=plan,
        progress=Progress(),
        sequences=Sequences(),
        seen=(),
        analyses=0,
        step=1,
        fence=0,
        due_at=now,
        created_by=actor,
        created_at=now,
    )
    added: Experiment | None = await session.scalar(
        insertion.on_conflict_do_nothing(constraint="uq_experiment_key").returning(Experiment)
    )
    if added is None:
        same = Experiment.model_id == model.id, Experiment.key == plan.key
        holder = (await session.scalars(select(Experiment.id).where(*same))).one()
        raise KeyTaken(model, plan.key, holder)
    return added


async def delete_draft(
    session: AsyncSession, experiment_id: UUID, *, actor: str, now: datetime, reason: str | None
) -> None:
    experiment = await queries.locked(session, experiment_id)
    if experiment.status is not Status.DRAFT:
        raise NotDeletable(experiment)
    model = (await registry.models_by_id(session, [experiment.model_id]))[experiment.model_id]
    before = _PLAN.dump_python(experiment.plan, mode="json")
    await session.execute(delete(Experiment).where(Experiment.id == experiment_id))
    audit(
        session,
        actor=actor,
        action="experiment.deleted",
        subject=subject(model, experiment),
        before=before,
        reason=reason,
        now=now,
    )
