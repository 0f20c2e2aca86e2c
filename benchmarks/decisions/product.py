"""The product's test of a goal: its bounds are asked for once, its decisions then made for all.

A simulated experiment asks `goal.look` a hundred times, at some milliseconds each: too long for
a hundred thousand of them. What a look decides by follows from the schedule (efficacy) and from
the pooled rate (futility), so both are read off the states that `goal.look` itself leaves behind
when it follows a few uneventful experiments to their end. Of what is random in a bound, only the
information of the looks in between is left out; `followed` asks `goal.look` for every look of
single replications and shows that it makes no difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special

from benchmarks.decisions.outcomes import Rule
from benchmarks.decisions.scenario import (
    ALPHA,
    BASELINE,
    FEWEST_EVENTS,
    MINIMUM_EFFECT,
    UNITS,
    Matrix,
    Paths,
    Vector,
    converted,
)
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalState, GoalStatus, look
from turnout.stats.goal_bounds import EARLIEST_FUTILITY, critical_at_the_end
from turnout.stats.sequential import boundaries, futility_boundaries, least_beta
from turnout.stats.spending import HwangShihDeCani

DESIGN = GoalDesign(
    minimum_effect=MINIMUM_EFFECT, good="up", alpha=ALPHA, beta=0.2, units=UNITS, ratio=1.0
)
"""As an experiment plans it by default: 95 % confidence, 80 % power."""

NAME = "**Turnout**, default profile"
WITHOUT_FUTILITY = "Turnout, futility switched off"
POWER_FIRST = "Turnout, HSD -4 with futility HSD -12"

_PLANNED_RATE = BASELINE + MINIMUM_EFFECT / 2

_RATES = (0.085, 0.091, 0.097, 0.105, 0.113, 0.121)
"""Pooled rates between which the centred futility bounds are interpolated. Below 0.097 the units
are enough for the power that was asked for, and beta no longer falls with the rate."""

_UNDECIDED = 2.1
"""The z at the end of an effect that stays between both bounds all the way."""

_NEVER = -99.0
"""No z is that low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uneventful:
    """What `goal.look` left behind of an experiment that it never stopped before the end.

    Looks that did not count: nan.
    """

    upper: Vector
    centred_futility: Vector
    """The futility bound less what the minimum effect shifts it by."""
    critical_at_the_end: Vector


@cache
def uneventful(looks: int, rate: float) -> Uneventful:
    n = UNITS * np.arange(1.0, looks + 1) / looks
    half = _UNDECIDED / 2 * math.sqrt(2 * rate * (1 - rate) / UNITS)
    found = np.full((3, looks), np.nan)
    state = GoalState()
    for index, users in enumerate(n.tolist()):
        before = len(state.looks)
        control, treatment = (converted(users, users * (rate + d)) for d in (-half, half))
        strata = [Stratum(control=control, treatment=treatment)]
        state, _ = look(DESIGN, state, strata, proportion=True, final=index == looks - 1)
        if len(state.looks) == before:
            continue
        last = state.looks[-1]
        shift = MINIMUM_EFFECT / math.sqrt(2 * rate * (1 - rate) / users)
        history = tuple((taken.fraction, taken.information) for taken in state.looks)
        found[:, index] = (
            math.inf if last.bound is None else last.bound,
            -math.inf if last.futility_bound is None else last.futility_bound - shift,
            critical_at_the_end(ALPHA, history),
        )
    return Uneventful(upper=found[0], centred_futility=found[1], critical_at_the_end=found[2])


def default_profile(looks: int) -> Rule:
    plan = uneventful(looks, _RATES[0])
    counts = ~np.isnan(plan.upper)

    def statistic(paths: Paths) -> Matrix:
        """Where a look does not count or sees too few events, nothing is found."""
        events = (paths.control + paths.treatment) / 2
        trusted = np.minimum(events, paths.n - events) >= FEWEST_EVENTS
        return np.where(counts & trusted, paths.pooled_z, 0.0)

    return Rule(
        name=NAME,
        statistic=statistic,
        upper=np.where(counts, plan.upper, np.inf),
        futility=_Futility(looks, counts),
    )


