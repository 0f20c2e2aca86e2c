"""How much of the error rate may be spent by a fraction of the information.

`alpha` is the level of one side; a two-sided test is two one-sided ones at half its level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from scipy import special

from turnout.stats.arguments import BadArgument, require_finite, require_nonnegative


class Spending(Protocol):
    def spent(self, fraction: float, alpha: float) -> float:
        """Cumulative, from 0 at no information to alpha at all of it, and alpha beyond."""
        ...


@dataclass(frozen=True, slots=True)
class HwangShihDeCani:
    """Hwang, Shih & DeCani 1990: late for gamma < 0, linear at 0, early above."""

    gamma: float

    def __post_init__(self) -> None:
        require_finite(gamma=self.gamma)

    def spent(self, fraction: float, alpha: float) -> float:
        t = _clipped(fraction)
        if self.gamma == 0:
            return alpha * t
        return alpha * math.expm1(-self.gamma * t) / math.expm1(-self.gamma)


@dataclass(frozen=True, slots=True)
class LanDeMetsOBrienFleming:
    """Lan & DeMets 1983: nearly nothing early, in the manner of O'Brien and Fleming."""

    def spent(self, fraction: float, alpha: float) -> float:
        t = _clipped(fraction)
        if t == 0:
            return 0.0
        return 2 * float(special.ndtr(special.ndtri(alpha / 2) / math.sqrt(t)))


@dataclass(frozen=True, slots=True)
class LanDeMetsPocock:
    """Lan & DeMets 1983: about the same bound at every look."""

    def spent(self, fraction: float, alpha: float) -> float:
        return alpha * math.log1p(math.expm1(1) * _clipped(fraction))


@dataclass(frozen=True, slots=True)
class KimDeMets:
    """Kim & DeMets 1987: a power of the fraction."""

    rho: float

    def __post_init__(self) -> None:
        require_nonnegative(rho=self.rho)
        if self.rho == 0:
            raise BadArgument("rho", "must be above 0, or all is spent at once")

    def spent(self, fraction: float, alpha: float) -> float:
        return alpha * math.pow(_clipped(fraction), self.rho)


@dataclass(frozen=True, slots=True)
class UserSpending:
    """A schedule of one's own, linear between its points.

    `cumulative` may be on any scale: shares of the level, or the level itself. Its last entry is
    all of it.
    """

    fractions: tuple[float, ...]
    cumulative: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.fractions or len(self.fractions) != len(self.cumulative):
            raise BadArgument("cumulative", "must have one entry for every fraction, at least one")
        for argument, series in (("fractions", self.fractions), ("cumulative", self.cumulative)):
            rising = all(a <= b for a, b in pairwise(series))
            if not all(map(math.isfinite, series)) or series[0] < 0 or not rising:
                raise BadArgument(argument, "must be finite, not negative, and never fall")
        if self.cumulative[-1] == 0:
            raise BadArgument("cumulative", "must end above 0")

    def spent(self, fraction: float, alpha: float) -> float:
        t = _clipped(fraction)
        if t >= self.fractions[-1]:
            return alpha
        points = [(0.0, 0.0), *zip(self.fractions, self.cumulative, strict=True)]
        after = next(index for index, (x, _) in enumerate(points) if x > t)
        (x0, y0), (x1, y1) = points[after - 1], points[after]
        return alpha * (y0 + (y1 - y0) * (t - x0) / (x1 - x0)) / self.cumulative[-1]


@dataclass(frozen=True, slots=True)
class Deferred:
    """Another schedule of which nothing is spent before a fraction; there, all that is due."""

    schedule: Spending
    until: float

    def spent(self, fraction: float, alpha: float) -> float:
        return self.schedule.spent(fraction, alpha) if fraction >= self.until else 0.0


def _clipped(fraction: float) -> float:
    require_nonnegative(fraction=fraction)
    return min(1.0, fraction)
