"""When did a distribution become another? By counts per class or bin, in order of time.

Of all places at which the series can be parted in two, the one that explains it best: by the
likelihood ratio G² = 2 Σ n ln(n / e) of the two parts against the whole, which in the absence of
a change is about chi-squared with k - 1 degrees of freedom (Wilks 1938).
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import Final

from turnout.stats.arguments import BadArgument, require_between

_NORMAL: Final = NormalDist()


def changed_at(rows: Sequence[Sequence[int]], *, confidence: float = 0.99) -> int | None:
    """Where the later part begins; None where no change is shown, with this confidence shared
    among all places."""
    require_between(0.5, 1, confidence=confidence)
    if any(len(row) != len(rows[0]) for row in rows):
        raise BadArgument("rows", "are not all of the same bins")
    if len(rows) < 2:
        return None
    sums = list(accumulate(rows, lambda a, b: [x + y for x, y in zip(a, b, strict=True)]))
    whole = sums[-1]
    places = range(1, len(rows))
    ratios = [_ratio(sums[place - 1], whole) for place in places]
    best = max(places, key=lambda place: ratios[place - 1])
    freedom = sum(count > 0 for count in whole) - 1
    if freedom < 1:
        return None
    shown = ratios[best - 1] > _chi_squared(1 - (1 - confidence) / len(places), freedom)
    return best if shown else None


def _ratio(before: Sequence[int], whole: Sequence[int]) -> float:
    after = [all_ - part for all_, part in zip(whole, before, strict=True)]
    return 2 * (_entropy(before) + _entropy(after) - _entropy(whole))


def _entropy(counts: Sequence[int]) -> float:
    """Σ n ln(n / N), the log-likelihood of counts by their own shares."""
    total = sum(counts)
    return math.fsum(n * math.log(n / total) for n in counts if n)


def _chi_squared(confidence: float, freedom: int) -> float:
    """The quantile, by Wilson and Hilferty (1931): within 5 %, and nearer for more bins."""
    spread = 2 / (9 * freedom)
    root: float = 1 - spread + _NORMAL.inv_cdf(confidence) * math.sqrt(spread)
    return freedom * root**3
