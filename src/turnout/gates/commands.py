"""What changes policies and approvals, and what the slices above note of a version."""

from datetime import datetime
from typing import Final

from pydantic_core import to_jsonable_python
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.gates import queries
from turnout.gates.domain.outcome import (
    GATED,
    ApprovalNotFound,
    ApprovedAlready,
    NotGated,
    NotYours,
    WithdrawnAlready,
    check_settled,
)
from turnout.gates.domain.policy import Feat, GatePolicy
from turnout.gates.tables import Achievement, Approval, GatePolicyRow
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.registry.locks import shared_model

LOCK: Final = 0x6761
"""Keeps this slice's advisory locks apart from other uses of them in the same database."""


async def set_policy(
    session: AsyncSession,
    model: ModelRef | None,
    policy: GatePolicy | None,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> GatePolicyRow:
    """Put a policy in force for a model, or, without one, as the service's default.

    None takes a model's own away, so that the default counts again.
    """
    if model is not None:  # an import locks models first, and policies behind them
        await shared_model(session, model.name)
    model_id = None if model is None else model.id
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, model_id or 0)))
    before = await queries.policy_row(session, model_id)
    row = GatePolicyRow(
        model_id=model_id,
        revision=before.revision + 1 if before else 1,
        policy=policy,
        at=now,
        actor=actor,
        reason=reason,
    )
    session.add(row)
    audit(
        session,
        actor=actor,
        action="gate_policy.set" if policy else "gate_policy.removed",
        subject="gate-policy" if model is None else f"models/{model.name}/gate-policy",
        before=to_jsonable_python(before.policy) if before and before.policy else None,
        after=to_jsonable_python(policy) if policy else None,
        reason=reason,
        now=now,
    )
    await session.flush()
    return row


async def approve(
    session: AsyncSession,
    version: VersionRef,
    to: Lifecycle,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Approval:
    """Sign a version off for a stage, as the person who asks."""
    if to not in GATED:
        raise NotGated(to)
    check_settled(version)
    values = {
        "version_id": version.id,
        "to_stage": to,
        "by": actor,
        "at": now,
        "reason": reason,
    }
    insertion = insert(Approval).values(**values).on_conflict_do_nothing().returning(Approval)
    approval: Approval | None = await session.scalar(insertion)
    if approval is None:
        raise ApprovedAlready(actor, version.version, to)
    audit(
        session,
        actor=actor,
        action="version.approved",
        subject=_path(version),
        after={"approval": approval.id, "to": to},
        reason=reason,
        now=now,
    )
    return approval


async def withdraw(
    session: AsyncSession,
    version: VersionRef,
    approval_id: int,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Approval:
    """Take one's own approval back; it stays on record."""
    query = select(Approval).where(Approval.id == approval_id, Approval.version_id == version.id)
    approval = await session.scalar(query.with_for_update())
    if approval is None:
        raise ApprovalNotFound(approval_id)
    if approval.by != actor:
        raise NotYours(approval.by)
    if approval.withdrawn_at is not None:
        raise WithdrawnAlready(approval_id, approval.by)
    approval.withdrawn_at = now
    audit(
        session,
        actor=actor,
        action="version.approval_withdrawn",
        subject=_path(version),
        before={"approval": approval.id, "to": approval.to_stage},
        reason=reason,
        now=now,
    )
    return approval


async def note_feat(
    session: AsyncSession, version_id: int, feat: Feat, subject: str, *, now: datetime
) -> None:
    """Note what a version succeeded in, and where: policies may ask for it."""
    insertion = insert(Achievement).values(
        version_id=version_id, feat=feat, subject=subject, at=now
    )
    await session.execute(insertion.on_conflict_do_nothing())


def _path(version: VersionRef) -> str:
    return f"models/{version.model}/versions/{version.version}"
