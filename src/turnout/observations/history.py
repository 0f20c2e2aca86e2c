"""What the past says to those who plan: how much comes in, how late, and how it varies.

Everything here reads a bounded number of rows, whatever the traffic was.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations import queries
from turnout.observations.domain.judging import recorded_as, totals
from turnout.observations.domain.pace import PACE_OF, LabelDelay, Pace
from turnout.stats.totals import UnitTotals
from turnout.traffic import queries as traffic
from turnout.traffic.domain.terms import longest_in_force

DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)

MOST_UNITS: Final = 200_000
MOST_OUTCOMES: Final = 20_000
MOST_SPLITS: Final = 20

_WEEK: Final = text(
    """
    SELECT min(minute) AS first, sum(n)::bigint AS n FROM minute_window
    WHERE model_id = :model_id AND minute >= :since AND minute < :until AND n > 0 AND NOT shadow
    """
)

# In the order of their names, which says little about when units come.
_ACTIVE: Final = text(
    """
    SELECT count(*) AS known, count(*) FILTER (WHERE last_at >= :since) AS active
    FROM (
        SELECT split_id, shadow, last_at FROM unit_total WHERE model_id = :model_id
        ORDER BY unit LIMIT :most
    ) AS sample
    WHERE split_id = :split_id AND NOT shadow
    """
)

# The latest to arrive, of whatever metric, so that a rare one costs no more.
_DELAY: Final = text(
    """
    SELECT percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY greatest(delay, 0)) AS seconds
    FROM (
        SELECT metric, extract(epoch FROM at - answered_at)::float8 AS delay FROM outcome
        WHERE model_id = :model_id ORDER BY batch_seq DESC LIMIT :most
    ) AS latest
    WHERE metric = :metric
    """
)

_LATEST: Final = text(
    """
    SELECT units, n, n2, x, x2, xn, pivot
    FROM (
        SELECT split_id FROM arm
        WHERE model_id = :model_id AND version_id = :version_id AND split_id <> 0
        ORDER BY split_id DESC LIMIT :most
    ) AS latest JOIN arm_total USING (split_id)
    WHERE model_id = :model_id AND version_id = :version_id AND metric = :metric
    """
)


async def pace(session: AsyncSession, model_id: int, *, now: datetime) -> Pace | None:
    """How many units and predictions a day a model has had of late; None without any."""
    span = {"model_id": model_id, "since": now - PACE_OF, "until": now}
    week = (await session.execute(_WEEK, span)).one()
    if week.first is None:
        return None
    since = max(now - PACE_OF, week.first)
    over = max(now - since, MINUTE)
    predictions = week.n / (over / DAY)
    units = await _units_per_day(session, model_id, since=since, now=now)
    return Pace(
        units_per_day=predictions if units is None else min(units, predictions),
        predictions_per_day=predictions,
        measured_over=over,
    )


async def _units_per_day(
    session: AsyncSession, model_id: int, *, since: datetime, now: datetime
) -> float | None:
    """Of the split that was longest in force: every split counts its units anew.

    None where no split has units with a name.
    """
    splits = await traffic.splits_since(session, model_id, since)
    longest = longest_in_force(splits, since=since, until=now)
    if longest is None:
        return None
    split, lasted = longest
    arms = (await queries.evidence(session, [(model_id, split.id)])).get(split.id, {})
    units = sum(totals("error_rate", arms.get(arm.version_id)).units for arm in split.serving)
    share = 1.0
    if split.created_at < since:
        sample = {"model_id": model_id, "split_id": split.id, "since": since, "most": MOST_UNITS}
        found = (await session.execute(_ACTIVE, sample)).one()
        if not found.known:
            return None
        share = found.active / found.known
    return units * share / (max(lasted, MINUTE) / DAY)


async def label_delay(session: AsyncSession, model_id: int, metric: str) -> LabelDelay | None:
    """How long outcomes of a metric take, by the latest to arrive; None without any."""
    asked = {"model_id": model_id, "metric": metric, "most": MOST_OUTCOMES}
    seconds = await session.scalar(_DELAY, asked)
    if seconds is None:
        return None
    median, p90 = (timedelta(seconds=found) for found in seconds)
    return LabelDelay(median=median, p90=p90)


async def recent_totals(
    session: AsyncSession, model_id: int, version_id: int, metric: str
) -> UnitTotals:
    """What a version adds up to over its latest splits: a rate and a variance to plan by.

    The same splits whatever the metric, so that one can be held against the other.
    """
    found = await session.execute(
        _LATEST,
        {
            "model_id": model_id,
            "version_id": version_id,
            "metric": recorded_as(metric),
            "most": MOST_SPLITS,
        },
    )
    recorded = sum((UnitTotals(**row) for row in found.mappings()), start=UnitTotals())
    return recorded if recorded_as(metric) == metric else recorded.complement()
