"""Data with a structure that a test may ignore: a ramp while the base rate moves, and clusters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from benchmarks.decisions.scenario import BASELINE, Matrix, Vector
from turnout.stats.effect import Stratum, effect
from turnout.stats.totals import UnitTotals

STAGES = (0.01, 0.05, 0.25, 0.50)
"""Share of the treatment, a quarter of all users each."""

RAMP_USERS = 40_000
RAMP_LOOKS = 100
MOVES_TO = 0.14
"""The base rate of both arms goes there from `BASELINE` in a straight line."""

BORROWED_UNITS = 10
"""The product's: a stratum's variance is averaged with the overall one as of so many units."""


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """Replications of both arms; the last axis is looks, the one before it stages.

    Users of a stage that has not begun are 0.
    """

    users: tuple[Vector, Vector]
    converted: tuple[Matrix, Matrix]

    @cached_property
    def pooled_z(self) -> Matrix:
        """As if all users had been split alike all the time."""
        n, m = (users.sum(axis=0) for users in self.users)
        x, y = (converted.sum(axis=1) for converted in self.converted)
        return _z(y / m - x / n, *_shared(x, y, n, m))

    @cached_property
    def bias(self) -> float:
        n, m = (users[:, -1].sum() for users in self.users)
        x, y = (converted[..., -1].sum(axis=1) for converted in self.converted)
        return float((y / m - x / n).mean())

    @cached_property
    def stratified_z(self) -> Matrix:
        """The product's: of differences by stage, averaged by their variances under no effect."""
        (n, m), (x, y) = self.users, self.converted
        begun = n > 0
        safe_n, safe_m = np.where(begun, n, 1), np.where(begun, m, 1)
        both = n + m
        squares = (x + y) * (1 - (x + y) / np.maximum(both, 1))
        overall = squares.sum(axis=1, keepdims=True) / both.sum(axis=0)
        spread = (squares + BORROWED_UNITS * overall) / (both + BORROWED_UNITS)
        variance = spread * (1 / safe_n + 1 / safe_m)
        weight = np.where(begun, 1 / variance, 0.0)
        differences = y / safe_m - x / safe_n
        z: Matrix = (weight * differences).sum(axis=1) / np.sqrt(weight.sum(axis=1))
        return z

    @property
    def size(self) -> Vector:
        """Of the looks: Σ nm/(n + m), to which information is in proportion."""
        n, m = self.users
        size: Vector = (n * m / np.maximum(n + m, 1)).sum(axis=0)
        return size

    def z_by_the_product(self, replication: int, look: int) -> float:
        strata = [
            Stratum(control=converted(n, x), treatment=converted(m, y))
            for n, m, x, y in zip(
                self.users[0][:, look],
                self.users[1][:, look],
                self.converted[0][replication, :, look],
                self.converted[1][replication, :, look],
                strict=True,
            )
            if n > 0
        ]
        found = effect(strata, proportion=True)
        assert found is not None
        return found.statistic


def ramp(rng: np.random.Generator, replications: int) -> Ramp:
    """No effect at all, while the treatment's share and the base rate both go up."""
    per_look = RAMP_USERS // RAMP_LOOKS
    stage = np.arange(RAMP_LOOKS) * len(STAGES) // RAMP_LOOKS
    rate = BASELINE + (MOVES_TO - BASELINE) * (np.arange(RAMP_LOOKS) + 0.5) / RAMP_LOOKS
    treated = np.rint(per_look * np.array(STAGES)[stage])
    users, conversions = [], []
    for new in (per_look - treated, treated):
        in_stage = np.where(stage == np.arange(len(STAGES))[:, None], new, 0)
        users.append(in_stage.cumsum(axis=1))
        shape = (replications, *in_stage.shape)
        counts = rng.binomial(in_stage.astype(int), rate, shape)
        conversions.append(counts.cumsum(axis=2, dtype=np.float64))
    return Ramp(users=(users[0], users[1]), converted=(conversions[0], conversions[1]))


