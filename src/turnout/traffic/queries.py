"""What routes traffic now, for the gateway and for the slices that move it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.traffic.domain.assignment import Route
from turnout.traffic.domain.overrides import NO_OVERRIDES, Overrides
from turnout.traffic.domain.split import Owner, OwnerKind, Split, Spread
from turnout.traffic.tables import OverrideSet, SplitRow

SPLIT = (
    SplitRow.id,
    SplitRow.model_id,
    SplitRow.salt,
    SplitRow.strategy,
    SplitRow.variants,
    SplitRow.owner_kind,
    SplitRow.owner_id,
    SplitRow.created_at,
    SplitRow.owned,
    SplitRow.reinstated_at,
)
OVERRIDES = (OverrideSet.pins, OverrideSet.rules, OverrideSet.version_ids)


async def active_split(session: AsyncSession, model_id: int) -> Split | None:
    found = await session.execute(
        select(*SPLIT).where(SplitRow.model_id == model_id, SplitRow.active)
    )
    row = found.one_or_none()
    return split(row) if row else None


async def splits(session: AsyncSession, ids: Collection[int]) -> dict[int, Split]:
    """Look up splits in force and former ones."""
    found = await session.execute(select(*SPLIT).where(among(SplitRow.id, ids)))
    return {row.id: split(row) for row in found}


async def splits_since(session: AsyncSession, model_id: int, since: datetime) -> list[Split]:
    """The split that was in force at `since`, if any, and all that followed; the present one last.

    Also every split that was ever reinstated: its terms say when it was in force.
    """
    first = (
        select(func.max(SplitRow.id))
        .where(SplitRow.model_id == model_id, SplitRow.created_at <= since)
        .scalar_subquery()
    )
    found = await session.execute(
        select(*SPLIT)
        .where(
            SplitRow.model_id == model_id,
            or_(SplitRow.id >= func.coalesce(first, 0), SplitRow.reinstated_at != text("'{}'")),
        )
        .order_by(SplitRow.active, SplitRow.id)
    )
    return [split(row) for row in found]


async def overrides(session: AsyncSession, model_id: int) -> Overrides:
    found = await session.execute(select(*OVERRIDES).where(OverrideSet.model_id == model_id))
    row = found.one_or_none()
    return _overrides(row) if row else NO_OVERRIDES


async def routes(session: AsyncSession, model_ids: Collection[int] | None = None) -> list[Route]:
    """All that a replica needs to answer for these models, or for every model with a split.

    Two statements however many models there are. A pin or rule that aims at a version which was
    rejected or deleted since is passed over.
    """
    statement = (
        select(*SPLIT, *OVERRIDES)
        .outerjoin(OverrideSet, OverrideSet.model_id == SplitRow.model_id)
        .where(SplitRow.active)
    )
    if model_ids is not None:
        statement = statement.where(among(SplitRow.model_id, model_ids))
    rows = (await session.execute(statement)).all()
    wanted = {variant.version_id for row in rows for variant in row.variants}
    wanted.update(version_id for row in rows for version_id in (row.version_ids or {}).values())
    versions = await registry.versions_by_id(session, wanted)
    return [_route(row, versions) for row in rows]


async def revisions(
    session: AsyncSession, model_ids: Collection[int] | None = None
) -> dict[int, tuple[int, ...]]:
    """Numbers per model that differ after every change, far cheaper to poll than the routes: of the
    split, of the overrides, and of those versions that they are passed over for."""
    statement = (
        select(SplitRow.model_id, SplitRow.id, OverrideSet.revision, OverrideSet.version_ids)
        .outerjoin(OverrideSet, OverrideSet.model_id == SplitRow.model_id)
        .where(SplitRow.active)
    )
    if model_ids is not None:
        statement = statement.where(among(SplitRow.model_id, model_ids))
    found = (await session.execute(statement)).all()
    aimed = {row.model_id: sorted({*(row.version_ids or {}).values()}) for row in found}
    rejected = await registry.rejected(session, {one for ids in aimed.values() for one in ids})
    return {
        row.model_id: (
            row.id,
            row.revision or 0,
            *(one for one in aimed[row.model_id] if one in rejected),
        )
        for row in found
    }


def split(row: Row[*tuple[Any, ...]]) -> Split:
    """Read the columns of `SPLIT`."""
    return Split(
        id=row.id,
        model_id=row.model_id,
        salt=row.salt,
        strategy=Spread(row.strategy),
        variants=row.variants,
        owner=Owner(kind=OwnerKind(row.owner_kind), id=row.owner_id),
        owned=row.owned,
        created_at=row.created_at,
        reinstated_at=tuple(row.reinstated_at),
    )


def _overrides(row: Row[*tuple[Any, ...]]) -> Overrides:
    return Overrides(pins=row.pins, rules=row.rules, version_ids=row.version_ids)


def _route(row: Row[*tuple[Any, ...]], versions: Mapping[int, VersionRef]) -> Route:
    active = split(row)
    named = {text: versions.get(found) for text, found in (row.version_ids or {}).items()}
    servable = {
        text: version
        for text, version in named.items()
        if version is not None and version.stage is not Lifecycle.REJECTED
    }
    routed = {variant.version: versions[variant.version_id] for variant in active.variants}
    model = next(iter(routed.values()))
    return Route(
        model=ModelRef(id=model.model_id, name=model.model),
        split=active,
        overrides=Overrides(
            pins=row.pins or (),
            rules=row.rules or (),
            version_ids={text: version.id for text, version in servable.items()},
        ),
        versions=routed | servable,
    )
