"""Was the latest hour unlike those before it? For people to look at: nothing follows from it.

At two standard deviations about one figure in twenty-two is unusual by chance, so the report says
how many were looked at, and how many of them chance makes unusual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Final

from turnout.observations.domain.figures import Figures
from turnout.stats.deviation import deviation

HOURS: Final = 48
FEWEST_HOURS: Final = 12
FEWEST: Final = 30
"""Predictions, or labels, that an hour needs to have a rate or a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A figure of the latest hour, and the mean of the hours before it."""

    version: str
    metric: str
    value: float
    usual: float
    deviations: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """Of `looked_at` figures, chance makes about `by_chance` unusual. `hour` is when the hour that
    was looked at began."""

    sensitivity: float
    hour: datetime | None
    looked_at: int
    by_chance: float
    found: Sequence[Anomaly]


_FIGURES: Final[Mapping[str, Callable[[Figures], tuple[float | None, int]]]] = {
    "error_rate": lambda one: (one.error_rate, one.predictions),
    "accuracy": lambda one: (one.accuracy, one.labelled),
    "latency_mean": lambda one: (one.latency.value, one.latency.n),
    "confidence": lambda one: (one.confidence.value, one.confidence.n),
}


def anomalies(
    hours: Mapping[str, Mapping[datetime, Figures]], hour: datetime, *, sensitivity: float
) -> Anomalies:
    """By version and hour; those before `hour` say what is usual."""
    looked_at, found = 0, []
    for version, figures in hours.items():
        for metric, read in _FIGURES.items():
            known = {at: _enough(*read(one)) for at, one in figures.items()}
            value = known.pop(hour, None)
            earlier = [one for at, one in sorted(known.items()) if one is not None and at < hour]
            if value is None or len(earlier) < FEWEST_HOURS:
                continue
            looked_at += 1
            distance = deviation(value, earlier)
            if distance is not None and abs(distance) > sensitivity:
                found.append(_anomaly(version, metric, value, earlier, distance))
    return Anomalies(
        sensitivity=sensitivity,
        hour=hour if looked_at else None,
        looked_at=looked_at,
        by_chance=looked_at * 2 * NormalDist().cdf(-sensitivity),
        found=sorted(found, key=lambda one: -abs(one.deviations)),
    )


def _enough(value: float | None, n: int) -> float | None:
    return value if n >= FEWEST else None


def _anomaly(
    version: str, metric: str, value: float, earlier: Sequence[float], distance: float
) -> Anomaly:
    usual = sum(earlier) / len(earlier)
    side = "above" if distance > 0 else "below"
    # JSON has no infinity: figures that never changed before are as far off as can be said.
    far = max(-99.0, min(99.0, distance))
    return Anomaly(
        version=version,
        metric=metric,
        value=value,
        usual=usual,
        deviations=far,
        summary=f"{version}: {metric} {value:.4g}, {abs(far):.1f} standard deviations {side} the"
        f" {usual:.4g} of the {len(earlier)} hours before",
    )
