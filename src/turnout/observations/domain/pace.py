"""How fast evidence comes in, for those who plan how much of it they need."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

PACE_OF: Final = timedelta(days=7)
"""The stretch that a pace is measured over: a whole week, so that every weekday counts once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of one model, over the last week or since its first prediction in it.

    `units_per_day` is how many different units come within that time, per day of it: a unit that
    comes back counts once. A prediction without a unit is a unit of its own.
    """

    units_per_day: float
    predictions_per_day: float
    measured_over: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDelay:
    """How long after a prediction its outcomes come: half of them, and nine in ten of them."""

    median: timedelta
    p90: timedelta
