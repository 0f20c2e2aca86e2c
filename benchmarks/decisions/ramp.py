"""A ramp: the share of the treatment grows in stages, while the base rate of both arms moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions.scenario import (
    ALPHA,
    BASELINE,
    FEWEST_EVENTS,
    FEWEST_UNITS,
    MINIMUM_EFFECT,
    Matrix,
    Vector,
    converted,
    pooled_z,
)
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalState, GoalStatus, look

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

    @cached_property
    def trusted(self) -> NDArray[np.bool_]:
        """Whether each arm should have had enough events of either kind."""
        n, m = (users.sum(axis=0) for users in self.users)
        x, y = (converted.sum(axis=1) for converted in self.converted)
        rate, fewest = (x + y) / (n + m), np.minimum(n, m)
        trusted: NDArray[np.bool_] = fewest * np.minimum(rate, 1 - rate) >= FEWEST_EVENTS
        trusted &= fewest >= FEWEST_UNITS
        return trusted

    def strata(self, replication: int, look: int) -> list[Stratum]:
        (n, m), (x, y) = self.users, self.converted
        return [
            Stratum(
                control=converted(n[stage, look], x[replication, stage, look]),
                treatment=converted(m[stage, look], y[replication, stage, look]),
            )
            for stage in range(len(STAGES))
            if n[stage, look] > 0
        ]


PER_LOOK = RAMP_USERS // RAMP_LOOKS
STAGE = np.arange(RAMP_LOOKS) * len(STAGES) // RAMP_LOOKS
RATE = BASELINE + (MOVES_TO - BASELINE) * (np.arange(RAMP_LOOKS) + 0.5) / RAMP_LOOKS
"""Of both arms: there is no effect at all."""


def ramp(rng: np.random.Generator, replications: int) -> Ramp:
    conversions = [
        rng.binomial(new.astype(int), RATE, (replications, *new.shape)) for new in _arrivals()
    ]
    return _ramp(conversions)


def _arrivals() -> list[Matrix]:
    """New users of control and treatment, by stage and look."""
    treated = np.rint(PER_LOOK * np.array(STAGES)[STAGE])
    in_stage = np.arange(len(STAGES))[:, None] == STAGE
    return [np.where(in_stage, new, 0.0) for new in (PER_LOOK - treated, treated)]


def _ramp(conversions: Sequence[NDArray[np.integer] | Matrix]) -> Ramp:
    control, treatment = (new.cumsum(axis=1) for new in _arrivals())
    x, y = (new.cumsum(axis=2, dtype=np.float64) for new in conversions)
    return Ramp(users=(control, treatment), converted=(x, y))


def bounds() -> Vector:
    """Of z, as `goal.look` sets them in a ramp without surprises; infinite where no look counts."""
    expected = _ramp([new[None] * RATE for new in _arrivals()])
    found = np.full(RAMP_LOOKS, np.inf)
    state = GoalState()
    for index in range(RAMP_LOOKS):
        before = len(state.looks)
        state, _ = _looked(expected, 0, index, state)
        if len(state.looks) > before:
            bound = state.looks[-1].bound
            found[index] = np.inf if bound is None else bound
    return found


def rejected(ramps: Ramp, upper: Vector) -> NDArray[np.bool_]:
    """Of each replication: whether the product ever finds an effect, to either side."""
    found = ramps.trusted & (np.abs(ramps.stratified_z) >= upper)
    return np.asarray(found.any(axis=1))


def rejected_by_the_product(ramps: Ramp, replication: int) -> bool:
    """The same of one replication, with `goal.look` asked at every look."""
    state = GoalState()
    for index in range(RAMP_LOOKS):
        state, status = _looked(ramps, replication, index, state)
        if status in {GoalStatus.WIN, GoalStatus.HARM}:
            return True
    return False


def _looked(
    ramps: Ramp, replication: int, index: int, state: GoalState
) -> tuple[GoalState, GoalStatus]:
    """Without futility, which would only hide what is found of either kind."""
    design = GoalDesign(
        minimum_effect=MINIMUM_EFFECT,
        good="up",
        alpha=ALPHA,
        beta=0.2,
        units=round(2 * ramps.size[-1]),
        futility=None,
    )
    strata = ramps.strata(replication, index)
    final = index == RAMP_LOOKS - 1
    state, finding = look(design, state, strata, proportion=True, final=final)
    return state, finding.status
