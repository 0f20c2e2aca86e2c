"""The scene of the comparison: two arms of users who convert or do not, looked at again and again.

Everything that a rule may know of a replication is how many users each arm has had at each look
and how many of them have converted. Looks are equally spaced in users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from turnout.stats.totals import UnitTotals

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

BASELINE = 0.10
UNITS = 14_800
"""Per arm. One look at all of them finds an effect of one point with 80 % power."""

MINIMUM_EFFECT = 0.01
EFFECTS = (0.0, MINIMUM_EFFECT, 2 * MINIMUM_EFFECT)
ALPHA = 0.025
"""Of each side."""

FEWEST_EVENTS = 10
FEWEST_UNITS = 50
"""Of an arm, before the product trusts the normal curve: events of either kind to be expected."""

LOOKS = (5, 20, 100, 400)
REPLICATIONS = 100_000
REPLICATIONS_AT_400 = 40_000

_CHUNK = 1_000_000
"""Entries of one matrix: larger ones fall out of the cache."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Replications (rows) by looks (columns): the users of an arm, and how many converted."""

    n: Vector
    control: Matrix
    treatment: Matrix

    @property
    def looks(self) -> int:
        return len(self.n)

    @cached_property
    def difference(self) -> Matrix:
        return (self.treatment - self.control) / self.n

    @cached_property
    def pooled_variance(self) -> Matrix:
        """Of the difference, if both arms convert alike."""
        rate = (self.control + self.treatment) / (2 * self.n)
        return 2 * rate * (1 - rate) / self.n

    @cached_property
    def variance(self) -> Matrix:
        """Of the difference, each arm with its own rate."""
        p, q = self.control / self.n, self.treatment / self.n
        return (p * (1 - p) + q * (1 - q)) / self.n

    @cached_property
    def pooled_z(self) -> Matrix:
        return _standardised(self.difference, self.pooled_variance)

    @cached_property
    def z(self) -> Matrix:
        return _standardised(self.difference, self.variance)

    @cached_property
    def relative_z(self) -> Matrix:
        """Of (treatment - control)/control by the delta method; 0 where the control has none."""
        p, q = self.control / self.n, self.treatment / self.n
        known = np.where(p > 0, p, 1.0)
        variance = (q * (1 - q) / known**2 + p * (1 - p) * q**2 / known**4) / self.n
        return np.where(p > 0, _standardised((q - p) / known, variance), 0.0)


def paths(rng: np.random.Generator, *, looks: int, effect: float, replications: int) -> Paths:
    users = UNITS // looks
    if users * looks != UNITS:
        raise ValueError(f"{UNITS} users do not divide into {looks} equal looks")
    control, treatment = (
        rng.binomial(users, rate, (replications, looks)).cumsum(axis=1, dtype=np.float64)
        for rate in (BASELINE, BASELINE + effect)
    )
    return Paths(n=users * np.arange(1.0, looks + 1), control=control, treatment=treatment)


def in_chunks(seed: int, *, looks: int, effect: float, replications: int) -> Iterator[Paths]:
    """The same paths for the same arguments, in pieces that fit the cache."""
    rng = np.random.default_rng([seed, looks, round(1e6 * effect)])
    size = max(1, _CHUNK // looks)
    for start in range(0, replications, size):
        rows = min(size, replications - start)
        yield paths(rng, looks=looks, effect=effect, replications=rows)


def replications_at(looks: int) -> int:
    return REPLICATIONS if looks < 400 else REPLICATIONS_AT_400


def pooled_z(x: Matrix, y: Matrix, n: Vector, m: Vector) -> Matrix:
    """Of y of m against x of n events, as if each came from a user of its own."""
    rate = (x + y) / (n + m)
    return _standardised(y / m - x / n, rate * (1 - rate) * (1 / n + 1 / m))


def converted(units: float, successes: float) -> UnitTotals:
    """Users of one event each."""
    return UnitTotals(units=int(units), n=units, n2=units, x=successes, x2=successes, xn=successes)


def _standardised(difference: Matrix, variance: Matrix) -> Matrix:
    """Without any variance there is nothing to say: 0."""
    varies = variance > 0
    return np.where(varies, difference / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
