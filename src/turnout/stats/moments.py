"""Sufficient statistics over units: all that a comparison needs, and two of them add.

Means with squared deviations, merged by Chan, Golub & LeVeque (American Statistician 1983), and
never sums of squares, which lose every digit where the mean is large beside the spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from turnout.stats.arguments import BadArgument, require_finite, require_nonnegative

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Squared deviations of values that are all the same come to this much by rounding, relative to
#: n·mean²; less is no spread at all.
_ROUNDING = (8 * 2.0**-52) ** 2

#: Slack of an inequality between statistics that were merged in another order.
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Moments:
    """n values with their mean and m2, the sum of squared deviations from it."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def __post_init__(self) -> None:
        require_nonnegative(n=self.n, m2=self.m2)
        require_finite(mean=self.mean)
        if self.n <= 1 and self.m2 > 0:
            raise BadArgument("m2", f"must be 0 for {self.n} values, but is {self.m2}")

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        known = [float(value) for value in values]
        if not known:
            return cls()
        if not all(map(math.isfinite, known)):
            raise BadArgument("values", "must all be finite numbers")
        mean = math.fsum(known) / len(known)
        deviations = [value - mean for value in known]
        # The mean is rounded, so the deviations do not quite sum to 0 (Björck's correction).
        residue = math.fsum(deviations) ** 2 / len(known)
        m2 = math.fsum(deviation * deviation for deviation in deviations) - residue
        return cls(len(known), mean, max(0.0, m2) if len(known) > 1 else 0.0)

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if n == 0:
            return self
        step = other.mean - self.mean
        return Moments(
            n,
            self.mean + step * (other.n / n),
            self.m2 + other.m2 + step * step * (self.n * other.n / n),
        )

    @property
    def variance(self) -> float:
        """Of the population, estimated with n - 1; 0 where the spread is mere rounding."""
        if self.n < 2:
            raise BadArgument("n", f"must be at least 2 for a variance, but is {self.n}")
        if self.m2 <= self.n * self.mean**2 * _ROUNDING:
            return 0.0
        return self.m2 / (self.n - 1)


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of n units succeeded."""

    n: int
    successes: int

    def __post_init__(self) -> None:
        require_nonnegative(n=self.n, successes=self.successes)
        if self.successes > self.n:
            raise BadArgument("successes", f"are {self.successes}, more than n = {self.n}")

    def __add__(self, other: Proportion) -> Proportion:
        return Proportion(self.n + other.n, self.successes + other.successes)

    @property
    def rate(self) -> float:
        if self.n == 0:
            raise BadArgument("n", "must be at least 1 for a rate, but is 0")
        return self.successes / self.n


@dataclass(frozen=True, slots=True)
class RatioMoments:
    """Two values per unit, of which the ratio of sums matters: clicks by page views of a user.

    `cross` is Σ(y - ȳ)(x - x̄) over units, with y the numerator.
    """

    numerator: Moments
    denominator: Moments
    cross: float

    def __post_init__(self) -> None:
        _require_pairs("denominator", self.numerator, self.denominator, self.cross)

    @classmethod
    def of(cls, numerators: Iterable[float], denominators: Iterable[float]) -> RatioMoments:
        return cls(*_paired(numerators, denominators))

    def __add__(self, other: RatioMoments) -> RatioMoments:
        return RatioMoments(
            self.numerator + other.numerator,
            self.denominator + other.denominator,
            _merged_cross(
                (self.numerator, self.denominator, self.cross),
                (other.numerator, other.denominator, other.cross),
            ),
        )


@dataclass(frozen=True, slots=True)
class AdjustedMoments:
    """The outcome of each unit (`post`) beside the same before the experiment (`pre`).

    `cross` is Σ(post - mean)(pre - mean) over units. Of what the past explains, an adjusted
    comparison is free (CUPED; Deng, Xu, Kohavi & Walker 2013).
    """

    post: Moments
    pre: Moments
    cross: float

    def __post_init__(self) -> None:
        _require_pairs("pre", self.post, self.pre, self.cross)

    @classmethod
    def of(cls, post: Iterable[float], pre: Iterable[float]) -> AdjustedMoments:
        return cls(*_paired(post, pre))

    def __add__(self, other: AdjustedMoments) -> AdjustedMoments:
        return AdjustedMoments(
            self.post + other.post,
            self.pre + other.pre,
            _merged_cross((self.post, self.pre, self.cross), (other.post, other.pre, other.cross)),
        )


def _require_pairs(argument: str, one: Moments, other: Moments, cross: float) -> None:
    require_finite(cross=cross)
    if one.n != other.n:
        raise BadArgument(argument, f"has {other.n} units where the other side has {one.n}")
    if cross**2 > one.m2 * other.m2 * (1 + _SLACK):
        raise BadArgument("cross", f"is {cross:g}, more than the two spreads allow")


def _paired(ys: Iterable[float], xs: Iterable[float]) -> tuple[Moments, Moments, float]:
    pairs = [(float(y), float(x)) for y, x in zip(ys, xs, strict=True)]
    y, x = Moments.of(y for y, _ in pairs), Moments.of(x for _, x in pairs)
    cross = math.fsum((a - y.mean) * (b - x.mean) for a, b in pairs)
    bound = math.sqrt(y.m2) * math.sqrt(x.m2)
    return y, x, max(-bound, min(bound, cross))


_Pairs = tuple[Moments, Moments, float]


def _merged_cross(one: _Pairs, other: _Pairs) -> float:
    n = one[0].n + other[0].n
    if n == 0:
        return 0.0
    steps = (other[0].mean - one[0].mean) * (other[1].mean - one[1].mean)
    return one[2] + other[2] + steps * (one[0].n * other[0].n / n)
