"""A ramp: the share of the treatment grows in stages, while the base rate of both arms moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.decisions.scenario import BASELINE, Matrix, Vector, converted, pooled_z
from turnout.stats.effect import Stratum, effect

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
        return pooled_z(x, y, n, m)

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
