"""Since when has something moved, and how far was it at each time of the window?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from turnout.stats.change import changed_at
from turnout.stats.drift import Divergence

STEPS: Final = 24

Hours = Mapping[datetime, Sequence[int]]
Measure = Callable[[Sequence[float], Sequence[float]], Divergence]
"""Of what is expected, and of what was observed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far it was in a part of the window, less what chance adds; nothing where nothing came."""

    since: datetime
    predictions: int
    distance: float | None


def steps(expected: Sequence[int], hours: Hours, measure: Measure) -> list[Step]:
    """The window in at most `STEPS` parts: of a day, its hours."""
    times = sorted(hours)
    each = -(-len(times) // STEPS) or 1
    parts = [times[first : first + each] for first in range(0, len(times), each)]
    return [_step(part[0], _sum([hours[at] for at in part]), expected, measure) for part in parts]


def onset(expected: Sequence[int], hours: Hours, measure: Measure, limit: float) -> datetime | None:
    """The hour from which on it has been too far, where it was not before.

    None where no hour of the window parts it so: it had moved before, or comes and goes.
    """
    times = [at for at in sorted(hours) if any(hours[at])]
    place = changed_at([hours[at] for at in times])
    if place is None:
        return None
    before, after = (
        measure(expected, _sum([hours[at] for at in part])).corrected
        for part in (times[:place], times[place:])
    )
    return times[place] if before <= limit < after else None


def _step(
    since: datetime, counts: Sequence[int], expected: Sequence[int], measure: Measure
) -> Step:
    known = any(counts)
    distance = measure(expected, counts).corrected if known else None
    return Step(since=since, predictions=sum(counts), distance=distance)


def _sum(rows: Sequence[Sequence[int]]) -> list[int]:
    return [sum(counts) for counts in zip(*rows, strict=True)]
