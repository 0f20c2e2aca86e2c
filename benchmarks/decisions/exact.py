"""Rules by numerical integration instead of simulation: what they cost for the same power."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from benchmarks.decisions import rivals
from benchmarks.decisions.scenario import ALPHA, UNITS, Vector
from turnout.stats import anytime
from turnout.stats.sequential import (
    boundaries,
    exit_probabilities,
    futility_boundaries,
    inflation,
)
from turnout.stats.spending import (
    HwangShihDeCani,
    KimDeMets,
    LanDeMetsOBrienFleming,
    LanDeMetsPocock,
    Spending,
)

LOOKS = 100
FRACTIONS = tuple(look / LOOKS for look in range(1, LOOKS + 1))
BETA = 0.2
SINGLE_DRIFT = -float(special.ndtri(ALPHA) + special.ndtri(BETA))
"""z expected of a single look that has this power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """In multiples of the units that a single look needs for the same power."""

    name: str
    most: float
    at_none: float
    at_effect: float
    at_double: float


def same_power() -> Iterator[Cost]:
    """Each rule with as many units as it needs to find the effect with 80 % power."""
    yield Cost(name="fixed horizon (1 look)", most=1, at_none=1, at_effect=1, at_double=1)
    yield _spending("HSD -3, futility HSD -8", HwangShihDeCani(-3), HwangShihDeCani(-8))
    yield _spending("HSD -4, futility HSD -12", HwangShihDeCani(-4), HwangShihDeCani(-12))
    yield _spending("HSD -3", HwangShihDeCani(-3))
    yield _spending("Spotify α·t²", KimDeMets(2))
    yield _spending("Lan-DeMets O'Brien-Fleming", LanDeMetsOBrienFleming())
    yield _spending("Lan-DeMets Pocock", LanDeMetsPocock())
    for name, bounds in _SEQUENCES.items():
        yield _sequence(name, bounds)


def expected_size(
    upper: Sequence[float], lower: Sequence[float] | None, drift: float
) -> tuple[float, float]:
    """The chance to exceed an upper bound, and the information used, of all that is planned."""
    exits = exit_probabilities(FRACTIONS, upper, lower, drift)
    stops = np.add(exits.upper, exits.lower)
    return sum(exits.upper), float(stops @ FRACTIONS + 1 - stops.sum())


def _spending(name: str, spending: Spending, futility: Spending | None = None) -> Cost:
    factor = inflation(FRACTIONS, alpha=ALPHA, beta=BETA, spending=spending, futility=futility)
    upper = boundaries(FRACTIONS, alpha=ALPHA, spending=spending)
    lower = tuple(-bound for bound in upper)
    if futility is not None:
        lower = futility_boundaries(
            FRACTIONS,
            alpha=ALPHA,
            beta=BETA,
            spending=spending,
            futility=futility,
            drift=math.sqrt(factor) * SINGLE_DRIFT,
        )
    return _cost(name, factor, upper, lower)


def _sequence(name: str, bounds: Callable[[float], Vector]) -> Cost:
    """A rule whose bounds depend on how many units there will be."""

    def missed(factor: float) -> float:
        upper = tuple(bounds(factor))
        lower = tuple(-bound for bound in upper)
        return 1 - BETA - expected_size(upper, lower, math.sqrt(factor) * SINGLE_DRIFT)[0]

    factor = optimize.brentq(missed, 0.99, 4.0, xtol=1e-5)
    upper = tuple(bounds(factor))
    return _cost(name, factor, upper, tuple(-bound for bound in upper))


def _cost(name: str, factor: float, upper: Sequence[float], lower: Sequence[float]) -> Cost:
    drift = math.sqrt(factor) * SINGLE_DRIFT
    sizes = (factor * expected_size(upper, lower, times * drift)[1] for times in (0, 1, 2))
    none, effect, double = sizes
    return Cost(name=name, most=factor, at_none=none, at_effect=effect, at_double=double)


_TIMES = np.array(FRACTIONS)


def _units(factor: float) -> Vector:
    """Of both arms, at each look."""
    return _TIMES * factor * 2 * UNITS


_SEQUENCES: dict[str, Callable[[float], Vector]] = {
    "Eppo hybrid": lambda factor: rivals.hybrid_bound(_units(factor)),
    "mSPRT, τ = the effect": lambda factor: rivals.mixture_bound(
        _TIMES * factor * SINGLE_DRIFT**2, rivals.LEVEL
    ),
    "asymptotic confidence sequence": lambda factor: rivals.tuned_bound(
        _TIMES, rivals.LEVEL, tuned_at=1
    ),
    "Eppo sequential": lambda factor: rivals.tuned_bound(
        _units(factor), rivals.LEVEL, rivals.EPPO_TUNING
    ),
    "GrowthBook sequential": lambda factor: rivals.tuned_bound(
        _units(factor), rivals.LEVEL, rivals.GROWTHBOOK_TUNING
    ),
}


GUARDRAIL_ALPHA = 0.05
DRIFTS = {
    "moderate": -float(special.ndtri(GUARDRAIL_ALPHA) + special.ndtri(BETA)),
    "strong": 5.0,
    "gross": 10.0,
}
"""The z that the harm would have at the end of the stage; one look there finds the first 80 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A rule that looks for harm: how often it alarms, and how much of the stage that takes."""

    name: str
    false_alarm: float
    found: dict[str, tuple[float, float]]


def guardrails() -> Iterator[Watch]:
    total = 2 * UNITS
    tuned = {
        "GrowthBook safe rollout": rivals.GROWTHBOOK_TUNING,
        "one-sided sequence tuned at the stage's end": total,
    }
    spent: dict[str, Spending] = {
        "linear spending": KimDeMets(1),
        "HSD +1": HwangShihDeCani(1),
        "HSD -2": HwangShihDeCani(-2),
        "Lan-DeMets O'Brien-Fleming": LanDeMetsOBrienFleming(),
    }
    for name, spending in spent.items():
        yield watch(name, boundaries(FRACTIONS, alpha=GUARDRAIL_ALPHA, spending=spending))
    for name, tuned_at in tuned.items():
        sequence = (
            anytime.boundary(total * t, alpha=GUARDRAIL_ALPHA, tuned_at=tuned_at) for t in FRACTIONS
        )
        yield watch(name, tuple(sequence))
    yield watch("naive 1.645", (rivals.Z95,) * LOOKS)


def watch(name: str, bounds: Sequence[float]) -> Watch:
    return Watch(
        name=name,
        false_alarm=expected_size(bounds, None, 0.0)[0],
        found={harm: expected_size(bounds, None, drift) for harm, drift in DRIFTS.items()},
    )
