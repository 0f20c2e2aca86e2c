"""What versions did interval by interval."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.figures import Figures
from turnout.observations.queries import FIGURES, figures

_POINTS: Final = text(
    f"""
    WITH part AS MATERIALIZED (
        SELECT *, date_bin(:every, minute, :since) AS starts FROM minute_window
        WHERE model_id = :model_id AND minute >= :since AND minute < :until AND NOT shadow
            AND (CAST(:version_id AS int) IS NULL OR version_id = :version_id)
    ), sketch AS (
        SELECT version_id, starts, array_agg(bucket ORDER BY bucket) AS buckets,
            array_agg(n ORDER BY bucket) AS counts
        FROM (
            SELECT version_id, starts, bucket, sum(number)::bigint AS n
            FROM part CROSS JOIN LATERAL unnest(buckets, counts) AS each (bucket, number)
            GROUP BY version_id, starts, bucket
        ) AS bucket_count
        GROUP BY version_id, starts
    )
    SELECT version_id, starts, {FIGURES}, coalesce(min(sketch.buckets), '{{}}') AS buckets,
        coalesce(min(sketch.counts), '{{}}') AS counts
    FROM part LEFT JOIN sketch USING (version_id, starts)
    GROUP BY version_id, starts
    ORDER BY version_id, starts
    """  # noqa: S608  (columns of ours)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalFigures:
    """What one version did from `starts` on, until the next interval starts."""

    version_id: int
    starts: datetime
    figures: Figures


async def points(
    session: AsyncSession,
    model_id: int,
    *,
    since: datetime,
    until: datetime,
    every: timedelta,
    version_id: int | None = None,
) -> list[IntervalFigures]:
    """By version and in order of time; intervals in which nothing was seen are left out."""
    span = {"model_id": model_id, "since": since, "until": until, "every": every}
    found = await session.execute(_POINTS, span | {"version_id": version_id})
    return [
        IntervalFigures(version_id=row.version_id, starts=row.starts, figures=figures(row))
        for row in found
    ]
