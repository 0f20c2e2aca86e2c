"""What a sequential test may claim once it has stopped.

A test that stops on a high z overstates its effect. Ordered by stage (an earlier stop above is
more extreme than a later one; Armitage 1957; Tsiatis, Rosner & Mehta 1984) the results have an
exact p-value, a median-unbiased estimate and an interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import optimize

from turnout.stats.arguments import BadArgument, require_between, require_finite
from turnout.stats.recursion import Crossings, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from turnout.stats.recursion import Step


#: Standard deviations above the trend, where no interval ends.
_FARTHEST_END = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """In units of the drift: divided by √Iₘₐₓ they are effects."""

    p_value: float
    drift: float
    interval: tuple[float, float]


def stopped(
    z: float,
    fractions: Sequence[float],
    upper: Sequence[float],
    *,
    lower: Sequence[float] | None = None,
    confidence: float = 0.95,
) -> Stopped:
    """The result of a test that ended at the last of `fractions` with this z.

    `upper` and `lower` are the bounds of the looks before it. Lower bounds that nobody keeps to
    are left out.
    """
    if len(upper) != len(fractions) - 1:
        raise BadArgument("upper", f"must have a bound for each of {len(fractions) - 1} looks")
    return claimed(z, _steps(fractions, upper, lower), upper, confidence=confidence)


def claimed(
    z: float, steps: Sequence[Step], upper: Sequence[float], *, confidence: float
) -> Stopped:
    """The same of a walk that has been taken: its last step saw z, the earlier ones have bounds."""
    require_finite(z=z)
    require_between(0, 1, confidence=confidence)
    unit = 1 / math.sqrt(steps[-1].fraction)
    tail, trend = (1 - confidence) / 2, unit * z
    # One walk without drift serves them all.
    crossings = Crossings.of(
        zip(steps, [*upper, z], strict=True), drift=trend + _FARTHEST_END * unit
    )
    as_extreme = crossings.probability
    return Stopped(
        p_value=as_extreme(0.0),
        drift=_drift_at(0.5, as_extreme, trend),
        interval=(_drift_at(tail, as_extreme, trend), _drift_at(1 - tail, as_extreme, trend)),
    )


def _drift_at(probability: float, as_extreme: Callable[[float], float], near: float) -> float:
    def excess(drift: float) -> float:
        return as_extreme(drift) - probability

    low, high, step = near, near, 2.0
    # A result far beyond what the earlier looks would have let pass says less than its z.
    while excess(low) > 0:
        low, step = low - step, 2 * step
    while excess(high) < 0:
        high, step = high + step, 2 * step
    return float(optimize.brentq(excess, low, high))


def _steps(
    fractions: Sequence[float], upper: Sequence[float], lower: Sequence[float] | None
) -> list[Step]:
    steps, walk = [], Walk()
    floor = [-math.inf] * len(upper) if lower is None else lower
    for fraction, low, high in zip(fractions, floor, upper, strict=False):
        steps.append(walk.step(fraction))
        walk = steps[-1].stop(low=low, high=high)
    return [*steps, walk.step(fractions[-1])]
