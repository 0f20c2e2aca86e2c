"""What a goal test will do before it begins: how often it finds an effect, and how early.

The bounds are those of `goal_bounds` at a schedule of equal steps. Win, harm and futility all stop
it, as they do in fact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from turnout.stats.arguments import BadArgument, require_between, require_positive
from turnout.stats.goal_bounds import FUTILITY, SPENDING, beta_for
from turnout.stats.sequential import (
    boundaries,
    exit_probabilities,
    futility_boundaries,
    inflation,
)
from turnout.stats.tails import critical_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """The chance of a win, and the share of the most units that is needed on average."""

    power: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A test as planned. `drift` is the z that the effect looked for leads to with all units;
    `inflation` is how many more units that are than a single look needs for the same power."""

    drift: float
    inflation: float
    fractions: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]

    def under(self, multiple: float) -> Prospect:
        """If the true effect is this multiple of the one looked for."""
        drift = multiple * self.drift
        exits = exit_probabilities(self.fractions, self.upper, self.lower, drift)
        running, expected = 1.0, 0.0
        for above, below, (before, now) in zip(
            exits.upper, exits.lower, pairwise((0.0, *self.fractions)), strict=True
        ):
            expected += running * (now - before)
            running -= above + below
        return Prospect(power=min(1.0, math.fsum(exits.upper)), expected=min(1.0, expected))

    def after(self, fraction: float) -> Course:
        """The same test, where nothing stops it before it has this share of its units."""
        late = [step >= fraction for step in self.fractions]
        return replace(
            self,
            upper=tuple(
                bound if may else math.inf for bound, may in zip(self.upper, late, strict=True)
            ),
            lower=tuple(
                bound if may else -math.inf for bound, may in zip(self.lower, late, strict=True)
            ),
        )


@lru_cache(maxsize=64)
def planned(*, alpha: float, beta: float, looks: int, futility: bool) -> Course:
    """The test that has the power 1 - beta, with as many units as that takes."""
    steps = _steps(alpha, looks)
    factor = inflation(
        steps,
        alpha=alpha,
        beta=beta,
        spending=SPENDING,
        futility=FUTILITY if futility and looks > 1 else None,
    )
    drift = math.sqrt(factor) * _single(alpha, beta)
    return _course(drift, alpha, beta if futility else None, steps, factor)


@lru_cache(maxsize=64)
def given(*, alpha: float, beta: float, looks: int, futility: bool, drift: float) -> Course:
    """The test of as many units as there will be, whatever power that leaves it."""
    require_positive(drift=drift)
    steps = _steps(alpha, looks)
    spent = beta_for(beta, alpha=alpha, drift=drift) if futility else None
    return _course(drift, alpha, spent, steps, (drift / _single(alpha, beta)) ** 2)


def _steps(alpha: float, looks: int) -> tuple[float, ...]:
    require_between(0, 0.5, alpha=alpha)
    if looks < 1:
        raise BadArgument("looks", f"must be 1 or more, not {looks}")
    return tuple(step / looks for step in range(1, looks + 1))


def _single(alpha: float, beta: float) -> float:
    """The drift of a single look."""
    require_between(0, 1, beta=beta)
    return critical_value(1 - alpha, "greater", None) + critical_value(1 - beta, "greater", None)


def _course(
    drift: float, alpha: float, beta: float | None, steps: tuple[float, ...], factor: float
) -> Course:
    upper = boundaries(steps, alpha=alpha, spending=SPENDING, final=True)
    harm = tuple(-bound for bound in upper)
    lower = harm
    if beta is not None and len(steps) > 1:
        futile = futility_boundaries(
            steps, alpha=alpha, beta=beta, spending=SPENDING, futility=FUTILITY, drift=drift
        )
        lower = tuple(max(bounds) for bounds in zip(harm, futile, strict=True))
    return Course(drift=drift, inflation=factor, fractions=steps, upper=upper, lower=lower)
