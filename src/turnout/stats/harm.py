"""How small a harm a guardrail will show, before the candidate runs.

Of a ratio, by the error spending of `spent_guardrail` over the planned time of a stage, in equal
steps; of a quantile, by the exact test of `bernoulli` at the end.
"""

from __future__ import annotations

import math
from functools import lru_cache

from scipy import optimize, special

from turnout.stats.bernoulli import fewest_that_show_more
from turnout.stats.sequential import inflation
from turnout.stats.spending import HwangShihDeCani
from turnout.stats.spent_guardrail import LATER, LOOKS, SPENT
from turnout.stats.tails import critical_value

SPENDING = HwangShihDeCani(-LATER)


@lru_cache(maxsize=64)
def detectable_drift(alpha: float, power: float) -> float:
    """How far beyond the limit, in standard errors at the end of the stage, harm must lie to be
    shown by then with this chance."""
    steps = [step / LOOKS for step in range(1, LOOKS + 1)]
    level = SPENT * alpha
    factor = inflation(steps, alpha=level, beta=1 - power, spending=SPENDING)
    reach = critical_value(1 - level, "greater", None) + critical_value(power, "greater", None)
    return math.sqrt(factor) * reach


def detectable_share(trials: int, share: float, *, alpha: float, power: float) -> float | None:
    """The least share of events, above the one allowed, that so many trials show with this chance.

    None where not even all of them would.
    """
    needed = fewest_that_show_more(trials, share, alpha)
    if needed is None:
        return None

    def lacking(truth: float) -> float:
        return power - float(special.bdtrc(needed - 1, trials, truth))

    return float(optimize.brentq(lacking, share, 1.0))
