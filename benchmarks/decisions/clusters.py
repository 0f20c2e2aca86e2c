"""Users who send several requests each, which go together: requests are not the unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from benchmarks.decisions.scenario import BASELINE, Matrix, Vector, pooled_z
from turnout.stats.effect import Stratum, effect
from turnout.stats.totals import UnitTotals


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
        return pooled_z(*self.x, n, n)

    @cached_property
    def user_z(self) -> Matrix:
        """The product's: residuals of users, never less than independent requests would have."""
        m, users = self.requests, self.users
        x, x2 = self.x[0] + self.x[1], self.x2[0] + self.x2[1]
        rate = x / (2 * users * m)
        residuals = x2 - 2 * rate * m * x + rate**2 * m**2 * 2 * users
        spread = np.maximum(residuals, x * (1 - rate)) / (2 * users * m**2)
        z: Matrix = (self.x[1] - self.x[0]) / (users * m) / np.sqrt(spread * 2 / users)
        return z

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


def _beta_binomial(m: int, correlation: float) -> Vector:
    total = 1 / correlation - 1
    a, b = BASELINE * total, (1 - BASELINE) * total
    k = np.arange(m + 1)
    log_choose = special.gammaln(m + 1) - special.gammaln(k + 1) - special.gammaln(m - k + 1)
    chances: Vector = np.exp(log_choose + special.betaln(k + a, m - k + b) - special.betaln(a, b))
    return chances / math.fsum(chances)
