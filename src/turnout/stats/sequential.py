"""Group sequential tests by error spending: look when you like, within what has been spent.

Everything is one-sided: z-statistics grow with the effect looked for, `alpha` is the level of
that side, and a two-sided test is two of these at half its level. Fractions are of information,
Iₖ/Iₘₐₓ with I = 1/variance, never of time; the drift is the z expected at all of it. Bounds need
not be monotone where increments are uneven, and an infinite one means that nothing could stop
there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from scipy import optimize, special

from turnout.stats.arguments import (
    BadArgument,
    require_between,
    require_finite,
    require_nonnegative,
    require_positive,
)
from turnout.stats.futility import FutilityTest
from turnout.stats.recursion import Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from turnout.stats.recursion import Step
    from turnout.stats.spending import Spending

#: A look that adds less information than this is the look before, seen again.
LEAST_INCREMENT = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is kept of a look: from these a test resumes. Without a bound nothing stops there."""

    fraction: float
    bound: float | None
    spent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialTest:
    """A test under way: each look costs one step, however many there were before.

    `steps` are those of the walk, one for each look, for what is claimed once the test stops.
    """

    alpha: float
    spending: Spending
    looks: tuple[Look, ...] = ()
    steps: tuple[Step, ...] = field(default=(), repr=False, compare=False)
    _walk: Walk = field(default_factory=Walk, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_between(0, 1, alpha=self.alpha)

    @classmethod
    def resumed(cls, looks: Iterable[Look], *, alpha: float, spending: Spending) -> SequentialTest:
        """Take up a test where it was left; its bounds stand as they were found."""
        test = cls(alpha=alpha, spending=spending)
        for look in looks:
            high = math.inf if look.bound is None else look.bound
            step = test._walk.step(look.fraction)
            test = test._stepped(look, step, high)
        return test

    def look(
        self, fraction: float, *, elapsed: float | None = None, final: bool = False
    ) -> SequentialTest:
        """The test after one more look; the last of `looks` has its bound.

        What it spends goes by the fraction, or by the share of the plan that has `elapsed` where
        that is planned in units or days; the correlation of the looks is by the fraction alone. A
        `final` look spends all that is left, as one at the end of the plan does. Information
        beyond the plan spends no more than alpha. Where information did not grow, nothing is
        spent and the test is the same.
        """
        require_positive(fraction=fraction)
        if fraction - self._walk.fraction < LEAST_INCREMENT and self.looks:
            return self
        due = min(1.0, fraction if elapsed is None else elapsed)
        spent = self.alpha if final else self.spending.spent(due, self.alpha)
        before = self.looks[-1].spent if self.looks else 0.0
        step = self._walk.step(fraction)
        bound = step.upper_bound(max(0.0, spent - before))
        look = Look(
            fraction=fraction,
            bound=bound if math.isfinite(bound) else None,
            spent=max(spent, before),
        )
        return self._stepped(look, step, bound)

    def _stepped(self, look: Look, step: Step, high: float) -> SequentialTest:
        return replace(
            self,
            looks=(*self.looks, look),
            steps=(*self.steps, step),
            _walk=step.stop(high=high),
        )


@dataclass(frozen=True, slots=True)
class ExitProbabilities:
    """By look, the probability of stopping there above or below."""

    upper: tuple[float, ...]
    lower: tuple[float, ...]


def boundaries(
    fractions: Sequence[float], *, alpha: float, spending: Spending, final: bool = False
) -> tuple[float, ...]:
    """Upper bounds of z at a schedule of looks.

    A schedule that ends before all the information keeps the rest of alpha for later, unless its
    last look is `final`.
    """
    _require_schedule(fractions)
    test = SequentialTest(alpha=alpha, spending=spending)
    bounds = []
    for fraction in fractions:
        test = test.look(fraction, final=final and fraction == fractions[-1])
        bound = test.looks[-1].bound
        bounds.append(math.inf if bound is None else bound)
    return tuple(bounds)


def futility_boundaries(
    fractions: Sequence[float],
    *,
    alpha: float,
    beta: float,
    spending: Spending,
    futility: Spending,
    drift: float,
) -> tuple[float, ...]:
    """Lower bounds of z, below which the effect looked for is as good as excluded.

    They spend beta under `drift` (Pampallona, Tsiatis & Kim 2001) and do not bind: the upper
    bounds are found without them, so who goes on all the same inflates nothing. No lower bound
    lies above its upper one; with the drift of `inflation` they meet at the last look.
    """
    require_finite(drift=drift)
    uppers = boundaries(fractions, alpha=alpha, spending=spending, final=True)
    return _futility(fractions, uppers, beta=beta, futility=futility, drift=drift)[0]


def exit_probabilities(
    fractions: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float] | None,
    drift: float,
) -> ExitProbabilities:
    """The probabilities of each way to stop, under a drift. `lower` None: none."""
    _require_schedule(fractions)
    require_finite(drift=drift)
    floor = [-math.inf] * len(fractions) if lower is None else lower
    for argument, bounds in (("upper", upper), ("lower", floor)):
        if len(bounds) != len(fractions) or any(map(math.isnan, bounds)):
            raise BadArgument(argument, f"must have a bound for each of {len(fractions)} looks")
    walk = Walk()
    above, below = [], []
    for fraction, high, low in zip(fractions, upper, floor, strict=True):
        if low > high:
            raise BadArgument("lower", f"lies above the upper bound at fraction {fraction:g}")
        shift = drift * math.sqrt(fraction)
        step = walk.step(fraction)
        above.append(step.above(high - shift))
        below.append(step.below(low - shift))
        walk = step.stop(low=low - shift, high=high - shift)
    return ExitProbabilities(tuple(above), tuple(below))


