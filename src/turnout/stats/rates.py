"""How far the rate of a proportion may lie above the truth, by the lesser of two statistics.

A value u below the estimate is put to the test by z², events taken as independent: both the score
statistic u²/V, with V the variance *if that value were true*, R(1 - R)/n of each arm at its most
likely rates R (Farrington & Manning 1990), and twice the log of the likelihood ratio. Neither asks
what variance was observed, which grows with the harm itself. Counts are skewed where events are
few, and each statistic says too much on one side of that: the score of a small arm with more
events than expected, the likelihood ratio of one with fewer, or of arms that share hardly any. The
lesser of the two says too much on neither, from the first event on.

Events of one unit go together, and vary by more. What they add is the sum over pairs of events of
one unit of (xᵢ - R)(xⱼ - R), at the rates R of the hypothesis; it is 0 for units with one event.
The variance u²/z² grows by that. Of two arms, either has at least what both together say of a
pair, and no arm varies more than Hoeffding's lemma allows, Σn²/4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from turnout.stats.likelihood import Share, divergence, restricted_to_difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from turnout.stats.totals import UnitTotals

#: Where clusters let more than one stretch of values survive, one of so many steps is seen to.
_STEPS = 16

#: A crossing is known to so much of itself; after so many steps to one side it is bisected.
_TOLERANCE = 1e-12
_PATIENCE = 4

Estimates: TypeAlias = "tuple[tuple[Share, float], ...]"
"""Each arm, and its most likely rate under a hypothesis."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one arm, or of two, and what lies below their estimate."""

    candidate: Share
    baseline: Share | None
    totals: tuple[UnitTotals, ...]

    @classmethod
    def of(cls, candidate: UnitTotals, baseline: UnitTotals | None) -> Rates:
        one = Share(candidate.n, candidate.total)
        if baseline is None:
            return cls(one, None, (candidate.about(0.0),))
        other = Share(baseline.n, baseline.total)
        return cls(one, other, (candidate.about(0.0), baseline.about(0.0)))

    @property
    def farthest(self) -> float:
        """From the estimate to the least value that there can be."""
        if self.baseline is None:
            return self.candidate.rate
        return self.candidate.rate + 1 - self.baseline.rate

    def room(self, critical: float) -> float:
        """The farthest below the estimate that the truth may lie, at this critical value of z."""
        near = _crossing(lambda u: critical - _score(u, self._rates(u)), 0.0, self.farthest)
        if not self._clustered:
            return near

        def slack(u: float) -> float:
            rates = self._rates(u)
            score = _score(u, rates)
            alone = u / score if score > 0 else math.inf
            return critical * math.sqrt(alone**2 + self._added(rates)) - u

        step = (self.farthest - near) / _STEPS
        outside = self.farthest
        for number in range(_STEPS):
            inside = self.farthest - number * step
            if slack(inside) >= 0:
                return _crossing(slack, inside, outside)
            outside = inside
        return _crossing(slack, near, outside)

    def _rates(self, u: float) -> Estimates:
        """Each arm, and its most likely rate so far below the estimate."""
        if self.baseline is None:
            return ((self.candidate, max(0.0, self.candidate.rate - u)),)
        value = max(-1.0, self.candidate.rate - self.baseline.rate - u)
        rate = restricted_to_difference(self.baseline, self.candidate, value)
        return (self.candidate, rate), (self.baseline, min(1.0, max(0.0, rate - value)))

    @property
    def _clustered(self) -> bool:
        return any(arm.n2 > arm.n for arm in self.totals)

    def _added(self, rates: Estimates) -> float:
        """What the events of a unit that go together add to the variance of the estimate."""
        arms = [(arm, rate) for arm, (_, rate) in zip(self.totals, rates, strict=True)]
        pairs = math.fsum(arm.n2 - arm.n for arm, _ in arms)
        shared = math.fsum(_covariance(arm, rate) for arm, rate in arms) / pairs
        added = 0.0
        for arm, rate in arms:
            most = arm.n2 / 4 - arm.n * rate * (1 - rate)
            own = max(_covariance(arm, rate), shared * (arm.n2 - arm.n))
            added += max(0.0, min(own, most)) / arm.n**2
        return added


def _score(u: float, rates: Estimates) -> float:
    """The lesser z of independent events."""
    variance = math.fsum(rate * (1 - rate) / arm.n for arm, rate in rates)
    score = u / math.sqrt(variance) if variance > 0 else math.inf
    ratio = math.fsum(divergence(arm, rate) for arm, rate in rates)
    return min(score, math.sqrt(2 * max(0.0, ratio)))


def _covariance(arm: UnitTotals, rate: float) -> float:
    """Σ(xᵢ - R)(xⱼ - R) over the pairs of events of one unit, events being 0 or 1."""
    return arm.x2 - arm.x - 2 * rate * (arm.xn - arm.x) + rate**2 * (arm.n2 - arm.n)


def _crossing(slack: Callable[[float], float], inside: float, outside: float) -> float:
    """Where the slack ends: by false position, whose end that stays is given half the weight
    (Illinois), and by bisection while the slack outside is infinite."""
    low, high = slack(inside), slack(outside)
    if high >= 0 or low <= 0:
        return outside if high >= 0 else inside
    stayed = 0
    while abs(outside - inside) > _TOLERANCE * abs(outside):
        middle = (inside + outside) / 2
        if math.isfinite(high) and abs(stayed) < _PATIENCE:
            middle = (inside * high - outside * low) / (high - low)
        value = slack(middle)
        if value >= 0:
            inside, low, stayed = middle, value, max(1, stayed + 1)
            high = high / 2 if stayed > 1 else high
        else:
            outside, high, stayed = middle, value, min(-1, stayed - 1)
            low = low / 2 if stayed < -1 else low
        if value == 0:
            break
    return inside
