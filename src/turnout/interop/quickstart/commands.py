"""What the quick start changes: all of it by the commands of the slices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.interop.quickstart import queries
from turnout.interop.quickstart.domain import (
    MODEL,
    NOTE,
    Entry,
    NoSuchId,
    entry,
    full_version,
    present,
    proportional,
    with_weight,
)
from turnout.interop.quickstart.schemas import Registration
from turnout.quantities import percent
from turnout.registry import commands as registry
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import ModelRef, NewVersion, VersionDetails
from turnout.traffic import commands as traffic
from turnout.traffic.domain.split import Owner, OwnerKind, Share, Spread, check_owner

LOCK: Final = 0x7173
"""Keeps these advisory locks apart from other uses of them in the same database."""


async def register(session: AsyncSession, new: Registration, *, actor: str, now: datetime) -> Entry:
    """Register a version, and note under which name and label."""
    version = str(SemVer.parse(full_version(new.version)))
    found = Entry(version_id=0, version=version, name=new.name, label=new.version, asked=0)
    row = await registry.register_version(
        session,
        MODEL,
        NewVersion(
            version=version,
            description=new.description,
            metrics={} if new.accuracy is None else {"accuracy": new.accuracy},
            metadata={NOTE: found.note},
            runtime=new.runtime,
        ),
        actor=actor,
        now=now,
        reason="registered in the quick start",
    )
    return entry(row.id, row.version, row.details)


async def activate(
    session: AsyncSession, model: ModelRef, model_id: str, weight: int, *, actor: str, now: datetime
) -> None:
    """Give one version this weight, and split the traffic in the proportions that follow."""
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, model.id)))
    entries, split = await queries.entries(session, model), await queries.split(session, model)
    wanted = next((each for each in entries if each.model_id == model_id), None)
    if wanted is None:
        raise NoSuchId(model_id)
    check_owner(split, Owner(kind=OwnerKind.PERSON, id=actor))
    weights = with_weight(entries, split, wanted, weight)
    by: dict[str, Any] = {"actor": actor, "now": now}
    by["reason"] = f"{model_id} given {percent(weight)} % in the quick start"
    if weights:
        await _spread(session, model, entries, weights, **by)
    elif present(entries, split):
        await traffic.withdraw(session, model, **by)
    for each in entries:
        asked = weights.get(each.version_id, 0)
        if each.asked != asked:
            await _note(session, replace(each, asked=asked), **by)


async def _spread(
    session: AsyncSession,
    model: ModelRef,
    entries: Sequence[Entry],
    weights: Mapping[int, int],
    **by: Any,
) -> None:
    shares = proportional(weights)
    await traffic.set_split_by_hand(
        session,
        model,
        strategy=Spread.STICKY,
        shares=[
            Share(version=each.version, name=each.label, weight=shares[each.version_id])
            for each in entries
            if each.version_id in shares
        ],
        **by,
    )


async def _note(session: AsyncSession, noted: Entry, **by: Any) -> None:
    def edit(details: VersionDetails) -> VersionDetails:
        return replace(details, metadata={**details.metadata, NOTE: noted.note})

    await registry.edit_version(session, noted.version_id, edit, **by)
