"""Does a figure rise or fall over time? A weighted straight line, with an honest interval.

Each point is weighed by how many events it rests on. The spread is that of the points about the
line, not of the events within them: figures of one hour move together for reasons that no count
of events shows, so an interval from counts alone would find a trend in every wave of the day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from turnout.stats.arguments import require_between, require_finite, require_nonnegative

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A line through two points fits always, and one through three nearly always.
FEWEST = 4

#: A change over all points of less than this part of a value is what rounding makes of none.
ROUNDING = 1e-9

Direction = Literal["rising", "falling", "unclear"]


@dataclass(frozen=True, slots=True)
class Point:
    at: float
    value: float
    weight: float

    def __post_init__(self) -> None:
        require_finite(at=self.at, value=self.value)
        require_nonnegative(weight=self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Change per unit of time; `unclear` where the interval has 0 in it, or cannot be had."""

    slope: float | None
    low: float | None
    high: float | None
    points: int

    @property
    def direction(self) -> Direction:
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "unclear"
        return "rising" if self.low > 0 else "falling"


def trend(points: Sequence[Point], *, confidence: float = 0.95) -> Trend:
    # Serving requests must not wait for scipy to load.
    from turnout.stats.tails import critical_value  # noqa: PLC0415

    require_between(0, 1, confidence=confidence)
    known = [point for point in points if point.weight > 0]
    weight = math.fsum(point.weight for point in known)
    if len({point.at for point in known}) < FEWEST:
        return Trend(slope=None, low=None, high=None, points=len(known))
    at = math.fsum(point.weight * point.at for point in known) / weight
    value = math.fsum(point.weight * point.value for point in known) / weight
    spread = math.fsum(point.weight * (point.at - at) ** 2 for point in known)
    slope = (
        math.fsum(point.weight * (point.at - at) * (point.value - value) for point in known)
        / spread
    )
    reached = max(abs(point.value) for point in known)
    if abs(slope) * (max(point.at for point in known) - min(point.at for point in known)) <= (
        ROUNDING * reached
    ):
        return Trend(slope=0.0, low=0.0, high=0.0, points=len(known))
    residuals = math.fsum(
        point.weight * (point.value - value - slope * (point.at - at)) ** 2 for point in known
    )
    df = len(known) - 2
    reach = critical_value(confidence, "two-sided", df) * math.sqrt(residuals / df / spread)
    return Trend(slope=slope, low=slope - reach, high=slope + reach, points=len(known))
