"""How far a mean goes up and down by itself: the waves in which measurements come.

All requests of a version may be slow together for some minutes, whoever asks. A difference that
will pass then looks like one that will stay, and no number of requests tells one from the other:
within a minute the wave is the same for all of them. What tells is the past: how far the mean over
t minutes was from those half an hour before and after it, in a version that is known to be sound.

Of three such means a, b, c the second difference a - 2b + c has six times the variance of one,
where they do not depend on each other. A trend takes no part in it, and the bow of a day's cycle
next to none. What chance alone explains, the variance of single values over their number, is taken
off. The scale is that below which four of five differences lie, as if they were normal, so that a
bad hour of the days before does not make the judge blind to harm today. Differences that overlap
are counted as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Final

from turnout.stats.arguments import BadArgument, require_nonnegative

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Minutes over which means are taken.
SCALES: Final = (1, 2, 4, 8, 16, 32)

#: Between the beginnings of two means that are compared: their waves are not the same any more.
APART: Final = 32

#: Without so many comparisons of every scale nothing is said: four hours without a gap suffice.
_FEWEST: Final = 120

_FEWEST_STEPS: Final = 20

_MOST: Final = 0.8
_SQUARED: Final = 1.6424
"""What the square of a standard normal variable stays below in `_MOST` cases."""

_UNSURE: Final = 5.0
"""A scale that is known from ν cases asks for quantiles of Student's t. Where z is 3, as at most
looks, their square is 1 + (z² + 1)/2ν times as large (Cornish & Fisher 1938, the first term)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How many values each of consecutive minutes had and what they add up to, zeros where there
    was none; and the variance of a single value."""

    n: Sequence[float]
    x: Sequence[float]
    variance: float

    def __post_init__(self) -> None:
        if len(self.n) != len(self.x):
            raise BadArgument("x", f"has {len(self.x)} minutes, where n has {len(self.n)}")
        require_nonnegative(variance=self.variance)

    def where(self, other: Past) -> Past:
        """Only the minutes in which another one has values, too."""
        both = [min(mine, theirs) > 0 for mine, theirs in zip(self.n, other.n, strict=True)]
        return Past(
            n=[n if kept else 0.0 for n, kept in zip(self.n, both, strict=True)],
            x=[x if kept else 0.0 for x, kept in zip(self.x, both, strict=True)],
            variance=self.variance,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waves:
    """Of a mean over each of `SCALES`, the variance that its waves add to that of chance."""

    variances: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.variances) != len(SCALES):
            raise BadArgument("variances", f"are {len(SCALES)}, not {len(self.variances)}")
        for variance in self.variances:
            require_nonnegative(variances=variance)

    @classmethod
    def alone(cls, past: Past) -> Waves | None:
        """Those of one mean; None where its past says too little."""
        return cls._of([past])

    @classmethod
    def apart(cls, past: Past, beside: Past | None) -> Waves | None:
        """Those of the difference to another mean at the same time: what the two share takes no
        part in it. At most those of two that share nothing and are as the first.

        Two that have not been side by side for four hours are taken to share at all scales what
        they share from one minute to the next; and nothing, before that can be told.
        """
        alone = cls._of([past])
        if alone is None:
            return None
        most = tuple(2 * variance for variance in alone.variances)
        if beside is None:
            return cls(variances=most)
        both = [past.where(beside), beside.where(past)]
        found = cls._of(both)
        if found is None:
            own = _of_their_own(both, past)
            return cls(variances=tuple(own * variance for variance in most))
        return cls(variances=tuple(map(min, found.variances, most)))

    @classmethod
    def _of(cls, pasts: Sequence[Past]) -> Waves | None:
        sides = _sides(pasts)
        found = [_beyond_chance(sides, minutes) for minutes in SCALES]
        known = tuple(one for one in found if one is not None)
        return cls(variances=known) if len(known) == len(SCALES) else None

    def over(self, seconds: float) -> float:
        """What waves add to the variance of a mean over so long; it falls with time at last."""
        minutes = seconds / 60
        if minutes >= SCALES[-1]:
            return self.variances[-1] * SCALES[-1] / minutes
        known = zip(SCALES, self.variances, strict=True)
        for (shorter, before), (longer, after) in pairwise(known):
            if minutes < longer:
                part = max(0.0, minutes - shorter) / (longer - shorter)
                return before + part * (after - before)
        raise AssertionError("some scale is longer")


@dataclass(frozen=True, slots=True)
class _Side:
    """Numbers and sums of values up to each minute."""

    counts: Sequence[float]
    sums: Sequence[float]
    variance: float


def _sides(pasts: Sequence[Past]) -> list[_Side]:
    return [
        _Side([0.0, *accumulate(one.n)], [0.0, *accumulate(one.x)], one.variance) for one in pasts
    ]


def _of_their_own(both: Sequence[Past], past: Past) -> float:
    """Of the waves that two would have without sharing any, at most the part that they do have.

    By the squares of steps from minute to minute, and two standard errors above.
    """
    squares, chances = _steps(both)
    if len(squares) < _FEWEST_STEPS:
        return 1.0
    alone, by_chance = _steps([past])
    if not (without := 2 * (fmean(alone) - fmean(by_chance))) > 0:
        return 1.0
    beyond = max(0.0, fmean(squares) - fmean(chances))
    # Steps that follow each other have a correlation of -½: hence 3/k, where it would be 2/k.
    error = fmean(squares) * math.sqrt(3 / len(squares))
    return min(1.0, (beyond + 2 * error) / without)


def _steps(pasts: Sequence[Past]) -> tuple[list[float], list[float]]:
    """Squared steps from each minute to the next, and what they would be by chance."""
    squares, chances = [], []
    for before, after in pairwise(_means(_sides(pasts), 1)):
        if before and after:
            squares.append((after[0] - before[0]) ** 2)
            chances.append(before[1] + after[1])
    return squares, chances


def _beyond_chance(sides: Sequence[_Side], minutes: int) -> float | None:
    """The variance of a mean over so many minutes, or of a difference, less that of chance."""
    means = _means(sides, minutes)
    excesses = []
    for before, here, after in zip(means, means[APART:], means[2 * APART :], strict=False):
        if before and here and after:
            bow = before[0] - 2 * here[0] + after[0]
            chance = before[1] + 4 * here[1] + after[1]
            excesses.append((bow**2 / _SQUARED - chance) / 6)
    if len(excesses) < _FEWEST:
        return None
    scale = sorted(excesses)[int(_MOST * len(excesses))]
    return max(0.0, scale * (1 + _UNSURE * APART / len(excesses)))


def _means(sides: Sequence[_Side], minutes: int) -> list[tuple[float, float] | None]:
    """From every minute on: the mean, less that of the other side, and its variance by chance.

    None where a side has no value.
    """
    means: list[tuple[float, float] | None] = []
    for first in range(len(sides[0].counts) - minutes):
        value = chance = 0.0
        for side in sides:
            count = side.counts[first + minutes] - side.counts[first]
            if count <= 0:
                means.append(None)
                break
            value = (side.sums[first + minutes] - side.sums[first]) / count - value
            chance += side.variance / count
        else:
            means.append((value, chance))
    return means
