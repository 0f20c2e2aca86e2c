"""How far a distribution has moved from the one it is held against, by counts per class or bin.

In nats. Sampling alone moves small samples: of two samples of n and m from one distribution over
k bins the index is about (k - 1)(1/n + 1/m), because n·m/(n + m) times the index is then about
chi-squared with k - 1 degrees of freedom (Yurdakul and Naranjo 2020). So a divergence comes with
what chance adds to it and with its standard error, by the delta method.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import Final

from turnout.stats.arguments import BadArgument, require_between, require_nonnegative

_Shares = list[float]
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """`value` as it is computed, of which `noise` is what chance adds on average."""

    value: float
    noise: float
    error: float

    @property
    def corrected(self) -> float:
        return max(0.0, self.value - self.noise)

    def at_least(self, confidence: float) -> float:
        """What the divergence behind these samples is at least, with this confidence."""
        require_between(0.5, 1, confidence=confidence)
        return max(0.0, self.value - self.noise - _NORMAL.inv_cdf(confidence) * self.error)


def population_stability_index(expected: Sequence[float], observed: Sequence[float]) -> float:
    """Σ (o - e) ln(o/e) over the shares: 0.1 is a shift, 0.2 a large one."""
    e, o = _shares(expected=expected, observed=observed, smooth=True)
    return _index(e, o)


def stability(expected: Sequence[float], observed: Sequence[float]) -> Divergence:
    """The population stability index, and what is to be thought of it."""
    e, o = _shares(expected=expected, observed=observed, smooth=True)
    by_observed = [math.log(y / x) + 1 - x / y for x, y in zip(e, o, strict=True)]
    by_expected = [math.log(x / y) + 1 - y / x for x, y in zip(e, o, strict=True)]
    n, m = math.fsum(observed), math.fsum(expected)
    freedom, sampling = len(e) - 1, 1 / n + 1 / m
    variance = _variance(o, by_observed) / n + _variance(e, by_expected) / m
    return Divergence(
        value=_index(e, o),
        noise=freedom * sampling,
        error=math.sqrt(variance + 2 * freedom * sampling**2),
    )


def kl_divergence(p: Sequence[float], q: Sequence[float]) -> float:
    """Σ p ln(p/q) over the shares: what it costs to take q for the truth that is p."""
    a, b = _shares(p=p, q=q, smooth=any(y == 0 < x for x, y in zip(p, q, strict=False)))
    return _divergence(a, b)


def divergence(p: Sequence[float], q: Sequence[float]) -> Divergence:
    """The KL divergence, and what is to be thought of it: chance adds half as much to it as to
    the index, which is the sum of both directions."""
    a, b = _shares(p=p, q=q, smooth=any(y == 0 < x for x, y in zip(p, q, strict=False)))
    by_p = [math.log(x / y) if x else 0.0 for x, y in zip(a, b, strict=True)]
    by_q = [-x / y if y else 0.0 for x, y in zip(a, b, strict=True)]
    n, m = math.fsum(p), math.fsum(q)
    freedom, sampling = len(a) - 1, 1 / n + 1 / m
    variance = _variance(a, by_p) / n + _variance(b, by_q) / m
    return Divergence(
        value=_divergence(a, b),
        noise=freedom * sampling / 2,
        error=math.sqrt(variance + freedom * sampling**2 / 2),
    )


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """The mean divergence of both from their middle: symmetrical, between 0 and ln 2."""
    a, b = _shares(p=p, q=q, smooth=False)
    middle = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    return (_divergence(a, middle) + _divergence(b, middle)) / 2


def kolmogorov_smirnov(p: Sequence[float], q: Sequence[float]) -> float:
    """sup |F - G| over the edges of ordered bins: the statistic of the two-sample test, or a
    little less, where the two differ most within a bin."""
    a, b = _shares(p=p, q=q, smooth=False)
    below = accumulate(x - y for x, y in zip(a, b, strict=True))
    return min(1.0, max(abs(difference) for difference in below))


def total_variation(p: Sequence[float], q: Sequence[float]) -> float:
    """½ Σ |p - q| over the shares: the part of one that would have to change to make the other."""
    a, b = _shares(p=p, q=q, smooth=False)
    return min(1.0, math.fsum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2)


def _index(e: _Shares, o: _Shares) -> float:
    return max(0.0, math.fsum((b - a) * math.log(b / a) for a, b in zip(e, o, strict=True)))


def _divergence(p: Sequence[float], q: Sequence[float]) -> float:
    terms = (x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)
    return max(0.0, math.fsum(terms))


def _variance(shares: _Shares, values: Sequence[float]) -> float:
    mean = math.fsum(x * y for x, y in zip(shares, values, strict=True))
    return math.fsum(x * (y - mean) ** 2 for x, y in zip(shares, values, strict=True))


def _shares(*, smooth: bool, **counts: Sequence[float]) -> list[_Shares]:
    """Of the bins that either side has; an empty one beside a full one weighs half a count."""
    (_, first), (argument, second) = counts.items()
    if len(first) != len(second):
        raise BadArgument(argument, f"has {len(second)} bins where the other has {len(first)}")
    for name, series in counts.items():
        if not (min(series, default=0) >= 0 and math.isfinite(sum(series))):
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
