"""Where the buckets of requests come from that no unit decides."""

from collections.abc import Callable

from turnout.buckets import RoundRobin, random_draw
from turnout.traffic.domain.split import Split, Spread


def draws(split: Split) -> Callable[[], int]:
    """Where a split's draws come from; keep it as long as the split, for round robin counts."""
    if split.strategy is Spread.ROUND_ROBIN:
        return RoundRobin([variant.weight for variant in split.serving]).draw
    return random_draw
