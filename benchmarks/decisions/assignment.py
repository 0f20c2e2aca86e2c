"""Whether a broken split is noticed, when it is asked after every fifty users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from benchmarks.decisions.scenario import Matrix, Vector
from turnout.stats.sample_ratio import CONCENTRATIONS, THRESHOLD, sequential_mixture

LOOKS = 400
USERS = 20_000

_CHI_SQUARE_BOUND = float(special.chdtri(1, THRESHOLD))


@dataclass(frozen=True, kw_only=True)
class Split:
    """Replications by looks: how many users came to the first of two arms of equal weight."""

    users: Vector
    first: Matrix

    @cached_property
    def log_bayes_factor(self) -> Matrix:
        """The product's: shares around the plan against the plan itself (Lindon & Malek 2020)."""
        each = [self._log_bayes_factor(concentration) for concentration in CONCENTRATIONS]
        factor: Matrix = np.logaddexp.reduce(each) - np.log(len(each))
        return factor

    def _log_bayes_factor(self, concentration: float) -> Matrix:
        prior, n = concentration / 2, self.users
        only_n = (
            special.gammaln(concentration)
            - special.gammaln(concentration + n)
            - 2 * special.gammaln(prior)
            + n * np.log(2)
        )
        shares = special.gammaln(prior + self.first) + special.gammaln(prior + n - self.first)
        factor: Matrix = only_n + shares
        return factor

    @property
    def sequential_alarms(self) -> float:
        return float((self.log_bayes_factor > -np.log(THRESHOLD)).any(axis=1).mean())

    @property
    def chi_square_alarms(self) -> float:
        """The same threshold, at every look as if it were the only one."""
        statistic = (2 * self.first - self.users) ** 2 / self.users
        return float((statistic > _CHI_SQUARE_BOUND).any(axis=1).mean())

    def log_bayes_factor_by_the_product(self, replication: int, look: int) -> float:
        first = int(self.first[replication, look])
        counts = (first, int(self.users[look]) - first)
        found = sequential_mixture(counts, (0.5, 0.5)).statistic
        assert found is not None
        return found


def alarms(
    rng: np.random.Generator, share: float, replications: int
) -> Iterator[tuple[float, float]]:
    """Shares of sequential and of chi-square alarms, in pieces of equal size."""
    for _ in range(replications // _PIECE):
        split = drawn(rng, share, _PIECE)
        yield split.sequential_alarms, split.chi_square_alarms


def drawn(rng: np.random.Generator, share: float, replications: int) -> Split:
    """`share` is what the first arm really gets."""
    per_look = USERS // LOOKS
    counts = rng.binomial(per_look, share, (replications, LOOKS))
    return Split(
        users=per_look * np.arange(1.0, LOOKS + 1), first=counts.cumsum(axis=1, dtype=np.float64)
    )


_PIECE = 2_500
