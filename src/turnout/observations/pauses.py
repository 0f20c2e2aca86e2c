"""Which versions have had predictions, and have had none for a while."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.pause import Pause

REMEMBERED: Final = timedelta(days=30)

# The newest hour of a version is found at once where it has traffic, and what costs more is read
# only of those that are silent.
_SILENT: Final = text(
    """
    WITH silent AS MATERIALIZED (
        SELECT wanted.model_id, wanted.version_id, last.minute
        FROM unnest(CAST(:models AS int[]), CAST(:versions AS int[]))
            AS wanted (model_id, version_id)
        CROSS JOIN LATERAL (
            SELECT starts FROM long_window AS hour
            WHERE hour.model_id = wanted.model_id AND hours = 1 AND starts > :remembered
                AND hour.version_id = wanted.version_id AND NOT hour.shadow AND n > 0
            ORDER BY starts DESC LIMIT 1
        ) AS newest
        CROSS JOIN LATERAL (
            SELECT minute FROM minute_window AS part
            WHERE part.model_id = wanted.model_id AND minute >= starts
                AND part.version_id = wanted.version_id AND NOT part.shadow AND n > 0
            ORDER BY minute DESC LIMIT 1
        ) AS last
        WHERE last.minute <= :since
    )
    SELECT model_id, version_id, minute AS last_at, (
            SELECT min(starts) FROM long_window AS hour
            WHERE hour.model_id = silent.model_id AND hours = 1 AND starts > :remembered
                AND hour.version_id = silent.version_id AND NOT hour.shadow AND n > 0
        ) AS first_at, (
            SELECT sum(n)::bigint FROM long_window AS hour
            WHERE hour.model_id = silent.model_id AND hours = 1
                AND starts > minute - '1 day'::interval
                AND hour.version_id = silent.version_id AND NOT hour.shadow
        ) AS day, (
            SELECT coalesce(sum(n), 0)::bigint FROM minute_window AS part
            WHERE part.model_id = silent.model_id AND part.version_id = silent.version_id
                AND NOT part.shadow
                AND part.minute > usual_at - '30 minutes'::interval
                AND part.minute <= usual_at + '30 minutes'::interval
        ) AS usual, usual_at
    FROM silent, LATERAL (
        SELECT asked - '1 day'::interval
            * ceil(extract(epoch FROM asked - minute + '30 minutes'::interval) / 86400) AS usual_at
        FROM (SELECT CAST(:now AS timestamptz) AS asked) AS moment
    ) AS before
    """
)


async def pauses(
    session: AsyncSession,
    keys: Collection[tuple[int, int]],
    *,
    since: datetime,
    now: datetime,
) -> list[Pause]:
    """Of these versions, a key being a model's id and a version's, those that had traffic in the
    last month and have had none since then."""
    if not keys:
        return []
    models, versions = zip(*keys, strict=True)
    rows = await session.execute(
        _SILENT,
        {
            "models": models,
            "versions": versions,
            "since": since,
            "remembered": now - REMEMBERED,
            "now": now,
        },
    )
    return [Pause(**row) for row in rows.mappings()]
