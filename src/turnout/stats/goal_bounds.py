"""The bounds of a goal test at any history of looks.

They follow from the level and the fractions alone, so a process that never saw the experiment
finds the same ones; one that has seen the earlier looks takes a single step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from turnout.stats.futility import FutilityTest
from turnout.stats.sequential import Look, SequentialTest, least_beta
from turnout.stats.spending import Deferred, HwangShihDeCani

#: The profile with the best power among those that stop early for no effect as well: at 100 looks
#: it loses 3 points of power to the single look, and needs a third fewer units under no effect.
SPENDING = HwangShihDeCani(-3)
FUTILITY = HwangShihDeCani(-8)

#: Too early to call anything futile.
EARLIEST_FUTILITY = 0.15

_FUTILITY_IN_TIME = Deferred(FUTILITY, until=EARLIEST_FUTILITY)

#: The schedule for which beta is found; any other, of few looks or many, moves it by half a point.
_TYPICAL_LOOKS = 20

#: Beyond this, no beta makes the bounds meet at a power worth having.
_GREATEST_BETA = 0.9


#: The share of the planned units at a look, and the information there, relative to any unit.
At = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The errors allowed, and the drift of the design at one unit of information.

    Without a beta nothing is futile.
    """

    alpha: float
    beta: float | None
    drift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Both tests, after the last look."""

    efficacy: SequentialTest
    futility: FutilityTest | None

    @property
    def last(self) -> Look:
        return self.efficacy.looks[-1]

    @property
    def futility_bound(self) -> float | None:
        if self.futility is None or not math.isfinite(self.futility.bound):
            return None
        return self.futility.bound


def bounds(level: Level, looks: tuple[At, ...], *, final: bool = False) -> Bounds:
    """After these looks, of which the last may be `final`."""
    return Bounds(
        efficacy=_efficacy(level.alpha, looks, final=final),
        futility=None if level.beta is None else _futility(level, looks, final=final),
    )


# Cached look by look: a history is its predecessor's and one step more.
@lru_cache(maxsize=1024)
def _efficacy(alpha: float, looks: tuple[At, ...], *, final: bool = False) -> SequentialTest:
    if not looks:
        return SequentialTest(alpha=alpha, spending=SPENDING)
    elapsed, information = looks[-1]
    return _efficacy(alpha, looks[:-1]).look(information, elapsed=elapsed, final=final)


@lru_cache(maxsize=1024)
def _futility(level: Level, looks: tuple[At, ...], *, final: bool = False) -> FutilityTest:
    if not looks:
        assert level.beta is not None
        return FutilityTest(beta=level.beta, spending=_FUTILITY_IN_TIME, drift=level.drift)
    elapsed, information = looks[-1]
    bound = _efficacy(level.alpha, looks, final=final).looks[-1].bound
    upper = math.inf if bound is None else bound
    return _futility(level, looks[:-1]).look(information, upper=upper, elapsed=elapsed, final=final)


@lru_cache(maxsize=256)
def critical_at_the_end(alpha: float, looks: tuple[At, ...]) -> float:
    """The bound of one last look when all the planned units are in, at the present rate."""
    elapsed, information = looks[-1]
    bound = _efficacy(alpha, looks).look(information / elapsed, final=True).looks[-1].bound
    assert bound is not None
    return bound


@lru_cache(maxsize=256)
def beta_for(asked: float, *, alpha: float, drift: float) -> float:
    """What futility may spend where the maximum of units is given, and not found by a beta.

    As much as the units leave: then the futility bound meets the efficacy bound at the end, and
    every look there has an answer. Not less than was asked for: with more units than that needs,
    the bounds meet earlier.
    """
    fractions = [step / _TYPICAL_LOOKS for step in range(1, _TYPICAL_LOOKS + 1)]
    left = least_beta(fractions, alpha=alpha, spending=SPENDING, futility=FUTILITY, drift=drift)
    return min(max(asked, left), max(asked, _GREATEST_BETA))
