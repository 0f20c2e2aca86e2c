"""What versions did of late: the last so many predictions, or a stretch of time.

Read from the minutes, newest first, until enough is counted: the first of the minutes read counts
whole, so there may be more than was asked for. The cost follows from the minutes that are read,
never from the number of predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.figures import Figures, Mean
from turnout.stats.quantile_sketch import QuantileSketch

Counted = Literal["n", "labelled", "latency_n", "confidence_n", "cost_n"]
"""What `last` counts: predictions, or those of which this is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What to look at: what was served by a version in [since, until), or the last of it."""

    model_id: int
    version_id: int
    since: datetime
    until: datetime
    counted: Counted = "n"
    last: int | None = None
    sketched: bool = False
    """Whether the distribution of latencies is wanted, which costs the most."""


_LATEST: Final = """
    SELECT * FROM (
        SELECT *, sum(counted) OVER (
            ORDER BY minute DESC, split_id DESC ROWS UNBOUNDED PRECEDING
        ) - counted AS newer
        FROM (
            SELECT *, CASE wanted.counted WHEN 'n' THEN n WHEN 'labelled' THEN labelled
                WHEN 'latency_n' THEN latency_n WHEN 'confidence_n' THEN confidence_n
                ELSE cost_n END AS counted
            FROM minute_window
            WHERE model_id = wanted.model_id AND version_id = wanted.version_id AND NOT shadow
                AND minute >= wanted.since AND minute < wanted.until
                AND CASE wanted.counted WHEN 'n' THEN n WHEN 'labelled' THEN labelled
                    WHEN 'latency_n' THEN latency_n WHEN 'confidence_n' THEN confidence_n
                    ELSE cost_n END > 0
            ORDER BY minute DESC, split_id DESC
            LIMIT wanted.last
        ) AS newest
    ) AS summed
    WHERE wanted.last IS NULL OR newer < wanted.last
"""

_RECENT: Final = text(
    f"""
    SELECT wanted.number, part.*
    FROM unnest(
        CAST(:models AS int[]), CAST(:versions AS int[]), CAST(:sinces AS timestamptz[]),
        CAST(:untils AS timestamptz[]), CAST(:counted AS text[]), CAST(:lasts AS bigint[]),
        CAST(:sketched AS boolean[])
    ) WITH ORDINALITY AS wanted (
        model_id, version_id, since, until, counted, last, sketched, number
    )
    CROSS JOIN LATERAL (
        WITH latest AS MATERIALIZED ({_LATEST})
        SELECT coalesce(sum(n), 0)::bigint AS n, coalesce(sum(errors), 0)::bigint AS errors,
            coalesce(sum(labelled), 0)::bigint AS labelled,
            coalesce(sum(correct), 0)::bigint AS correct,
            coalesce(sum(latency_n), 0)::bigint AS latency_n, coalesce(sum(latency), 0) AS latency,
            coalesce(sum(confidence_n), 0)::bigint AS confidence_n,
            coalesce(sum(confidence), 0) AS confidence,
            coalesce(sum(cost_n), 0)::bigint AS cost_n, coalesce(sum(cost), 0) AS cost,
            CASE WHEN wanted.sketched THEN (
                SELECT array_agg(ARRAY[bucket, number])
                FROM (
                    SELECT bucket, sum(number)::bigint AS number
                    FROM (
                        SELECT unnest(buckets) AS bucket, unnest(counts) AS number FROM latest
                    ) AS each
                    GROUP BY bucket
                ) AS bucket_count
            ) END AS sketch
        FROM latest
    ) AS part
    """  # noqa: S608  (no values in it)
)


async def recent(session: AsyncSession, wanted: Sequence[Recent]) -> list[Figures]:
    """The figures of each, in one round trip, in the order they were asked for."""
    if not wanted:
        return []
    rows = await session.execute(
        _RECENT,
        {
            "models": [one.model_id for one in wanted],
            "versions": [one.version_id for one in wanted],
            "sinces": [one.since for one in wanted],
            "untils": [one.until for one in wanted],
            "counted": [one.counted for one in wanted],
            "lasts": [one.last for one in wanted],
            "sketched": [one.sketched for one in wanted],
        },
    )
    found = {row.number: row for row in rows}
    return [
        Figures(
            predictions=row.n,
            errors=row.errors,
            labelled=row.labelled,
            correct=row.correct,
            latency=Mean(n=row.latency_n, total=row.latency),
            confidence=Mean(n=row.confidence_n, total=row.confidence),
            cost=Mean(n=row.cost_n, total=row.cost),
            latencies=QuantileSketch.from_counts(map(tuple, row.sketch or ())),
        )
        for row in (found[number] for number in range(1, len(wanted) + 1))
    ]
