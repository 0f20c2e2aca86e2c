"""Counts of features by the hour: which are kept, what was counted, and for how long."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.observations.domain.grid import Cut, Grid
from turnout.observations.feature_tables import FeatureCut, FeatureGrid, FeatureHour, FeatureSample

HOUR: Final = timedelta(hours=1)
LONGEST_WINDOW: Final = timedelta(days=7)

Hours = Mapping[datetime, Sequence[int]]
"""Counts of all bins of a grid, by the hour in which the predictions were made."""

_COUNTS: Final = text(
    """
    SELECT wanted.grid_id, wanted.version_id, hour, counts
    FROM unnest(
        CAST(:models AS int[]), CAST(:grids AS bigint[]), CAST(:versions AS int[]),
        CAST(:sinces AS timestamptz[])
    ) AS wanted (model_id, grid_id, version_id, since)
    JOIN feature_hour ON feature_hour.model_id = wanted.model_id
        AND feature_hour.grid_id = wanted.grid_id AND feature_hour.version_id = wanted.version_id
        AND hour > wanted.since AND hour <= :now
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `version_id` answered, on the bins of a grid, since `since`."""

    grid: Grid
    version_id: int
    since: datetime


async def follow_features(
    session: AsyncSession, model_id: int, version_id: int, cuts: Sequence[Cut]
) -> None:
    """Count these features of a version, and of those that answer beside it, from now on; what
    was counted by former cuts is forgotten. The caller holds a lock on the version."""
    former = select(FeatureGrid.id).where(
        FeatureGrid.model_id == model_id, FeatureGrid.version_id == version_id
    )
    grids = (await session.scalars(former)).all()
    for table in (FeatureHour, FeatureCut):
        await session.execute(
            delete(table).where(table.model_id == model_id, among(table.grid_id, grids))
        )
    await session.execute(
        delete(FeatureGrid).where(FeatureGrid.model_id == model_id, among(FeatureGrid.id, grids))
    )
    if not cuts:
        return
    size = sum(cut.bins for cut in cuts)
    grid = FeatureGrid(model_id=model_id, version_id=version_id, size=size)
    session.add(grid)
    await session.flush()
    first, rows = 1, []
    for cut in cuts:
        rows.append({"model_id": model_id, "grid_id": grid.id, "first": first, **asdict(cut)})
        first += cut.bins
    await session.execute(insert(FeatureCut), rows)


async def followed_features(session: AsyncSession, model_id: int) -> Sequence[str]:
    query = select(FeatureCut.feature).where(FeatureCut.model_id == model_id).distinct()
    return (await session.scalars(query)).all()


async def grids(session: AsyncSession, model_ids: Collection[int]) -> dict[int, Grid]:
    """The grids of all versions of some models, by version id."""
    rows = await session.execute(
        select(
            FeatureGrid.id, FeatureGrid.model_id, FeatureGrid.version_id, FeatureGrid.size
        ).where(among(FeatureGrid.model_id, model_ids))
    )
    return {row["version_id"]: Grid(**row) for row in rows.mappings()}


async def feature_counts(
    session: AsyncSession, wanted: Collection[Wanted], *, now: datetime
) -> dict[tuple[int, int], Hours]:
    """What was counted, by grid and version, in one round trip: a row per hour, however many
    predictions there were."""
    found: dict[tuple[int, int], dict[datetime, Sequence[int]]] = defaultdict(dict)
    if not wanted:
        return {}
    rows = await session.execute(
        _COUNTS,
        {
            "models": [one.grid.model_id for one in wanted],
            "grids": [one.grid.id for one in wanted],
            "versions": [one.version_id for one in wanted],
            "sinces": [one.since - HOUR for one in wanted],
            "now": now,
        },
    )
    for row in rows:
        found[row.grid_id, row.version_id][row.hour] = row.counts
    return dict(found)


async def forget_features(session: AsyncSession, *, now: datetime) -> None:
    """Drop hours that no window reaches any more."""
    oldest = now - LONGEST_WINDOW - HOUR
    for table in (FeatureHour, FeatureSample):
        await session.execute(delete(table).where(table.hour < oldest))
