"""Score statistics of two proportions: their variance is that of the hypothesis itself.

The rates are estimated by maximum likelihood under the restriction that their difference
(Farrington & Manning, Statistics in Medicine 1990; Mee 1984) or their ratio (Koopman 1984;
Miettinen & Nurminen 1985) is the hypothetical one. At no difference both are the pooled rate, so
test, interval and relative interval agree with each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import optimize

from turnout.stats.likelihood import Sample, Share, restricted_to_difference

if TYPE_CHECKING:
    from collections.abc import Callable


def difference_error(control: Sample, treatment: Sample, difference: float) -> float:
    """The standard error of the difference of rates, if it were truly `difference`."""
    if 2 * (control.successes + treatment.successes) > control.n + treatment.n:
        # Failures have the same error, and near 1 their rate has digits that 1 - rate has lost.
        control, treatment, difference = _failures(control), _failures(treatment), -difference
    p = restricted_to_difference(control, treatment, difference)
    q = min(1.0, max(0.0, p - difference))
    return math.sqrt(p * (1 - p) / treatment.n + q * (1 - q) / control.n)


def difference_interval(control: Sample, treatment: Sample, critical: float) -> tuple[float, float]:
    """The differences that the score test does not reject at this critical value."""
    observed = treatment.rate - control.rate

    def slack(difference: float) -> float:
        return critical * difference_error(control, treatment, difference) - abs(
            observed - difference
        )

    # Without events nothing varies at the estimate itself, but it does a little beside it.
    aside = 0.0 if slack(observed) > 0 else 1e-6 * critical**2 / (control.n + treatment.n)
    return (
        crossing(slack, max(-1.0, observed - aside), -1.0),
        crossing(slack, min(1.0, observed + aside), 1.0),
    )


def ratio_interval(control: Sample, treatment: Sample, critical: float) -> tuple[float, float]:
    """The ratios treatment / control that the score test does not reject.

    The control must have events; its rate is what is divided by.
    """

    def slack(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        error = ratio_error(control, treatment, ratio)
        return critical * error - abs(treatment.rate - ratio * control.rate)

    if treatment.successes == 0:
        inside = math.log(1e-9 * critical**2 / (control.rate * treatment.n))
        return 0.0, math.exp(crossing(slack, inside, beyond(slack, inside, 1.0)))
    inside = math.log(treatment.rate / control.rate)
    low, high = beyond(slack, inside, -1.0), beyond(slack, inside, 1.0)
    return math.exp(crossing(slack, inside, low)), math.exp(crossing(slack, inside, high))


def ratio_error(control: Sample, treatment: Sample, ratio: float) -> float:
    """The standard error of treatment - ratio·control, if that were truly 0."""
    q = _restricted_to_ratio(control, treatment, ratio)
    p = min(1.0, ratio * q)
    return math.sqrt(p * (1 - p) / treatment.n + ratio**2 * q * (1 - q) / control.n)


def beyond(slack: Callable[[float], float], inside: float, step: float) -> float:
    """A point outside the interval, found by doubling steps."""
    while slack(inside + step) > 0:
        step *= 2
    return inside + step


def crossing(slack: Callable[[float], float], inside: float, outside: float) -> float:
    """Where the slack ends, from a point that is inside an interval to one that is not."""
    if slack(outside) >= 0 or slack(inside) <= 0:
        return outside if slack(outside) >= 0 else inside
    return float(optimize.brentq(slack, inside, outside, xtol=1e-15, rtol=1e-14))


def _failures(arm: Sample) -> Share:
    return Share(arm.n, arm.n - arm.successes)


def _restricted_to_ratio(control: Sample, treatment: Sample, ratio: float) -> float:
    """The control's rate of greatest likelihood: the lesser root of a quadratic."""
    successes = control.successes + treatment.successes
    a = (control.n + treatment.n) * ratio
    b = (treatment.n + control.successes) * ratio + treatment.successes + control.n
    q = 2 * successes / (b + math.sqrt(max(0.0, b * b - 4 * a * successes)))
    return min(1.0, 1 / ratio, q)
