"""The hybrid score interval of a difference of rates (Newcombe, Statistics in Medicine 1998).

Two Wilson intervals (1927), combined by their distances to the rates. It is narrow and never
empty, also without a single event.
"""

import math

from scipy import optimize

from turnout.stats.moments import Proportion

#: Beyond this the tail of the normal is zero in binary64.
_FARTHEST = 38.0


def interval(control: Proportion, treatment: Proportion, z: float) -> tuple[float, float]:
    p, q = treatment.rate, control.rate
    (p_low, p_high), (q_low, q_high) = _wilson(treatment, z), _wilson(control, z)
    return p - q - math.hypot(p - p_low, q_high - q), p - q + math.hypot(p_high - p, q - q_low)


def statistic(control: Proportion, treatment: Proportion, null: float) -> float:
    """The z at which the interval just touches the null, signed as the effect."""
    effect = treatment.rate - control.rate
    if effect == null:
        return 0.0
    side = 0 if effect > null else 1
    sign = 1.0 if effect > null else -1.0

    def distance(z: float) -> float:
        return sign * (interval(control, treatment, z)[side] - null)

    if distance(_FARTHEST) > 0:
        return sign * _FARTHEST
    return sign * float(optimize.brentq(distance, 0.0, _FARTHEST, xtol=1e-13))


def _wilson(arm: Proportion, z: float) -> tuple[float, float]:
    n, p = arm.n, arm.rate
    centre = p + z * z / (2 * n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)
