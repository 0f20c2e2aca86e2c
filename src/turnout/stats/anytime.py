"""Asymptotic confidence sequences: intervals that may be read at every tick.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences" (Annals of Statistics 2024, arXiv:2103.06476). The boundary is that of the
mixture SPRT with normal mixing (Robbins 1970); its width is near its least at `tuned_at`, and it
holds at every n. The tuning is part of the plan: changed on the way, it voids the guarantee.
"""

import math
from typing import Literal

from turnout.stats.arguments import (
    require_between,
    require_finite,
    require_nonnegative,
    require_positive,
)

Alternative = Literal["two-sided", "greater", "less"]


def boundary(n: float, *, alpha: float, tuned_at: float) -> float:
    """The one-sided critical value of z after n independent units.

    The chance that z ever exceeds it, over all n, is at most alpha in the limit of the central
    limit theorem. `n` is intrinsic time: any quantity in proportion to 1/variance serves.
    """
    require_positive(n=n, tuned_at=tuned_at)
    require_between(0, 0.5, alpha=alpha)
    r = n * _mixing_variance(2 * alpha, tuned_at)
    return math.sqrt(2 * (1 + r) / r * math.log1p(math.sqrt(1 + r) / (2 * alpha)))


def confidence_sequence(
    effect: float,
    standard_error: float,
    n: float,
    *,
    confidence: float,
    tuned_at: float,
    alternative: Alternative = "two-sided",
) -> tuple[float | None, float | None]:
    """The interval of this look; the open end of a one-sided one is None.

    All looks together miss the truth with a chance of at most 1 - confidence. `n` is the units
    of both arms.
    """
    _require(effect=effect, standard_error=standard_error, n=n, tuned_at=tuned_at)
    require_between(0, 1, confidence=confidence)
    alpha = 1 - confidence
    if alternative == "two-sided":
        r = n * _mixing_variance(alpha, tuned_at)
        critical = math.sqrt(2 * (1 + r) / r * (0.5 * math.log1p(r) - math.log(alpha)))
    else:
        critical = boundary(n, alpha=alpha, tuned_at=tuned_at)
    low, high = effect - critical * standard_error, effect + critical * standard_error
    return (
        None if alternative == "less" else low,
        None if alternative == "greater" else high,
    )


def anytime_p_value(
    effect: float,
    standard_error: float,
    n: float,
    *,
    confidence: float,
    tuned_at: float,
    alternative: Alternative = "two-sided",
) -> float | None:
    """The level at which this look's interval would just touch zero, under the same mixing.

    None when nothing varies (no standard error): such data decide nothing. The caller keeps the
    running minimum over the looks.
    """
    _require(effect=effect, standard_error=standard_error, n=n, tuned_at=tuned_at)
    require_between(0, 1, confidence=confidence)
    if standard_error == 0:
        return None
    z = effect / standard_error
    alpha = 1 - confidence
    if alternative == "two-sided":
        r = n * _mixing_variance(alpha, tuned_at)
        return math.exp(min(0.0, 0.5 * math.log1p(r) - z * z * r / (2 * (1 + r))))
    require_between(0, 0.5, alpha=alpha)
    r = n * _mixing_variance(2 * alpha, tuned_at)
    z = max(0.0, z if alternative == "greater" else -z)
    evidence = z * z * r / (2 * (1 + r))
    if evidence == 0:
        return 1.0
    # sqrt(1 + r) / (2 expm1(evidence)), without overflow of a strong result
    log_p = 0.5 * math.log1p(r) - math.log(2) - evidence - math.log(-math.expm1(-evidence))
    return math.exp(min(0.0, log_p))


def _mixing_variance(alpha: float, tuned_at: float) -> float:
    """ρ² that comes close to the least width at `tuned_at` (eq. 10 of the paper)."""
    return (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tuned_at


def _require(*, effect: float, standard_error: float, n: float, tuned_at: float) -> None:
    require_finite(effect=effect)
    require_nonnegative(standard_error=standard_error)
    require_positive(n=n, tuned_at=tuned_at)
