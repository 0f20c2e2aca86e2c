"""How far a distribution has moved from the one it is held against, by counts per class or bin.

In nats. Sampling alone moves small samples: of two samples of n and m from one distribution over
k bins the index is about (k - 1)(1/n + 1/m).
"""

import math
from collections.abc import Sequence

from turnout.stats.arguments import BadArgument, require_nonnegative


def population_stability_index(expected: Sequence[float], observed: Sequence[float]) -> float:
    """Σ (o - e) ln(o/e) over the shares: 0.1 is a shift, 0.2 a large one."""
    e, o = _shares(expected=expected, observed=observed, smooth=True)
    return max(0.0, math.fsum((b - a) * math.log(b / a) for a, b in zip(e, o, strict=True)))


def kl_divergence(p: Sequence[float], q: Sequence[float]) -> float:
    """Σ p ln(p/q) over the shares: what it costs to take q for the truth that is p."""
    a, b = _shares(p=p, q=q, smooth=any(y == 0 < x for x, y in zip(p, q, strict=False)))
    return _divergence(a, b)


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """The mean divergence of both from their middle: symmetrical, between 0 and ln 2."""
    a, b = _shares(p=p, q=q, smooth=False)
    middle = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    return (_divergence(a, middle) + _divergence(b, middle)) / 2


def _divergence(p: Sequence[float], q: Sequence[float]) -> float:
    terms = (x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)
    return max(0.0, math.fsum(terms))


def _shares(*, smooth: bool, **counts: Sequence[float]) -> list[list[float]]:
    """Of the bins that either side has; an empty one beside a full one weighs half a count."""
    (_, first), (argument, second) = counts.items()
    if len(first) != len(second):
        raise BadArgument(argument, f"has {len(second)} bins where the other has {len(first)}")
    for name, series in counts.items():
        for count in series:
            require_nonnegative(**{name: count})
        if not any(series):
            raise BadArgument(name, "counts nothing")
    bins = [(x, y) for x, y in zip(first, second, strict=True) if x or y]
    half = 0.5 if smooth and any(x == 0 or y == 0 for x, y in bins) else 0.0
    shares = []
    for series in zip(*bins, strict=True):
        total = math.fsum(series) + half * len(bins)
        shares.append([(count + half) / total for count in series])
    return shares
