"""Stopping for futility, by spending the type II error: one look at a time, as it comes.

A lower bound of z lies where the effect looked for is as good as excluded. It is found under the
drift of the design, among the walks that no earlier look stopped on either side (Pampallona,
Tsiatis & Kim 2001), and does not bind: upper bounds are found without it, so who goes on all the
same inflates nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from turnout.stats.arguments import require_between, require_finite
from turnout.stats.recursion import FARTHEST, Walk

if TYPE_CHECKING:
    from turnout.stats.spending import Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class FutilityTest:
    """A search under way. `bound` is that of its last look, infinitely low where nothing stops.

    `missed` is the chance to have ended, under the drift, below either bound by the last look,
    were its upper bound the end. A drift for which that is all of beta makes the bounds meet.
    """

    beta: float
    spending: Spending
    drift: float
    spent: float = 0.0
    bound: float = -math.inf
    missed: float = 0.0
    _walk: Walk = field(default_factory=Walk, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_between(0, 1, beta=self.beta)
        require_finite(drift=self.drift)

    def look(
        self,
        fraction: float,
        *,
        upper: float,
        elapsed: float | None = None,
        final: bool = False,
    ) -> FutilityTest:
        """The search after one more look, at which `upper` stops it for efficacy.

        What it spends goes by `elapsed`, or else by the fraction. `final` spends all of beta.
        """
        shift = self.drift * math.sqrt(fraction)
        due = min(1.0, fraction if elapsed is None else elapsed)
        spent = self.beta if final else max(self.spent, self.spending.spent(due, self.beta))
        step = self._walk.step(fraction)
        bound = min(upper - shift, step.lower_bound(spent - self.spent))
        # A bound that cannot be reached is followed as far as numbers go: a later one may be.
        walk = step.stop(low=max(bound, -FARTHEST), high=upper - shift)
        return replace(
            self,
            spent=spent,
            bound=min(upper, bound + shift),
            missed=self.spent + step.below(upper - shift),
            _walk=walk,
        )
