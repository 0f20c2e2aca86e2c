"""When a guardrail may show harm, inside a stage of known length and beyond it.

The error rate alpha of a guardrail is divided, once and for all, among three accounts, and each
keeps its promise whatever the others do, so that an innocent candidate fails with a chance of at
most alpha (Boole):

- `SPENT`, by one-sided error spending over the planned time of the stage, a little later than in
  proportion to the time served (Hwang, Shih & DeCani 1990, γ = -¾; Lan & DeMets 1989 for spending
  by the calendar). It finds moderate harm twice as often as a confidence sequence of the same
  level. The plan is for `LOOKS` looks; in between nothing is spent, and after the planned time
  nothing is left.
- `SEQUENCE`, by a confidence sequence over the whole stage: it is read at every tick and has no
  end, so it also watches a stage that is over its time, paused, or waiting for an approval.
- `CHANGE`, by sequences that start afresh again and again (`restarts`): they see a candidate
  that fails after it was healthy for long.

The z-statistics of the spending test are correlated by √(I₁/I₂), with information that is counted
the way in which it grows most. Units that come again bring less than that, and a correlation that
is truly higher makes a crossing less likely (Slepian 1962): the error goes to the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from turnout.stats.score import clocks

if TYPE_CHECKING:
    from turnout.stats.recursion import Step
    from turnout.stats.totals import UnitTotals

SPENT: Final = 0.90
SEQUENCE: Final = 0.05
CHANGE: Final = 0.05

LOOKS: Final = 50

#: A look counts only if it brings so much more information, in proportion to what there was.
LEAST_GROWTH: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """The looks that counted, as the next one must know them; empty before the first.

    `share` is the part of the planned time that had been served at the last one, and with it the
    part of the account that is spent. `clocks` are its measures of information, `information` is
    their common scale at all looks. Without a bound nothing could stop there.
    """

    share: float = 0.0
    clocks: tuple[float, float] | None = None
    information: tuple[float, ...] = ()
    bounds: tuple[float | None, ...] = ()

    def look(
        self, candidate: UnitTotals, baseline: UnitTotals | None, *, share: float, alpha: float
    ) -> tuple[Spending, float | None]:
        """The critical value of z at a look after this share of the planned time, if it counts.

        A look counts once a fiftieth of the time has passed since the last one, or all of it, and
        information has grown; it depends on nothing else that was seen.
        """
        served = min(1.0, share)
        due = served - self.share >= 1 / LOOKS or self.share < served == 1.0
        now = clocks(candidate, baseline)
        growth = self._growth(now)
        if not due or growth < 1 + LEAST_GROWTH:
            return self, None
        information = round(growth * self.information[-1], 6) if self.information else 1.0
        probability = SPENT * alpha * (_spent(served) - _spent(self.share))
        bound = _bound(self.information, self.bounds, information, probability)
        spending = Spending(
            share=served,
            clocks=now,
            information=(*self.information, information),
            bounds=(*self.bounds, bound),
        )
        return spending, bound

    def _growth(self, now: tuple[float, float]) -> float:
        if self.clocks is None:
            return 1 + LEAST_GROWTH
        return max(new / old for new, old in zip(now, self.clocks, strict=True))


#: Of Hwang, Shih & DeCani's family, -γ: how much later than in proportion to time.
LATER: Final = 0.75


def _spent(share: float) -> float:
    """The part of the account that is spent after this share of the planned time."""
    return math.expm1(LATER * share) / math.expm1(LATER)


# Guardrails of one stage are looked at together, and mostly rest on the same numbers of units and
# events; so they share their bounds, and each look adds one step to a walk that is at hand. A
# process that has not seen the earlier looks walks through them once.


@lru_cache(maxsize=2048)
def _bound(
    information: tuple[float, ...],
    bounds: tuple[float | None, ...],
    now: float,
    probability: float,
) -> float | None:
    """Rounded up: what is kept of a stage's looks is read at every tick."""
    bound = _step(information, bounds, now).upper_bound(probability)
    return math.ceil(bound * 1e6) / 1e6 if bound < _OUT_OF_REACH else None


@lru_cache(maxsize=2048)
def _step(information: tuple[float, ...], bounds: tuple[float | None, ...], now: float) -> Step:
    # Most of what imports this judges nothing, and must not wait for numpy and scipy to load.
    from turnout.stats.recursion import FARTHEST, Walk  # noqa: PLC0415

    if not information:
        return Walk().step(now)
    last = bounds[-1]
    before = _step(information[:-1], bounds[:-1], information[-1])
    return before.stop(high=FARTHEST if last is None else last).step(now)


#: What no z-statistic comes to; JSON has no infinity.
_OUT_OF_REACH: Final = 38.0
