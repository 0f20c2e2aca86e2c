"""Buckets for requests that no unit decides: at random, or in exact turns."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache
from random import random

from turnout.quantities import BASIS_POINTS
from turnout.traffic.domain.split import Split, Spread


class RoundRobin:
    """Draws that give every variant its exact share in any full cycle, evenly interleaved.

    With weights that share the divisor g, a cycle has 10,000 / g draws, and each run of g buckets
    belongs to one variant. Stepping through the runs by a stride that has no divisor in common
    with the cycle meets every run once a cycle. The state is one counter, advanced without a lock.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._run = math.gcd(*weights)
        self._cycle = sum(weights) // self._run
        self._stride = even_stride(self._cycle)
        self._turns = itertools.count()

    def draw(self) -> int:
        return next(self._turns) * self._stride % self._cycle * self._run


@cache
def even_stride(cycle: int) -> int:
    """Find the stride whose multiples are spread most evenly over the cycle.

    How far such a sequence strays from even is bounded by the sum of the partial quotients of
    stride / cycle as a continued fraction (Zaremba 1966), so the smallest sum is taken.
    """
    coprime = (stride for stride in range(1, cycle + 1) if math.gcd(stride, cycle) == 1)
    return min(coprime, key=lambda stride: _sum_of_quotients(cycle, stride))


def _sum_of_quotients(a: int, b: int) -> int:
    total = 0
    while b:
        total += a // b
        a, b = b, a % b
    return total


def random_draw() -> int:
    return int(random() * BASIS_POINTS)  # noqa: S311  (traffic shares, not secrets)


def draws(split: Split) -> Callable[[], int]:
    """Where a split's draws come from; keep it as long as the split, for round robin counts."""
    if split.strategy is Spread.ROUND_ROBIN:
        return RoundRobin([variant.weight for variant in split.serving]).draw
    return random_draw
