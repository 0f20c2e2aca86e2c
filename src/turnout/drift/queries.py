from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.drift.domain.baseline import Baseline, Origin, Provenance
from turnout.drift.domain.evidence import Evidence, Hours, evidence
from turnout.drift.tables import BaselineRow
from turnout.observations.domain.grid import Grid
from turnout.observations.features import Wanted, feature_counts, grids


async def baseline(session: AsyncSession, version_id: int) -> BaselineRow | None:
    return await session.get(BaselineRow, version_id)


async def baselines(session: AsyncSession, version_ids: Collection[int]) -> dict[int, Baseline]:
    """By version id; those that have none, or none yet, are left out."""
    query = select(BaselineRow.version_id, BaselineRow.baseline).where(
        among(BaselineRow.version_id, version_ids)
    )
    rows = await session.execute(query)
    return {row.version_id: row.baseline for row in rows if row.baseline is not None}


async def provenances(session: AsyncSession, version_ids: Collection[int]) -> dict[int, Provenance]:
    """By version id, also of baselines that are still awaited."""
    query = select(
        BaselineRow.version_id,
        BaselineRow.origin,
        BaselineRow.awaited,
        BaselineRow.collected,
        BaselineRow.set_at,
        BaselineRow.set_by,
    ).where(among(BaselineRow.version_id, version_ids))
    return {
        row.version_id: Provenance(
            origin=Origin(row.origin),
            awaited=row.awaited,
            collected=row.collected,
            set_at=row.set_at,
            set_by=row.set_by,
        )
        for row in await session.execute(query)
    }


async def gathered(
    session: AsyncSession,
    found: Mapping[int, Baseline],
    serving: Mapping[int, Collection[int]],
    *,
    window: timedelta,
    now: datetime,
    alone: bool = False,
) -> dict[int, Evidence]:
    """What the versions that serve answered, on the bins of their baselines, by version id.

    `serving` has the ids of the versions by the id of their model. Two round trips, however many
    there are; the window begins with the hour that it reaches into. `alone` leaves out what others
    answered beside them, which is most of the reading.
    """
    known = await grids(session, serving) if found else {}
    versions = {one: ids for ids in serving.values() for one in ids}
    beside = {one: (one,) if alone else versions[one] for one in found if one in versions}
    wanted = [
        Wanted(grid=known[version_id], version_id=other, since=now - window)
        for version_id, others in beside.items()
        if version_id in known
        for other in others
    ]
    counts = await feature_counts(session, wanted, now=now)
    return {
        version_id: _evidence(version_id, found[version_id], known.get(version_id), others, counts)
        for version_id, others in beside.items()
    }


def _evidence(
    version_id: int,
    one: Baseline,
    grid: Grid | None,
    versions: Collection[int],
    counts: Mapping[tuple[int, int], Hours],
) -> Evidence:
    hours: dict[int, Hours] = {}
    if grid is not None:
        hours = {other: counts.get((grid.id, other), {}) for other in versions}
    own = hours.pop(version_id, {})
    return evidence(version_id, one, own, {other: found for other, found in hours.items() if found})
