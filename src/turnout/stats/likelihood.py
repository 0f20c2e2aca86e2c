"""The likelihood of two proportions whose difference is given, in the standard library alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from turnout.stats.moments import Proportion


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion of a sample whose size is only relative to another's."""

    n: float
    successes: float

    @property
    def rate(self) -> float:
        return self.successes / self.n


Sample: TypeAlias = "Proportion | Share"


def restricted_to_difference(control: Sample, treatment: Sample, difference: float) -> float:
    """The treatment's rate of greatest likelihood: the middle root of a cubic, in closed form."""
    low, high = max(0.0, difference), min(1.0, 1.0 + difference)
    theta = control.n / treatment.n
    p1, p2 = treatment.rate, control.rate
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p2 + difference * (theta + 2))
    c = difference**2 + difference * (2 * p1 + theta + 1) + p1 + theta * p2
    d = -p1 * difference * (1 + difference)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    u = math.copysign(math.sqrt(max(0.0, (b / (3 * a)) ** 2 - c / (3 * a))), v)
    w = (math.pi + math.acos(max(-1.0, min(1.0, v / u**3 if u else 0.0)))) / 3
    p = 2 * u * math.cos(w) - b / (3 * a)
    p = min(high, max(low, p))
    # The closed form is good to 1e-9 or so, too little for a rate of 1e-6: polish by Newton's
    # method on the likelihood itself, which is concave.
    for _ in range(4):
        q = p - difference
        if not (low < p < high and 0 < q < 1):
            break
        slope = _slope(treatment, p) + _slope(control, q)
        curvature = _curvature(treatment, p) + _curvature(control, q)
        before, p = p, min(high, max(low, p + slope / curvature))
        if p == before:
            break
    return p


def _slope(arm: Sample, rate: float) -> float:
    return arm.successes / rate - (arm.n - arm.successes) / (1 - rate)


def _curvature(arm: Sample, rate: float) -> float:
    return arm.successes / rate**2 + (arm.n - arm.successes) / (1 - rate) ** 2


def divergence(arm: Sample, rate: float) -> float:
    """How much less likely the arm is at this rate than at its own: the log of the ratio."""
    return _part(arm.successes, arm.n * rate) + _part(arm.n - arm.successes, arm.n * (1 - rate))


def _part(seen: float, expected: float) -> float:
    if seen <= 0:
        return expected
    return seen * math.log(seen / expected) - (seen - expected) if expected > 0 else math.inf
