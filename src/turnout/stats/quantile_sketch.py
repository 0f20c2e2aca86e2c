"""A mergeable sketch of a distribution, with quantiles within 1 % of the true value.

DDSketch (Masson, Rim & Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019): bucket i counts the values in (γ^(i-1), γ^i]. The bounds
of the buckets are the same everywhere, so sketches of any parts add up to the sketch of the
whole, and a database can count buckets by itself.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from turnout.stats.arguments import BadArgument, require_nonnegative

if TYPE_CHECKING:
    from collections.abc import Iterable

RELATIVE_ACCURACY = 0.01
GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
LOG_GAMMA = math.log(GAMMA)

#: Values up to this share the lowest bucket and are reported as 0.
FLOOR = 1e-6

#: The same bucket in PostgreSQL, of the expression put in for {value}.
BUCKET_SQL = f"ceil(ln(greatest(({{value}})::float8, {FLOOR!r})) / {LOG_GAMMA!r})::int"


def bucket(value: float) -> int:
    require_nonnegative(value=value)
    return math.ceil(math.log(max(value, FLOOR)) / LOG_GAMMA)


_LOWEST = math.ceil(math.log(FLOOR) / LOG_GAMMA)


@dataclass(frozen=True, slots=True)
class QuantileSketch:
    """Counts by bucket, in order of the bucket: the form it is stored in."""

    counts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, values: Iterable[float]) -> QuantileSketch:
        return cls.from_counts(Counter(bucket(value) for value in values).items())

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[int, int]]) -> QuantileSketch:
        """From rows of (bucket, count), in any order; counts of one bucket add."""
        total: Counter[int] = Counter()
        for index, count in counts:
            if count < 0:
                raise BadArgument("counts", f"must not be negative, but bucket {index} has {count}")
            total[index] += count
        return cls(tuple(sorted((index, count) for index, count in total.items() if count)))

    def __add__(self, other: QuantileSketch) -> QuantileSketch:
        return QuantileSketch.from_counts((*self.counts, *other.counts))

    @property
    def count(self) -> int:
        return sum(count for _, count in self.counts)

    def quantile(self, q: float) -> float | None:
        """The value of rank ⌊q(n - 1)⌋ from 0, within 1 %; None without values."""
        if not 0 <= q <= 1:
            raise BadArgument("q", f"must lie between 0 and 1, not {q}")
        if not self.counts:
            return None
        up_to = list(accumulate(count for _, count in self.counts))
        rank = math.floor(q * (up_to[-1] - 1))
        index, _ = self.counts[bisect_left(up_to, rank + 1)]
        return _reported(index)

    @property
    def variance(self) -> float:
        """Of the values, each taken as its bucket reports it; 0 without any."""
        count = self.count
        if not count:
            return 0.0
        values = [(_reported(index), here) for index, here in self.counts]
        mean = math.fsum(value * here for value, here in values) / count
        return math.fsum((value - mean) ** 2 * here for value, here in values) / count

    def count_above(self, value: float) -> int:
        """How many values certainly exceed this one: those of its own bucket may or may not."""
        own = bucket(value)
        return sum(count for index, count in self.counts if index > own)

    def exceeded_by(self, count: int) -> float:
        """The greatest bucket edge that at least `count` values exceed; 0 if fewer do."""
        above = 0
        for index, here in reversed(self.counts):
            above += here
            if above >= count:
                return 0.0 if index <= _LOWEST else GAMMA ** (index - 1)
        return 0.0

    def exceeded_by_at_most(self, count: int) -> float:
        """The least bucket edge that at most `count` values exceed."""
        above = 0
        for index, here in reversed(self.counts):
            above += here
            if above > count:
                return FLOOR if index <= _LOWEST else GAMMA**index
        return 0.0


def _reported(index: int) -> float:
    """The value that stands for a bucket, within 1 % of all in it."""
    return 0.0 if index <= _LOWEST else 2 * GAMMA**index / (GAMMA + 1)
