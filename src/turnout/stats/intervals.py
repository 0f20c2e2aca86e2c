"""The effects, absolute and relative, that a test over strata does not reject.

Each hypothetical effect is put to the test with the variance that it would bring itself, for
rates as for the null hypothesis (restricted maximum likelihood, in every stratum). At no effect
that variance is the one the test goes by, so an interval excludes 0 exactly when the statistic
exceeds the critical value: absolute and relative interval cannot contradict the test, nor each
other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from turnout.stats.effect import Effect, effect, weighted
from turnout.stats.estimates import Estimate, fieller
from turnout.stats.likelihood import Share
from turnout.stats.restricted import beyond, crossing, difference_error, ratio_error
from turnout.stats.tails import student_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from turnout.stats.effect import Stratum, Weighted
    from turnout.stats.goal import Interval
    from turnout.stats.totals import UnitTotals

#: No ratio is greater than this: the control may as well be 0.
_GREATEST_LOG_RATIO = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The effect divided by |control|. None where nothing is relative to a control of 0."""

    value: float | None
    interval: Interval


def difference(strata: Sequence[Stratum], *, proportion: bool, critical: float) -> Interval:
    """The interval of the effect at a critical value of z; (None, None) where it is unbounded."""
    found = effect(strata, proportion=proportion)
    if found is None or math.isinf(critical):
        return None, None
    if not proportion:
        reach = _student(critical, found) * math.sqrt(found.null_variance)
        return _finite(found.value - reach, found.value + reach)
    parts = weighted(strata, proportion=True)
    scale = _scale(parts, found, difference_error, 0.0)

    def slack(hypothesis: float) -> float:
        error = scale * _error(parts, difference_error, hypothesis)
        return critical * error - abs(found.value - hypothesis)

    return _end(slack, found.value, -1.0), _end(slack, found.value, 1.0)


def relative(strata: Sequence[Stratum], *, proportion: bool, critical: float) -> Lift:
    """The lift, by Fieller's argument at a critical value of z.

    An end is None where the control's own error leaves the lift unbounded.
    """
    found = effect(strata, proportion=proportion)
    if found is None or found.control == 0:
        return Lift(value=None, interval=(None, None))
    parts = weighted(strata, proportion=proportion)
    if math.isinf(critical):
        low, high = None, None
    elif proportion:
        low, high = _rate_ratios(parts, found, critical)
    else:
        low, high = _ratios(parts, found, critical)
    if found.control < 0:
        low, high = high, low
    size = math.copysign(1.0, found.control)
    return Lift(
        value=found.value / abs(found.control),
        interval=(
            None if low is None else size * (low - 1),
            None if high is None else size * (high - 1),
        ),
    )


def _ratios(parts: Sequence[Weighted], found: Effect, critical: float) -> Interval:
    control = math.fsum(part.weight**2 * part.control_variance for part in parts)
    # The arms' own variances, stretched to the one that the test goes by.
    stretch = found.null_variance / found.variance
    ratios = fieller(
        Estimate(found.control, control * stretch),
        Estimate(found.treatment, (found.variance - control) * stretch),
        _student(critical, found),
    )
    return (None, None) if ratios is None else _finite(*ratios)


def _rate_ratios(parts: Sequence[Weighted], found: Effect, critical: float) -> Interval:
    scale = _scale(parts, found, ratio_error, 1.0)

    def slack(log_ratio: float) -> float:
        ratio = math.exp(min(log_ratio, _GREATEST_LOG_RATIO))
        error = scale * _error(parts, ratio_error, ratio)
        distance = abs(found.treatment - ratio * found.control)
        return -math.inf if log_ratio > _GREATEST_LOG_RATIO else critical * error - distance

    inside = math.log(found.treatment / found.control) if found.treatment > 0 else -40.0
    low = 0.0
    if found.treatment > 0:
        lowest = max(-_GREATEST_LOG_RATIO, beyond(slack, inside, -1.0))
        low = math.exp(_end(slack, inside, lowest))
    highest = min(_GREATEST_LOG_RATIO, beyond(slack, inside, 1.0))
    high = _end(slack, inside, highest)
    return low, None if high == highest and slack(highest) > 0 else math.exp(high)


def _end(slack: Callable[[float], float], estimate: float, outside: float) -> float:
    """The end of an interval on one side, on a scale on which no effect is 0.

    What the test rejects may have gaps where arms are tiny. No effect lies on the side of them
    that the test has it on.
    """
    if min(estimate, outside) < 0 < max(estimate, outside):
        if slack(0.0) < 0:
            outside = 0.0
        else:
            estimate = 0.0
    return crossing(slack, estimate, outside)


def _error(
    parts: Sequence[Weighted],
    of: Callable[[Share, Share, float], float],
    hypothesis: float,
) -> float:
    return math.sqrt(
        math.fsum(
            (
                part.weight
                * of(_share(part.stratum.control), _share(part.stratum.treatment), hypothesis)
            )
            ** 2
            for part in parts
        )
    )


def _scale(
    parts: Sequence[Weighted],
    found: Effect,
    of: Callable[[Share, Share, float], float],
    null: float,
) -> float:
    """How much more than independent events the units vary, by their clustering."""
    return math.sqrt(found.null_variance) / _error(parts, of, null)


def _share(arm: UnitTotals) -> Share:
    return Share(arm.n, arm.total)


def _student(critical: float, found: Effect) -> float:
    return student_score(critical, found.degrees_of_freedom)


def _finite(low: float, high: float) -> Interval:
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)
