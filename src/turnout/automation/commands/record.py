"""Every step of an update goes through here: row, history, audit log and events together."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.automation.domain.update import Origin, UpdateState, UpdateWish
from turnout.automation.tables import Update, UpdateStep
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef

WORKER: Final = "worker"


async def opened(
    session: AsyncSession,
    model: ModelRef,
    wish: UpdateWish,
    origin: Origin,
    *,
    actor: str,
    now: datetime,
) -> Update:
    update = Update(
        id=UUID(uuid7(now)),
        model_id=model.id,
        wish=wish,
        state=UpdateState.REQUESTING if wish.retrain else UpdateState.QUEUED,
        findings=(),
        attempts=0,
        due_at=now,
        fence=0,
        created_at=now,
        **asdict(origin),
    )
    session.add(update)
    await session.flush()
    await _write_down(session, update, actor=actor, now=now)
    audit(
        session,
        actor=actor,
        action="update.requested",
        subject=_path(update),
        after={
            "model": model.name,
            "trigger": origin.trigger,
            "target": wish.target,
            "strategy": wish.strategy,
            "retrain": wish.retrain,
        },
        reason=origin.cause or wish.notes,
        now=now,
    )
    if wish.retrain and origin.event_id is None:
        data = {"version": None, "dataset_version": origin.dataset_version}
        _tell(session, EventType.RETRAINING_REQUESTED, update, model, data, now=now)
    return update


async def step(
    session: AsyncSession,
    update: Update,
    state: UpdateState,
    reason: str,
    *,
    now: datetime,
    actor: str = WORKER,
    due_at: datetime | None = None,
) -> None:
    """Take an update, which is locked, to its next state."""
    before, update.state, update.reason = update.state, state, reason
    update.fence += 1
    update.lease_until, update.due_at = None, due_at or now
    if state is UpdateState.VALIDATING and update.started_at is None:
        update.started_at = now
    if state.over:
        update.finished_at = now
    await session.flush()
    await _write_down(session, update, actor=actor, now=now)
    audit(
        session,
        actor=actor,
        action=f"update.{state}",
        subject=_path(update),
        before={"state": before},
        after={"state": state},
        reason=reason,
        now=now,
    )
    kind = {UpdateState.ROLLING_OUT: EventType.UPDATE_STARTED}.get(state)
    if state.over:
        kind = EventType.UPDATE_FINISHED
    if kind is not None:
        model = (await registry.models_by_id(session, [update.model_id]))[update.model_id]
        _tell(session, kind, update, model, {"status": state, "reason": reason}, now=now)


async def _write_down(session: AsyncSession, update: Update, *, actor: str, now: datetime) -> None:
    last = select(func.max(UpdateStep.step)).where(UpdateStep.update_id == update.id)
    number = (await session.scalar(last) or 0) + 1
    session.add(
        UpdateStep(
            update_id=update.id,
            step=number,
            state=update.state,
            at=now,
            actor=actor,
            reason=update.reason,
        )
    )
    await session.flush()


def _tell(
    session: AsyncSession,
    kind: EventType,
    update: Update,
    model: ModelRef,
    data: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    emit(
        session,
        kind,
        subject=_path(update),
        model=model.name,
        data={
            "update": update.id,
            "trigger": update.trigger,
            "target": update.wish.target,
            "rollout": update.rollout_id,
            **data,
        },
        now=now,
    )


def _path(update: Update) -> str:
    return f"updates/{update.id}"
