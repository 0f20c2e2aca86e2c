"""A unit's bucket, and buckets for requests that no unit decides: at random, or in exact turns.

The service and the client that assigns by itself have this in common; it imports neither.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from random import random
from typing import Final

from xxhash import xxh64_intdigest

BUCKETS: Final = 10_000


def bucket(salt: str, unit: str) -> int:
    """A unit's place in 0 to 9,999: xxh64, seed 0, of `salt:unit` in UTF-8, modulo 10,000."""
    return xxh64_intdigest(f"{salt}:{unit}".encode()) % BUCKETS


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
    return int(random() * BUCKETS)  # noqa: S311  (traffic shares, not secrets)