def sequential_p_value(
    z: Sequence[float], fractions: Sequence[float], *, spending: Spending
) -> float:
    """The smallest one-sided level at which some look so far would have stopped the test.

    It may be read at every look, never rises from one to the next, and goes into Holm's or any
    other procedure on p-values (Liu & Anderson 2008; Maurer & Bretz 2013).
    """
    _require_schedule(fractions)
    if len(z) != len(fractions):
        raise BadArgument("z", f"must have one value for each of {len(fractions)} looks")
    for value in z:
        require_finite(z=value)

    def excess(log_level: float) -> float:
        bounds = boundaries(fractions, alpha=math.exp(log_level), spending=spending)
        return max(
            max(min(value - bound, 99.0), -99.0) for value, bound in zip(z, bounds, strict=True)
        )

    # No level below that of the best look alone can stop the test.
    low = max(-650.0, float(special.log_ndtr(-max(z))))
    if excess(low) >= 0:
        return math.exp(low)
    high = low
    while high < _LOG_ALL:
        low, high = high, min(_LOG_ALL, high + 2)
        if excess(high) >= 0:
            return math.exp(optimize.brentq(excess, low, high, xtol=1e-9))
    return 1.0


_LOG_ALL = math.log(0.999)


def inflation(
    fractions: Sequence[float],
    *,
    alpha: float,
    beta: float,
    spending: Spending,
    futility: Spending | None = None,
) -> float:
    """How much more information than a single look the schedule needs at most, for its power.

    The factor is of ((z₁₋α + z₁₋β)/effect)², and √factor·(z₁₋α + z₁₋β) is the design's drift.
    """
    require_between(0, 1, alpha=alpha, beta=beta)
    single = -float(special.ndtri(alpha) + special.ndtri(beta))
    if single <= 0:
        raise BadArgument("beta", f"must be below 1 - alpha, or no data are needed, not {beta}")
    uppers = boundaries(fractions, alpha=alpha, spending=spending, final=True)

    def missed(drift: float) -> float:
        """By how much the chance to end without a finding exceeds beta."""
        if futility is None:
            return 1 - beta - sum(exit_probabilities(fractions, uppers, None, drift).upper)
        return _futility(fractions, uppers, beta=beta, futility=futility, drift=drift)[1]

    drift = optimize.brentq(missed, 0.99 * single, 4 * single, xtol=1e-10)
    return float((drift / single) ** 2)


