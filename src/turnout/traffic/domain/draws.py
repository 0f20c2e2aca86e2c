"""Buckets for requests that no unit decides: at random, or in exact turns."""

import itertools
import math
from collections.abc import Callable, Sequence
from random import random

from turnout.quantities import BASIS_POINTS
from turnout.traffic.domain.split import Split, Spread


class RoundRobin:
    """Draws that give every variant its exact share in any full cycle, evenly interleaved.

    With weights that share the divisor g, a cycle has 10,000 / g draws, and each run of g buckets
    belongs to one variant. Stepping through the runs by a stride that has no divisor in common
    with the cycle meets every run once a cycle; a stride near the golden section of the cycle
    spreads them as evenly as can be. The state is one counter, advanced without a lock.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self.run = math.gcd(*weights)
        self.cycle = sum(weights) // self.run
        golden = self.cycle * (math.sqrt(5) - 1) / 2
        self.stride = min(
            (n for n in range(1, self.cycle + 1) if math.gcd(n, self.cycle) == 1),
            key=lambda n: abs(n - golden),
        )
        self._turns = itertools.count()

    def draw(self) -> int:
        return next(self._turns) * self.stride % self.cycle * self.run


def random_draw() -> int:
    return int(random() * BASIS_POINTS)  # noqa: S311  (traffic shares, not secrets)


def draws(split: Split) -> Callable[[], int]:
    """Where a split's draws come from; keep it as long as the split, for round robin counts."""
    if split.strategy is Spread.ROUND_ROBIN:
        return RoundRobin([variant.weight for variant in split.serving]).draw
    return random_draw