def without_futility(default: Rule) -> Rule:
    """An experiment's `futility_threshold: null`: the search goes on to the end."""
    return replace(default, name=WITHOUT_FUTILITY, futility=None)


class _Futility:
    """Below the bound of spent beta, or of a conditional power that is next to nothing."""

    def __init__(self, looks: int, counts: np.ndarray) -> None:
        self._elapsed = np.arange(1.0, looks + 1) / looks
        due = counts & (self._elapsed >= EARLIEST_FUTILITY - 1e-12)
        self._first = int(due.argmax())
        self._never = ~due
        centred = [uneventful(looks, rate).centred_futility for rate in _RATES]
        self._centred = np.where(due, np.array(centred), _NEVER)
        self._critical = np.where(due, uneventful(looks, _RATES[0]).critical_at_the_end, 0.0)

    def __call__(self, paths: Paths) -> Matrix:
        shift = MINIMUM_EFFECT / np.sqrt(np.maximum(paths.pooled_variance, 1e-12))
        bound = np.maximum(self._spent(paths) + shift, self._hopeless(shift))
        # A trial that was not stopped by the last bound is not stopped by futility there either.
        bound[:, -1] = _NEVER
        return np.where(self._never, _NEVER, bound)

    def _spent(self, paths: Paths) -> Matrix:
        """Beta is fixed by the pooled rate of the first look at which it is due."""
        at = self._first
        rate = (paths.control[:, at] + paths.treatment[:, at]) / (2 * paths.n[at])
        below = np.clip(np.searchsorted(_RATES, rate) - 1, 0, len(_RATES) - 2)
        part = (rate - np.take(_RATES, below)) / np.take(np.diff(_RATES), below)
        part = part.clip(0, 1)[:, None]
        spent: Matrix = (1 - part) * self._centred[below] + part * self._centred[below + 1]
        return spent

    def _hopeless(self, shift: Matrix) -> Matrix:
        """The z of which the conditional power under the minimum effect is the least allowed."""
        assert DESIGN.futility is not None
        t = self._elapsed
        rest = np.maximum(1 - t, 1e-12)
        least = float(special.ndtri(DESIGN.futility)) * np.sqrt(rest)
        hopeless: Matrix = (self._critical + least - shift / np.sqrt(t) * rest) / np.sqrt(t)
        return hopeless


def power_first(looks: int) -> Rule:
    """The profile for who would rather wait: not an option of experiments, the same functions."""
    fractions = [taken / looks for taken in range(1, looks + 1)]
    spending, futility = HwangShihDeCani(-4), HwangShihDeCani(-12)
    drift = MINIMUM_EFFECT / math.sqrt(2 * _PLANNED_RATE * (1 - _PLANNED_RATE) / UNITS)
    beta = least_beta(fractions, alpha=ALPHA, spending=spending, futility=futility, drift=drift)
    lower = futility_boundaries(
        fractions, alpha=ALPHA, beta=beta, spending=spending, futility=futility, drift=drift
    )
    bounds = np.array(lower)
    bounds[-1] = -np.inf
    return Rule(
        name=POWER_FIRST,
        statistic=lambda paths: paths.pooled_z,
        upper=np.array(boundaries(fractions, alpha=ALPHA, spending=spending)),
        futility=lambda _: bounds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How one experiment ended when `goal.look` was asked at every look."""

    look: int
    win: bool
    harm: bool


def followed(paths: Paths, replication: int) -> Followed:
    """Stop as an experiment does that concludes by itself: at win, harm or futility."""
    state, index, status = GoalState(), -1, GoalStatus.CONTINUE
    while status in {GoalStatus.CONTINUE, GoalStatus.NO_DATA}:
        index += 1
        strata = [
            Stratum(
                control=converted(paths.n[index], paths.control[replication, index]),
                treatment=converted(paths.n[index], paths.treatment[replication, index]),
            )
        ]
        final = index == paths.looks - 1
        state, finding = look(DESIGN, state, strata, proportion=True, final=final)
        status = finding.status
    return Followed(look=index, win=status is GoalStatus.WIN, harm=status is GoalStatus.HARM)
