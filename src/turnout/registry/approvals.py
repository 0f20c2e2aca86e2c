"""The approved-models policy: one for the service and one for each model, and both hold."""

from datetime import datetime
from typing import Final

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.registry import queries
from turnout.registry.domain.approval import ApprovedModels, NotApproved, violations
from turnout.registry.domain.runtime import OpenAIRuntime
from turnout.registry.domain.version import ModelRef, NewVersion, VersionRef
from turnout.registry.tables import ApprovedModelsRow

SERVICE: Final = 0
"""Stands for the service where a row has a model's id."""


async def approved_models(session: AsyncSession, model_id: int = SERVICE) -> ApprovedModels:
    """What was set for one scope; a policy that forbids nothing if nothing was."""
    row = await session.get(ApprovedModelsRow, model_id, populate_existing=True)
    return row.rules if row else ApprovedModels()


async def approve_models(
    session: AsyncSession,
    model: ModelRef | None,
    rules: ApprovedModels,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    scope = model.id if model else SERVICE
    before = await approved_models(session, scope)
    values = {"rules": rules, "updated_at": now, "updated_by": actor}
    await session.execute(
        insert(ApprovedModelsRow)
        .values(model_id=scope, **values)
        .on_conflict_do_update(index_elements=[ApprovedModelsRow.model_id], set_=values)
    )
    audit(
        session,
        actor=actor,
        action="approved_models.set",
        subject=f"models/{model.name}/approved-models" if model else "registry/approved-models",
        before=to_jsonable_python(before),
        after=to_jsonable_python(rules),
        reason=reason,
        now=now,
    )


async def check_registration(
    session: AsyncSession, model_id: int, model: str, new: NewVersion
) -> None:
    """Refuse a version that breaks a rule, and name every rule that it breaks."""
    if isinstance(new.runtime, OpenAIRuntime):
        rules = await _rules(session, model_id, model)
        if broken := violations(rules, new.runtime, new.tags):
            raise NotApproved(model, new.version, broken)


async def check_deployment(session: AsyncSession, version: VersionRef) -> None:
    """The same when it is to get traffic: rules and tags may have changed since."""
    if isinstance(version.runtime, OpenAIRuntime):
        rules = await _rules(session, version.model_id, version.model)
        details = (await queries.details(session, [version.id]))[version.id]
        if broken := violations(rules, version.runtime, details.tags):
            raise NotApproved(version.model, version.version, broken)


async def _rules(session: AsyncSession, model_id: int, model: str) -> dict[str, ApprovedModels]:
    query = select(ApprovedModelsRow).where(ApprovedModelsRow.model_id.in_([SERVICE, model_id]))
    rows = await session.scalars(query.order_by(ApprovedModelsRow.model_id))
    return {"service" if row.model_id == SERVICE else model: row.rules for row in rows}
