"""How versions did over time, and against each other."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.errors import Unprocessable
from turnout.http import Now, Session
from turnout.observations import queries
from turnout.observations.domain.comparing import best, contests
from turnout.observations.domain.cover import DAY, EPOCH, HOUR, MINUTE, floor, widest_within
from turnout.observations.domain.figures import LONGEST_WINDOW, WindowTooLong
from turnout.observations.domain.metric import Direction, Metric
from turnout.observations.performance_views import (
    Comparison,
    History,
    Trends,
    history_view,
    recommendation,
    trends_view,
)
from turnout.observations.points import IntervalFigures, points
from turnout.problems import problems
from turnout.quantities import Duration, Line
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.traffic import queries as traffic

router = http.router("observations")

MOST_POINTS = 500
MOST_VERSIONS = 10
MOST_SPLITS = 50

Named = Annotated[str, Path(examples=["fraud-detection"])]
OnlyVersion = Annotated[str | None, Query(description="Only this version")]


@router.get(
    "/models/{model}/performance/history",
    summary="How did each version do, interval by interval?",
    responses=problems(ModelNotFound, VersionNotFound),
)
async def show_performance_history(
    model: Named,
    session: Session,
    now: Now,
    *,
    window: Annotated[Duration, Query(description="How far back, at most 7 days")] = DAY,
    interval: Annotated[Duration, Query(description="Of one point, in whole minutes")] = HOUR,
    version: OnlyVersion = None,
) -> History:
    """Figures per version and interval, oldest first. The last interval is still going on;
    intervals in which nothing was seen are left out. Intervals of whole hours begin at the full
    hour, and those of whole days at midnight, in UTC."""
    _check(window, interval)
    found = await registry.model(session, model)
    seen = await _seen(session, found.id, version, now, window=window, interval=interval)
    return history_view(found.name, interval, seen, await _names(session, seen))


@router.get(
    "/models/{model}/performance/trends",
    summary="Does it get better or worse?",
    responses=problems(ModelNotFound, VersionNotFound),
)
async def show_performance_trends(
    model: Named,
    session: Session,
    now: Now,
    hours: Annotated[int, Query(ge=2, le=168, description="How far back")] = 24,
    version: OnlyVersion = None,
) -> Trends:
    """The direction of each figure over the last hours: `slope` per hour, in an interval of 95 %.

    `improving` or `worsening` only where the interval leaves no doubt; else `unclear`, which is
    what most figures are most of the time. The interval takes hours to vary by themselves; over
    less than a few days, a wave of the day looks like a trend.
    """
    found = await registry.model(session, model)
    window = hours * HOUR
    # Twelve points or more, also of few hours; whole hours where there are enough of them.
    interval = HOUR if hours >= 12 else 5 * hours * MINUTE
    seen = await _seen(
        session, found.id, version, now, window=window, interval=interval, sketched=False
    )
    return trends_view(found.name, hours, seen, await _names(session, seen))


@router.get(
    "/models/{model}/performance/comparison",
    summary="Which version does better?",
    responses=problems(ModelNotFound, VersionNotFound),
)
async def compare_performance(
    model: Named,
    session: Session,
    now: Now,
    *,
    versions: Annotated[str, Query(description="Two or more, separated by commas")],
    metric: Annotated[Line, Query(description="What they are compared by")] = "error_rate",
    direction: Annotated[
        Direction | None, Query(description="Which way a metric of your own improves")
    ] = None,
) -> Comparison:
    """Compares every pair by one metric, unit by unit, over the splits of the last 7 days in which
    both answered, with the interval of the difference and what follows from it in plain words.

    One look of 95 % over all pairs: fine to look at, not to decide by at a moment of your choice.
    To decide, start an experiment.
    """
    asked = _metric(metric, direction)
    found = await registry.model(session, model)
    # A plus sign that was not encoded arrives as a space, which no version has.
    parts = (part.strip().replace(" ", "+") for part in versions.split(","))
    named = list(dict.fromkeys(name for name in parts if name))
    ids: dict[int, str] = {}
    if len(named) <= MOST_VERSIONS:
        asked_for = [await registry.version(session, found.id, name) for name in named]
        ids = {one.id: one.version for one in asked_for}
    if len(ids) < 2:
        raise Unprocessable(
            f"versions names 2 to {MOST_VERSIONS} different versions, separated by commas, such as"
            f" 1.0.0,2.0.0",
            field="query.versions",
        )
    splits = await traffic.splits_since(session, found.id, now - LONGEST_WINDOW)
    keys = [(found.id, split.id) for split in splits[-MOST_SPLITS:]]
    shared = list((await queries.evidence(session, keys)).values())
    made = contests(asked, ids, shared)
    winner = best(ids, made)
    return Comparison(
        model=found.name,
        metric=asked.metric,
        improves_by=asked.improves_by,
        best=winner,
        recommendation=recommendation(asked.metric, winner, made),
        contests=made,
    )


def _metric(name: str, direction: Direction | None) -> Metric:
    try:
        return Metric(metric=name, direction=direction)
    except ValueError as error:
        raise Unprocessable(str(error), field="query.metric") from None


def _check(window: timedelta, interval: timedelta) -> None:
    if window > LONGEST_WINDOW:
        raise WindowTooLong
    if interval < MINUTE or interval % MINUTE or window / interval > MOST_POINTS:
        raise Unprocessable(
            f"interval is in whole minutes and makes at most {MOST_POINTS} points of the window,"
            f" such as 5m",
            field="query.interval",
        )


async def _seen(
    session: AsyncSession,
    model_id: int,
    version: str | None,
    now: datetime,
    *,
    window: timedelta,
    interval: timedelta,
    sketched: bool = True,
) -> list[IntervalFigures]:
    only = None if version is None else (await registry.version(session, model_id, version)).id
    whole = widest_within(EPOCH, interval)
    until = floor(now, whole) + whole
    return await points(
        session,
        model_id,
        since=until - -(-window // interval) * interval,
        until=until,
        every=interval,
        version_id=only,
        sketched=sketched,
    )


async def _names(session: AsyncSession, seen: list[IntervalFigures]) -> Mapping[int, str]:
    found = await registry.versions_by_id(session, {one.version_id for one in seen})
    return {version_id: one.version for version_id, one in found.items()}
