"""Tail probabilities of the normal and of Student's t, with logarithms where they underflow."""

import math
from typing import assert_never

from scipy import special

from turnout.stats.anytime import Alternative


def tail(statistic: float, alternative: Alternative, df: float | None) -> tuple[float, float]:
    """The p-value of a z (df None) or a t statistic, and its log10, which does not underflow."""
    match alternative:
        case "greater":
            log_p = _log_upper(statistic, df)
        case "less":
            log_p = _log_upper(-statistic, df)
        case "two-sided":
            log_p = min(0.0, math.log(2) + _log_upper(abs(statistic), df))
        case _:
            assert_never(alternative)
    return math.exp(log_p), log_p / math.log(10)


def normal_score(statistic: float, df: float | None) -> float:
    """The z with the same tail: a t of few degrees is no z, and sequential bounds are for z."""
    if df is None:
        return statistic
    return math.copysign(float(special.ndtri_exp(_log_upper(abs(statistic), df))), statistic)


def student_score(z: float, df: float | None) -> float:
    """The t with the same tail as z, the inverse of `normal_score`; infinite where it has none."""
    if df is None:
        return z
    return -math.copysign(float(special.stdtrit(df, float(special.ndtr(-abs(z))))), -z)


def critical_value(confidence: float, alternative: Alternative, df: float | None) -> float:
    """What the statistic must exceed in absolute value to be significant."""
    alpha = (1 - confidence) / 2 if alternative == "two-sided" else 1 - confidence
    return -float(special.ndtri(alpha) if df is None else special.stdtrit(df, alpha))


def _log_upper(statistic: float, df: float | None) -> float:
    if df is None:
        return float(special.log_ndtr(-statistic))
    upper = float(special.stdtr(df, -statistic))
    if upper > 1e-290:
        return math.log(upper)
    # Half the regularised incomplete beta function at x = df/(df + t²), with a = df/2, b = 1/2.
    square = min(statistic, _LARGEST) ** 2
    return (
        -0.5 * df * math.log1p(square / df)
        + 0.5 * math.log(square / (df + square))
        - math.log(df)
        - float(special.betaln(0.5 * df, 0.5))
        + math.log(_beta_fraction(0.5 * df, 0.5, df / (df + square)))
    )


#: The square of a greater statistic is no number.
_LARGEST = 1e150


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.

    In a far tail x is below (a + 1)/(a + b + 2), where it converges within about √a steps.
    """
    numerator, denominator = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction, change = denominator, 0.0
    step = 2
    while abs(change - 1) > 1e-15:
        half = step // 2
        term = half * (b - half) if step % 2 == 0 else -(a + half) * (a + b + half)
        term *= x / ((a + step - 1) * (a + step))
        denominator = 1 / (1 + term * denominator)
        numerator = 1 + term / numerator
        change = numerator * denominator
        fraction *= change
        step += 1
    return fraction
