"""What versions did interval by interval."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations import window_sql
from turnout.observations.domain.cover import cover, widest_within
from turnout.observations.domain.figures import Figures
from turnout.observations.queries import figures

_SKETCHED: Final = text(window_sql.sums("version_id, bin", bins=True))
_PLAIN: Final = text(window_sql.plain_sums("version_id, bin", bins=True))


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
    sketched: bool = True,
) -> list[IntervalFigures]:
    """By version and in order of time; intervals in which nothing was seen are left out.

    `sketched` is whether the distributions of latencies are wanted, which cost the most.
    """
    span = asdict(cover(since, until, widest=widest_within(since, every)))
    found = await session.execute(
        _SKETCHED if sketched else _PLAIN,
        {"model_id": model_id, "version_id": version_id, "every": every, **span},
    )
    return [
        IntervalFigures(version_id=row.version_id, starts=row.bin, figures=figures(row))
        for row in found
    ]
