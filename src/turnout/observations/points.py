"""What versions did interval by interval."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.figures import Figures
from turnout.observations.queries import OF_VERSION, figures, sums

_POINTS: Final = text(
    sums(
        "version_id, starts",
        f"NOT shadow AND {OF_VERSION}",
        more=", date_bin(:every, minute, :since) AS starts",
    )
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
