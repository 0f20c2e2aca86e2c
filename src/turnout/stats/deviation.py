"""Is a figure unusual, by those of comparable times before it?

The spread of a few earlier figures is itself uncertain, so the distance is that of a prediction
interval, (x - mean) / (s √(1 + 1/k)), a Student's t with k - 1 degrees of freedom, and is told as
the number of standard deviations of a normal distribution that is as rare.
"""

import math
from collections.abc import Sequence

from turnout.stats.arguments import require_finite

FEWEST = 3
"""Earlier figures that it takes to know how they vary."""


def deviation(value: float, earlier: Sequence[float], *, counted: bool = False) -> float | None:
    """How many standard deviations above (or below) what is usual; None where that is not known.

    Figures that are `counted` vary at least as much as counts of independent events do.
    """
    require_finite(value=value, **{f"earlier_{k}": x for k, x in enumerate(earlier)})
    k = len(earlier)
    if k < FEWEST:
        return None
    mean = math.fsum(earlier) / k
    variance = math.fsum((x - mean) ** 2 for x in earlier) / (k - 1)
    if counted:
        variance = max(variance, mean, 1.0)
    # What differs by rounding does not differ.
    spread = max(math.sqrt(variance * (1 + 1 / k)), 1e-9 * abs(mean))
    if value == mean:
        return 0.0
    if spread == 0:
        return math.copysign(math.inf, value - mean)
    # Serving requests must not wait for scipy to load.
    from turnout.stats.tails import normal_score  # noqa: PLC0415

    return normal_score((value - mean) / spread, k - 1)
