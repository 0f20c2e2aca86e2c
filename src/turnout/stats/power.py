"""Before a test: how many units it needs, what it can detect, and with which chance.

The minimum detectable effect is absolute, n is the units of the control, and `ratio` is the
treatment's units over the control's. The tests are those of `comparison`, looked at once; a
sequential test needs `sequential.inflation` times as many units. Sizes are floats: round up.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, assert_never

from scipy import optimize, special

from turnout.stats.arguments import (
    BadArgument,
    require_between,
    require_finite,
    require_nonnegative,
    require_positive,
)
from turnout.stats.likelihood import Share
from turnout.stats.restricted import difference_error
from turnout.stats.tails import critical_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from turnout.stats.anytime import Alternative

#: No experiment has more units than this.
_MOST = 1e15

#: From here on Student's t is the normal, and the noncentral one costs digits instead.
_MANY_DEGREES = 1e6


def sample_size_proportions(
    baseline: float,
    minimum_detectable_effect: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    ratio: float = 1.0,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> float:
    """The units of the control with which the score test finds the effect this often."""
    power_of = partial(
        power_proportions,
        baseline,
        minimum_detectable_effect,
        confidence=confidence,
        ratio=ratio,
        alternative=alternative,
        margin=margin,
    )
    _require_something_to_find(minimum_detectable_effect, margin)
    return _least_n(power_of, power, confidence, fewest=1e-6)


def sample_size_means(
    standard_deviation: float,
    minimum_detectable_effect: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    ratio: float = 1.0,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> float:
    """The units of the control with which the t-test finds the effect this often."""
    power_of = partial(
        power_means,
        standard_deviation,
        minimum_detectable_effect,
        confidence=confidence,
        ratio=ratio,
        alternative=alternative,
        margin=margin,
    )
    _require_something_to_find(minimum_detectable_effect, margin)
    require_positive(ratio=ratio)
    return _least_n(power_of, power, confidence, fewest=3 / (1 + ratio))


def power_proportions(
    baseline: float,
    minimum_detectable_effect: float,
    n: float,
    *,
    confidence: float = 0.95,
    ratio: float = 1.0,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> float:
    """The chance that the score test finds the effect.

    Its variance is restricted under the hypothesis and free under the truth (Farrington &
    Manning 1990). With a margin the effect may be 0, as a test of non-inferiority is planned.
    """
    effect, null = _sides(minimum_detectable_effect, alternative, margin)
    require_between(0, 1, baseline=baseline, confidence=confidence)
    require_positive(n=n, ratio=ratio)
    changed = baseline + effect
    if not 0 < changed < 1:
        raise BadArgument(
            "minimum_detectable_effect",
            f"takes the rate from {baseline:g} to {changed:g}, which is not between 0 and 1",
        )
    if abs(null) >= 1:
        raise BadArgument("margin", f"must be below 1 for a difference of rates, not {margin}")
    hypothesis = difference_error(Share(1, baseline), Share(ratio, ratio * changed), null)
    truth = math.sqrt(baseline * (1 - baseline) + changed * (1 - changed) / ratio)
    reach = critical_value(confidence, alternative, None) * hypothesis / truth
    distance = (effect - null) * math.sqrt(n) / truth
    return _rejecting(lambda mean: float(special.ndtr(mean - reach)), distance, alternative)


def power_means(
    standard_deviation: float,
    minimum_detectable_effect: float,
    n: float,
    *,
    confidence: float = 0.95,
    ratio: float = 1.0,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> float:
    """The chance that the t-test finds the effect, for the same deviation in both arms."""
    effect, null = _sides(minimum_detectable_effect, alternative, margin)
    require_between(0, 1, confidence=confidence)
    require_positive(standard_deviation=standard_deviation, n=n, ratio=ratio)
    df = n * (1 + ratio) - 2
    if df <= 0:
        raise BadArgument("n", f"must be above {2 / (1 + ratio):g} for a t-test, not {n}")
    distance = (effect - null) / (standard_deviation * math.sqrt((1 + 1 / ratio) / n))
    if df > _MANY_DEGREES:
        z = critical_value(confidence, alternative, None)
        return _rejecting(lambda mean: float(special.ndtr(mean - z)), distance, alternative)
    t = critical_value(confidence, alternative, df)

    def above(mean: float) -> float:
        chance = float(special.nctdtr(df, -mean, -t))
        # So far from the critical value that it is 0 or 1, SciPy may have no answer.
        return float(special.ndtr(mean - t)) if math.isnan(chance) else chance

    return _rejecting(above, distance, alternative)


def minimum_detectable_effect(
    baseline: float,
    n: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
    ratio: float = 1.0,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> float:
    """The least change of a rate that n units of the control find this often.

    Upwards, or downwards with `less`.
    """
    require_between(0, 1, baseline=baseline, confidence=confidence)
    _require_power(power, confidence)

    def lacking(effect: float) -> float:
        return power - power_proportions(
            baseline,
            effect,
            n,
            confidence=confidence,
            ratio=ratio,
            alternative=alternative,
            margin=margin,
        )

    room = baseline if alternative == "less" else 1 - baseline
    least, most = 1e-12 * room, (1 - 1e-12) * room
    if lacking(least) <= 0:
        return 0.0
    if lacking(most) > 0:
        raise BadArgument("n", f"is too small: no change of {baseline:g} is found this often")
    return float(optimize.brentq(lacking, least, most, xtol=1e-15))


def _sides(effect: float, alternative: Alternative, margin: float) -> tuple[float, float]:
    """The signed effect, and the effect that the test rejects."""
    require_finite(minimum_detectable_effect=effect, margin=margin)
    if alternative == "two-sided":
        if margin != 0:
            raise BadArgument("margin", "needs a one-sided alternative")
        return effect, 0.0
    require_nonnegative(minimum_detectable_effect=effect)
    return (effect, -margin) if alternative == "greater" else (-effect, margin)


def _rejecting(above: Callable[[float], float], distance: float, alternative: Alternative) -> float:
    """`above` is the chance that a statistic with this mean exceeds the critical value."""
    match alternative:
        case "greater":
            return above(distance)
        case "less":
            return above(-distance)
        case "two-sided":
            return above(distance) + above(-distance)
        case _:
            assert_never(alternative)


def _least_n(
    power_of: Callable[[float], float], power: float, confidence: float, *, fewest: float
) -> float:
    _require_power(power, confidence)
    if power_of(fewest) >= power:
        return fewest
    if power_of(_MOST) < power:
        raise BadArgument("minimum_detectable_effect", f"needs more than {_MOST:g} units")
    log_n = optimize.brentq(
        lambda log_n: power_of(math.exp(log_n)) - power,
        math.log(fewest),
        math.log(_MOST),
        xtol=1e-12,
    )
    return math.exp(log_n)


def _require_power(power: float, confidence: float) -> None:
    require_between(0, 1, confidence=confidence)
    require_between(1 - confidence, 1, power=power)


def _require_something_to_find(effect: float, margin: float) -> None:
    require_finite(minimum_detectable_effect=effect, margin=margin)
    if effect == 0 and margin <= 0:
        raise BadArgument("minimum_detectable_effect", "must not be 0 unless there is a margin")
