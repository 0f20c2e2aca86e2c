"""Calls the training pipeline. It may be called again for one update, with the same `webhook-id`,
when a worker dies between the call and its commit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.automation import queries
from turnout.automation.commands.record import step
from turnout.automation.domain.policy import NAMED_IN, RETRIES, Retraining
from turnout.automation.domain.update import NoPipeline, UpdateState
from turnout.automation.tables import Update
from turnout.db import Sessions, transaction
from turnout.events.domain import EventType
from turnout.gates.runs import NoSecret, signed
from turnout.outgoing import CallFailed, Calls
from turnout.quantities import Clock
from turnout.registry import queries as registry
from turnout.rollouts import queries as rollouts

LARGEST_ANSWER: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    pipeline: Retraining
    body: bytes


async def call_pipeline(
    sessions: Sessions, calls: Calls, update_id: UUID, fence: int, *, clock: Clock
) -> None:
    async with transaction(sessions) as session:
        update = await queries.locked(session, update_id)
        if update.fence != fence:
            return
        order = await _order(session, update, now=clock())
    if order is None:
        return
    failure = await _call(calls, update_id, order)
    async with transaction(sessions) as session:
        update = await queries.locked(session, update_id)
        if update.fence == fence:
            await _heard(session, update, order.pipeline, failure, now=clock())


async def _order(session: AsyncSession, update: Update, *, now: datetime) -> _Order | None:
    model = (await registry.models_by_id(session, [update.model_id]))[update.model_id]
    pipeline = (await queries.policy(session, update.model_id)).retraining
    if pipeline is None:
        await step(session, update, UpdateState.FAILED, NoPipeline(model.name).detail, now=now)
        return None
    data: dict[str, Any] = {
        "update": update.id,
        "model": model.name,
        "serving": [one.version for one in await rollouts.answering(session, update.model_id)],
        "trigger": update.trigger,
        "reason": update.cause or update.wish.notes,
        "dataset_version": update.dataset_version,
        "register_with": {"metadata": {NAMED_IN: update.id}},
    }
    said = {"type": EventType.RETRAINING_REQUESTED, "timestamp": update.created_at, "data": data}
    return _Order(pipeline=pipeline, body=to_json(said))


async def _call(calls: Calls, update_id: UUID, order: _Order) -> str | None:
    """What went wrong, if anything did."""
    try:
        answer = await calls.send(
            "POST",
            order.pipeline.url,
            body=order.body,
            headers=signed(order.body, f"retraining_{update_id}", order.pipeline.secret_env),
            deadline=order.pipeline.timeout,
            limit=LARGEST_ANSWER,
        )
    except NoSecret as wrong:
        return str(wrong)
    except CallFailed as failure:
        return failure.detail
    return None if 200 <= answer.status < 300 else f"the pipeline answered {answer.status}"


async def _heard(
    session: AsyncSession,
    update: Update,
    pipeline: Retraining,
    failure: str | None,
    *,
    now: datetime,
) -> None:
    if failure is None:
        until = now + pipeline.wait
        reason = (
            f"the pipeline was asked; its version is waited for until {until:%Y-%m-%d %H:%M} UTC"
        )
        await step(session, update, UpdateState.TRAINING, reason, now=now, due_at=until)
        return
    update.attempts += 1
    if update.attempts > len(RETRIES):
        reason = f"the pipeline could not be called {update.attempts} times: {failure}"
        await step(session, update, UpdateState.FAILED, reason, now=now)
        return
    again = now + RETRIES[update.attempts - 1]
    reason = f"called again at {again:%H:%M} UTC: {failure}"
    await step(session, update, UpdateState.REQUESTING, reason, now=now, due_at=again)
