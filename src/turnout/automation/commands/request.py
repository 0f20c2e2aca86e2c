"""What a person asks for: an update, its end, a schedule, a policy."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.automation import queries
from turnout.automation.commands.record import opened, step
from turnout.automation.domain.policy import UpdatePolicy
from turnout.automation.domain.update import (
    LATEST,
    Cancellation,
    NewUpdate,
    NewUpdateSchedule,
    NoPipeline,
    Origin,
    UpdateOver,
    UpdateState,
    UpdateTrigger,
    UpdateWish,
)
from turnout.automation.tables import Update, UpdatePolicyRow, UpdateSchedule
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands import order
from turnout.rollouts.domain.orders import Order


async def request(
    session: AsyncSession, model_name: str, new: NewUpdate, *, actor: str, now: datetime
) -> Update:
    """Open an update, which a worker carries out as soon as it is its turn."""
    model = await registry.model(session, model_name)
    wish = new.wish
    await _check(session, model, wish)
    origin = Origin(
        trigger=UpdateTrigger(new.trigger),
        requested_by=actor,
        reason="a new version is to be trained" if wish.retrain else "waits for its turn",
        cause=new.reason,
        dataset_version=new.dataset_version,
    )
    return await opened(session, model, wish, origin, actor=actor, now=now)


async def _check(session: AsyncSession, model: ModelRef, wish: UpdateWish) -> None:
    """Refuse at once what could never be carried out."""
    if wish.retrain and (await queries.policy(session, model.id)).retraining is None:
        raise NoPipeline(model.name)
    if wish.target != LATEST:
        await registry.version(session, model.id, wish.target)


async def cancel(
    session: AsyncSession, update_id: UUID, wish: Cancellation, *, actor: str, now: datetime
) -> Update:
    """End an update; its rollout, where there is one, is aborted with it."""
    update = await queries.locked(session, update_id)
    if update.state.over:
        raise UpdateOver(update_id, update.state)
    if update.rollout_id is not None:
        rollout = await rollouts.rollout(session, update.rollout_id)
        if rollout.finished_at is None:
            aborted = Order(reason=f"update cancelled: {wish.reason}")
            await order.abort(session, update.rollout_id, aborted, actor=actor, now=now)
    await step(session, update, UpdateState.CANCELLED, wish.reason, actor=actor, now=now)
    return update


async def set_schedule(
    session: AsyncSession, model_name: str, plan: NewUpdateSchedule, *, actor: str, now: datetime
) -> UpdateSchedule:
    model = await registry.model(session, model_name)
    await _check(session, model, plan.update)
    made = UpdateSchedule(
        id=UUID(uuid7(now)),
        model_id=model.id,
        plan=plan,
        next_at=plan.after(now),
        last_at=None,
        created_by=actor,
        created_at=now,
        deleted_at=None,
    )
    session.add(made)
    await session.flush()
    audit(
        session,
        actor=actor,
        action="update_schedule.created",
        subject=_path(made.id),
        after={"model": model.name, **to_jsonable_python(plan)},
        reason=plan.reason,
        now=now,
    )
    return made


async def delete_schedule(
    session: AsyncSession, schedule_id: UUID, *, actor: str, now: datetime, reason: str | None
) -> None:
    """Nothing more starts by it; what it has started goes on, and keeps its name."""
    found = await queries.schedule(session, schedule_id)
    found.deleted_at = now
    audit(
        session,
        actor=actor,
        action="update_schedule.deleted",
        subject=_path(schedule_id),
        before=to_jsonable_python(found.plan),
        reason=reason,
        now=now,
    )


async def set_policy(
    session: AsyncSession,
    model_name: str,
    policy: UpdatePolicy,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> UpdatePolicyRow:
    model = await registry.model(session, model_name)
    row = await queries.policy_row(session, model.id)
    before = row.policy if row else None
    values: dict[str, Any] = {"policy": policy, "set_at": now, "set_by": actor}
    putting = (
        insert(UpdatePolicyRow)
        .values(model_id=model.id, **values)
        .on_conflict_do_update(index_elements=[UpdatePolicyRow.model_id], set_=values)
        .returning(UpdatePolicyRow)
        .execution_options(populate_existing=True)
    )
    row = (await session.scalars(putting)).one()
    audit(
        session,
        actor=actor,
        action="update_policy.set",
        subject=f"models/{model.name}/update-policy",
        before=to_jsonable_python(before) if before else None,
        after=to_jsonable_python(policy),
        reason=reason,
        now=now,
    )
    await session.flush()
    return row


def _path(schedule_id: UUID) -> str:
    return f"update-schedules/{schedule_id}"
