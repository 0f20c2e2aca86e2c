"""Views of how versions did over time, and against each other."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from turnout.observations.domain.comparing import Contest
from turnout.observations.domain.figures import Figures, VersionFigures
from turnout.observations.domain.metric import KNOWN, Direction
from turnout.observations.points import IntervalFigures
from turnout.observations.schemas import VersionPerformance, version_performance
from turnout.stats.trend import Point, Trend, trend

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    starts: datetime
    performance: VersionPerformance


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    model: str
    interval: timedelta
    points: Sequence[HistoryPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendView:
    """`slope` is the change per hour, in the unit of the metric, and lies between `low` and
    `high`; over so many `points`."""

    version: str
    metric: str
    direction: Literal["rising", "falling", "unclear"]
    assessment: Literal["improving", "worsening", "unclear"]
    slope: float | None
    low: float | None
    high: float | None
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    model: str
    hours: int
    trends: Sequence[TrendView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`best` is null unless one version is shown to be better than every other."""

    model: str
    metric: str
    improves_by: Direction
    best: str | None
    recommendation: str
    contests: Sequence[Contest]


def history_view(
    model: str, interval: timedelta, seen: Sequence[IntervalFigures], names: Mapping[int, str]
) -> History:
    return History(
        model=model,
        interval=interval,
        points=[
            HistoryPoint(
                starts=one.starts,
                performance=version_performance(
                    VersionFigures(
                        version_id=one.version_id, shadow=False, figures=one.figures, classes={}
                    ),
                    names[one.version_id],
                ),
            )
            for one in seen
            if one.version_id in names
        ],
    )


def trends_view(
    model: str,
    hours: int,
    seen: Sequence[IntervalFigures],
    names: Mapping[int, str],
) -> Trends:
    found = []
    for version_id, group in itertools.groupby(seen, key=lambda one: one.version_id):
        if version_id not in names:
            continue
        of_version = list(group)
        for metric in KNOWN:
            course = [
                Point((one.starts - of_version[0].starts) / HOUR, value, n)
                for one in of_version
                for value, n in [_figure(metric, one.figures)]
                if value is not None
            ]
            if course and metric != "success_rate":
                found.append(_trend_view(names[version_id], metric, trend(course)))
    return Trends(model=model, hours=hours, trends=found)


def _figure(metric: str, figures: Figures) -> tuple[float | None, int]:
    known = {
        "error_rate": (figures.error_rate, figures.predictions),
        "accuracy": (figures.accuracy, figures.labelled),
        "latency_mean": (figures.latency.value, figures.latency.n),
        "confidence": (figures.confidence.value, figures.confidence.n),
        "cost": (figures.cost.value, figures.cost.n),
    }
    return known.get(metric, (None, 0))


def _trend_view(version: str, metric: str, found: Trend) -> TrendView:
    improves = {"increase": "rising", "decrease": "falling"}[KNOWN[metric]]
    assessment: Literal["improving", "worsening", "unclear"] = "unclear"
    if found.direction != "unclear":
        assessment = "improving" if found.direction == improves else "worsening"
    return TrendView(
        version=version,
        metric=metric,
        direction=found.direction,
        assessment=assessment,
        slope=found.slope,
        low=found.low,
        high=found.high,
        points=found.points,
    )


def recommendation(metric: str, best: str | None, contests: Sequence[Contest]) -> str:
    if best is not None:
        return f"{best} does best in {metric}: confirm it by an experiment, or roll it out"
    shown = [contest.reason for contest in contests if contest.better is not None]
    if shown:
        return f"no version is shown to be better than all others: {'; '.join(shown)}"
    return f"nothing is shown by {metric}, so there is no reason to change: {contests[0].reason}"