def converted(units: float, successes: float) -> UnitTotals:
    """Users of one event each."""
    return UnitTotals(units=int(units), n=units, n2=units, x=successes, x2=successes, xn=successes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Users who send several requests, some of whom succeed more often than others."""

    requests: int
    correlation: float
    """Of two requests of the same user."""


CLUSTERS = (
    Clusters(requests=5, correlation=0.05),
    Clusters(requests=10, correlation=0.05),
    Clusters(requests=10, correlation=0.2),
    Clusters(requests=50, correlation=0.05),
)
CLUSTERED_USERS = 2_000
CLUSTERED_LOOKS = 20


@dataclass(frozen=True, kw_only=True)
class Clustered:
    """Replications by looks: sums over the users of each arm."""

    requests: int
    users: Vector
    x: tuple[Matrix, Matrix]
    x2: tuple[Matrix, Matrix]

    @cached_property
    def request_z(self) -> Matrix:
        """As if every request came from a user of its own."""
        n = self.users * self.requests
        return _z((self.x[1] - self.x[0]) / n, *_shared(*self.x, n, n))

    @cached_property
    def user_z(self) -> Matrix:
        """The product's: residuals of users, never less than independent requests would have."""
        m, users = self.requests, self.users
        x, x2 = self.x[0] + self.x[1], self.x2[0] + self.x2[1]
        rate = x / (2 * users * m)
        residuals = x2 - 2 * rate * m * x + rate**2 * m**2 * 2 * users
        spread = np.maximum(residuals, x * (1 - rate)) / (2 * users * m**2)
        return _z((self.x[1] - self.x[0]) / (users * m), spread, 2 / users)

    def z_by_the_product(self, replication: int, look: int) -> float:
        arms = [
            UnitTotals(
                units=int(self.users[look]),
                n=self.users[look] * self.requests,
                n2=self.users[look] * self.requests**2,
                x=x[replication, look],
                x2=x2[replication, look],
                xn=x[replication, look] * self.requests,
            )
            for x, x2 in zip(self.x, self.x2, strict=True)
        ]
        found = effect([Stratum(control=arms[0], treatment=arms[1])], proportion=True)
        assert found is not None
        return found.statistic


def clustered(rng: np.random.Generator, clusters: Clusters, replications: int) -> Clustered:
    """Both arms alike: a user's own rate is beta, so their successes are beta-binomial."""
    m = clusters.requests
    successes = np.arange(m + 1)
    chances = _beta_binomial(m, clusters.correlation)
    per_look = CLUSTERED_USERS // CLUSTERED_LOOKS
    x, x2 = [], []
    for _ in range(2):
        users = rng.multinomial(per_look, chances, (replications, CLUSTERED_LOOKS))
        x.append((users @ successes).cumsum(axis=1, dtype=np.float64))
        x2.append((users @ successes**2).cumsum(axis=1, dtype=np.float64))
    looks = per_look * np.arange(1.0, CLUSTERED_LOOKS + 1)
    return Clustered(requests=m, users=looks, x=(x[0], x[1]), x2=(x2[0], x2[1]))


def in_pieces(replications: int, size: int) -> Iterator[int]:
    for start in range(0, replications, size):
        yield min(size, replications - start)


def _beta_binomial(m: int, correlation: float) -> Vector:
    total = 1 / correlation - 1
    a, b = BASELINE * total, (1 - BASELINE) * total
    k = np.arange(m + 1)
    log_choose = special.gammaln(m + 1) - special.gammaln(k + 1) - special.gammaln(m - k + 1)
    chances: Vector = np.exp(log_choose + special.betaln(k + a, m - k + b) - special.betaln(a, b))
    return chances / math.fsum(chances)


def _shared(x: Matrix, y: Matrix, n: Vector, m: Vector) -> tuple[Matrix, Vector]:
    rate = (x + y) / (n + m)
    return rate * (1 - rate), 1 / n + 1 / m


def _z(difference: Matrix, spread: Matrix, per_unit: Vector) -> Matrix:
    variance = spread * per_unit
    return np.where(variance > 0, difference / np.sqrt(np.maximum(variance, 1e-300)), 0.0)