def conditional_power(z: float, fraction: float, *, critical: float, drift: float) -> float:
    """The chance that one last look, at all the information, exceeds `critical`, given z now.

    Under the design's drift, or under the trend z/√fraction (Lan & Wittes 1988).
    """
    require_finite(z=z, critical=critical, drift=drift)
    return _chance(z, fraction, critical, mean=drift, variance=0.0)


def predictive_power(
    z: float, fraction: float, *, critical: float, prior: tuple[float, float] | None = None
) -> float:
    """Conditional power over what is believed about the drift now that z was seen.

    `prior` is the mean and standard deviation of a normal belief before any data; None is a flat
    one (Spiegelhalter, Freedman & Blackburn 1986). For display: beta spending decides.
    """
    require_finite(z=z, critical=critical)
    require_positive(fraction=fraction)
    precision, weighted = fraction, z * math.sqrt(fraction)
    if prior is not None:
        mean, deviation = prior
        require_finite(prior_mean=mean)
        require_positive(prior_standard_deviation=deviation)
        precision += deviation**-2
        weighted += mean * deviation**-2
    return _chance(z, fraction, critical, mean=weighted / precision, variance=1 / precision)


def _chance(z: float, fraction: float, critical: float, *, mean: float, variance: float) -> float:
    """P(B(1) >= critical) for a Brownian motion that is at z√t, with a normal drift."""
    require_positive(fraction=fraction)
    rest = 1 - fraction
    if rest <= 0:
        return 1.0 if z >= critical else 0.0
    expected = z * math.sqrt(fraction) + mean * rest
    return float(special.ndtr((expected - critical) / math.sqrt(rest + variance * rest**2)))


def _futility(
    fractions: Sequence[float],
    uppers: Sequence[float],
    *,
    beta: float,
    futility: Spending,
    drift: float,
) -> tuple[tuple[float, ...], float]:
    """The lower bounds, and how much of the chance to end below the last upper bound beta lacks."""
    test = FutilityTest(beta=beta, spending=futility, drift=drift)
    bounds = []
    for fraction, upper in zip(fractions, uppers, strict=True):
        test = test.look(fraction, upper=upper)
        bounds.append(test.bound)
    return tuple(bounds), test.missed - beta


def least_beta(
    fractions: Sequence[float],
    *,
    alpha: float,
    spending: Spending,
    futility: Spending,
    drift: float,
) -> float:
    """The beta with which the bounds meet at the last look, for information that is given.

    The other way round than `inflation`, which finds the information for a beta. At most
    1 - alpha, the beta of a test that has nothing to find.
    """
    require_between(0, 1, alpha=alpha)
    require_nonnegative(drift=drift)
    uppers = boundaries(fractions, alpha=alpha, spending=spending, final=True)

    @cache
    def lacking(score: float) -> float:
        """Both betas as normal scores, of which one hardly depends on the other."""
        beta = float(special.ndtr(score))
        excess = _futility(fractions, uppers, beta=beta, futility=futility, drift=drift)[1]
        return float(special.ndtri(min(beta + excess, _MOST_BETA))) - score

    # No test misses less than a single look does.
    single = -float(special.ndtri(alpha)) - drift
    low = max(float(special.ndtri(_LEAST_BETA)), single)
    high = -float(special.ndtri(alpha))
    if lacking(low) <= 0 or lacking(high) >= 0:
        return float(special.ndtr(low if lacking(low) <= 0 else high))
    return float(special.ndtr(optimize.brentq(lacking, low, high, xtol=1e-7)))


#: Below this no design is worth telling from another.
_LEAST_BETA = 1e-12
_MOST_BETA = 1 - _LEAST_BETA


def _require_schedule(fractions: Sequence[float]) -> None:
    if not fractions:
        raise BadArgument("fractions", "must hold at least one look")
    for fraction in fractions:
        require_positive(fractions=fraction)
    if any(later - earlier < LEAST_INCREMENT for earlier, later in pairwise(fractions)):
        raise BadArgument("fractions", f"must rise by at least {LEAST_INCREMENT:g} at every look")
