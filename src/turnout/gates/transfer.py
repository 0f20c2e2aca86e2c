"""The registry with its gates, out of one database and into another."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.db import among
from turnout.gates.domain.document import (
    ApprovalEntry,
    GatesEntry,
    PolicyEntry,
    SignedOff,
    WholeRegistry,
    gate_additions,
)
from turnout.gates.tables import Approval, GatePolicyRow
from turnout.registry import queries as registry
from turnout.registry import transfer
from turnout.registry.domain.document import ImportConflicts
from turnout.registry.domain.semver import SemVer

_GATES: Final = TypeAdapter(GatesEntry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    models: int
    versions: int
    aliases: int
    gate_policies: int
    approvals: int


async def exported(session: AsyncSession) -> AsyncIterator[bytes]:
    """Write the document piece by piece: never more than a page of models is in memory."""
    async for piece in transfer.exported(session):
        yield piece
    yield b',"gates":['
    after, first = None, True
    while page := await registry.models(session, limit=transfer.PAGE, after=after):
        named = {row.name: row.id for row in page}
        for entry in (await _entries(session, named)).values():
            if entry.policies or entry.signed_off:
                yield (b"\n" if first else b",\n") + _GATES.dump_json(entry)
                first = False
        after = page[-1].name
        session.expunge_all()
    yield b"\n]}\n"


async def take_in(
    session: AsyncSession,
    document: WholeRegistry,
    *,
    dry_run: bool,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Imported:
    """Add what is not here yet; refuse all of it when any of it contradicts what is here."""
    planned, clashes = await transfer.compared(session, document)
    # Versions are approved without a lock on the model.
    await session.execute(text("LOCK TABLE gate_policy, approval IN SHARE ROW EXCLUSIVE MODE"))
    ids = await registry.named_model_ids(session, [entry.model for entry in document.gates])
    here = await _entries(session, ids)
    added = []
    for sent in document.gates:
        nothing = GatesEntry(model=sent.model, policies=(), signed_off=())
        new, found = gate_additions(sent, here.get(sent.model, nothing))
        added.append(new)
        clashes += found
    if clashes:
        raise ImportConflicts(clashes)
    if not dry_run:
        await transfer.add(session, planned, actor=actor, now=now, reason=reason)
        for entry in added:
            if entry.policies or entry.signed_off:
                await _add(session, entry, actor=actor, now=now, reason=reason)
    return Imported(
        models=sum(one.new for one in planned),
        versions=sum(len(one.versions) for one in planned),
        aliases=sum(len(one.aliases) for one in planned),
        gate_policies=sum(bool(entry.policies) for entry in added),
        approvals=sum(len(one.approvals) for entry in added for one in entry.signed_off),
    )


async def _entries(session: AsyncSession, ids: dict[str, int]) -> dict[str, GatesEntry]:
    """The gates of models, by their names and in the order in which those are given."""
    policies = await _policies(session, ids.values())
    approvals = await _approvals(session, ids.values())
    return {
        name: GatesEntry(
            model=name,
            policies=tuple(policies.get(model_id, ())),
            signed_off=tuple(approvals.get(model_id, ())),
        )
        for name, model_id in ids.items()
    }


async def _policies(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int | None, list[PolicyEntry]]:
    query = select(GatePolicyRow).where(among(GatePolicyRow.model_id, model_ids))
    found: dict[int | None, list[PolicyEntry]] = {}
    for row in await session.scalars(query.order_by(GatePolicyRow.revision)):
        found.setdefault(row.model_id, []).append(
            PolicyEntry(
                revision=row.revision,
                policy=row.policy,
                at=row.at,
                actor=row.actor,
                reason=row.reason,
            )
        )
    return found


async def _approvals(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int, list[SignedOff]]:
    versions = await registry.version_names(session, model_ids)
    query = select(Approval).where(among(Approval.version_id, [*versions]))
    given: dict[int, list[ApprovalEntry]] = {}
    for row in await session.scalars(query.order_by(Approval.id)):
        given.setdefault(row.version_id, []).append(
            ApprovalEntry(
                to=row.stage,
                by=row.by,
                at=row.at,
                reason=row.reason,
                withdrawn_at=row.withdrawn_at,
            )
        )
    found: dict[int, list[SignedOff]] = {}
    for version_id, approvals in given.items():
        model_id, version = versions[version_id]
        found.setdefault(model_id, []).append(
            SignedOff(version=version, approvals=tuple(approvals))
        )
    for signed_off in found.values():
        signed_off.sort(key=lambda one: (SemVer.parse(one.version).precedence, one.version))
    return found


async def _add(
    session: AsyncSession, entry: GatesEntry, *, actor: str, now: datetime, reason: str | None
) -> None:
    model = await registry.model(session, entry.model)
    session.add_all(
        GatePolicyRow(
            model_id=model.id,
            revision=one.revision,
            policy=one.policy,
            at=one.at,
            actor=one.actor,
            reason=one.reason,
        )
        for one in entry.policies
    )
    names = [one.version for one in entry.signed_off]
    ids = await registry.version_ids(session, model.id, names)
    session.add_all(
        Approval(
            version_id=ids[one.version],
            to_stage=approval.to,
            by=approval.by,
            at=approval.at,
            reason=approval.reason,
            withdrawn_at=approval.withdrawn_at,
        )
        for one in entry.signed_off
        for approval in one.approvals
    )
    audit(
        session,
        actor=actor,
        action="gates.imported",
        subject=f"models/{entry.model}",
        after={
            "policies": len(entry.policies),
            "approvals": {one.version: len(one.approvals) for one in entry.signed_off},
        },
        reason=reason,
        now=now,
    )
    await session.flush()
