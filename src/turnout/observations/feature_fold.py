"""Counts the features of a sample of predictions on the bins of every version that answered.

What another version answered at the same time is counted on a version's bins, too, so that the two
can be compared. The values are cut here and not in the database, which takes ten times as long.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.grid import Cut
from turnout.observations.domain.tally import Value, tally
from turnout.observations.sums_sql import WITHIN_DAYS, of_batches

SAMPLED_AT_ONCE: Final = 2_000
SAMPLED_PER_MINUTE: Final = 200
"""Predictions of one version that are looked at: so many in an hour, and so many more for each
minute of it that has begun. Ten thousand an hour tell as much as all."""

Hours = dict[tuple[int, datetime], list[tuple[Mapping[str, Value] | None, str | None]]]

_OF_SAMPLE: Final = (
    f"{WITHIN_DAYS} AND shadow_version = 0 AND (features IS NOT NULL OR label IS NOT NULL)"
)

# By the hash of the prediction's id: by chance, and the same whoever folds.
_SAMPLE: Final = text(
    f"""
    WITH told AS (
        SELECT version_id, prediction_id, date_bin('1 hour', at, 'epoch'::timestamptz) AS hour, at,
            features, label
        FROM {of_batches("prediction", _OF_SAMPLE)}
    ), ranked AS (
        SELECT *, row_number() OVER (
                PARTITION BY version_id, hour ORDER BY hashtext(prediction_id), prediction_id
            ) AS rank,
            1 + floor(extract(epoch FROM max(at) OVER (PARTITION BY version_id, hour) - hour) / 60)
                AS minutes
        FROM told
    ), sample AS MATERIALIZED (
        SELECT ranked.version_id, ranked.hour, features, label
        FROM ranked LEFT JOIN feature_sample AS before
            ON before.model_id = :model_id AND before.version_id = ranked.version_id
                AND before.hour = ranked.hour
        WHERE rank <= {SAMPLED_AT_ONCE} + {SAMPLED_PER_MINUTE} * minutes - coalesce(before.n, 0)
    ), counted AS (
        INSERT INTO feature_sample AS t (model_id, version_id, hour, n)
        SELECT :model_id, version_id, hour, count(*) FROM sample GROUP BY version_id, hour
        ON CONFLICT (model_id, version_id, hour) DO UPDATE SET n = t.n + excluded.n
    )
    SELECT version_id, hour, features::text AS features, label FROM sample
    """  # noqa: S608  (conditions of ours; values are parameters)
)

_CUTS: Final = text(
    """
    SELECT grid_id, feature, edges, categories
    FROM feature_grid AS grid JOIN feature_cut AS cut
        ON cut.model_id = grid.model_id AND cut.grid_id = grid.id
    WHERE grid.model_id = :model_id AND version_id = ANY(CAST(:versions AS int[]))
    ORDER BY grid_id, first
    """
)

_ADD: Final = text(
    """
    INSERT INTO feature_hour AS t (model_id, grid_id, version_id, hour, counts)
    VALUES (:model_id, :grid_id, :version_id, :hour, CAST(:counts AS int[]))
    ON CONFLICT (model_id, grid_id, version_id, hour) DO UPDATE SET counts = (
        SELECT array_agg(former + added ORDER BY place)
        FROM unnest(t.counts, excluded.counts) WITH ORDINALITY AS pair (former, added, place)
    )
    """
)


async def fold_features(
    session: AsyncSession, model_id: int, batches: Mapping[str, object]
) -> None:
    hours: Hours = defaultdict(list)
    for row in await session.execute(_SAMPLE, batches):
        features = None if row.features is None else json.loads(row.features)
        hours[row.version_id, row.hour].append((features, row.label))
    versions = sorted({version_id for version_id, _ in hours})
    grids: dict[int, list[Cut]] = defaultdict(list)
    for row in await session.execute(_CUTS, {"model_id": model_id, "versions": versions}):
        cut = Cut(feature=row.feature, edges=_tuple(row.edges), categories=_tuple(row.categories))
        grids[row.grid_id].append(cut)
    if not hours or not grids:
        return
    every = list(chain.from_iterable(grids.values()))
    added = []
    for (version_id, hour), rows in sorted(hours.items()):
        found = tally(rows, every)
        for grid_id, cuts in grids.items():
            counts = list(chain.from_iterable(found.bins(cut) for cut in cuts))
            if any(counts):
                key = {"model_id": model_id, "grid_id": grid_id, "version_id": version_id}
                added.append({**key, "hour": hour, "counts": counts})
    if added:
        await session.execute(_ADD, added)


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
