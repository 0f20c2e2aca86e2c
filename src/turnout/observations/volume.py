"""How much came in an hour, and in the same hour of earlier weeks."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.volume import Volume

WEEK: Final = timedelta(days=7)
WEEKS: Final = 8
SETTLED: Final = timedelta(minutes=5)

_HOURS: Final = text(
    """
    SELECT model_id, week, n
    FROM unnest(CAST(:models AS int[])) AS wanted (model_id)
    CROSS JOIN LATERAL (
        SELECT starts AS first FROM long_window AS one
        WHERE one.model_id = wanted.model_id AND hours = 1 ORDER BY starts LIMIT 1
    ) AS known
    CROSS JOIN generate_series(0, :weeks) AS week
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(one.n), 0)::bigint AS n FROM long_window AS one
        WHERE one.model_id = wanted.model_id AND hours = 1 AND NOT shadow
            AND starts = CAST(:hour AS timestamptz) - week * interval '7 days'
    ) AS counted
    WHERE first <= CAST(:hour AS timestamptz) - week * interval '7 days'
    ORDER BY model_id, week
    """
)


async def volumes(
    session: AsyncSession, model_ids: Collection[int], *, now: datetime
) -> dict[int, Volume]:
    """Of the latest hour that is over, and has been reported, by model; those that had begun."""
    hour = (now - SETTLED).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    asked = {"models": list(model_ids), "hour": hour, "weeks": WEEKS}
    counts: dict[int, list[int]] = {}
    for row in await session.execute(_HOURS, asked):
        counts.setdefault(row.model_id, []).append(row.n)
    return {
        model_id: Volume(hour=hour, predictions=found[0], earlier=tuple(found[1:]))
        for model_id, found in counts.items()
    }
