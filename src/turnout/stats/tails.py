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
    # Half the regularised incomplete beta I(df/2, 1/2) at x, from the first factor of its series
    # (DLMF 8.17.8); in this tail x is small and the series converges at once.
    x = df / (df + statistic * statistic)
    return (
        0.5 * df * math.log(x)
        + 0.5 * math.log1p(-x)
        - math.log(df)
        - float(special.betaln(0.5 * df, 0.5))
        + math.log(float(special.hyp2f1(0.5 * df + 0.5, 1, 0.5 * df + 1, x)))
    )
