"""A version that has had traffic and has none: something between its callers and it is broken, or
the day is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from turnout.observations.domain.cover import DAY, HOUR

SHORTEST: Final = timedelta(minutes=15)
"""Nobody is called for a pause that is shorter."""

MISSED: Final = 100
"""So many predictions would have come since, at the pace of the day before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A version whose last prediction came at `last_at`, to the minute, and its first, to the hour,
    at `first_at` or longer ago. `day` is how many it had in the 24 hours up to the last one.
    `usual_at` is this time of day, when it was last before the silence, and `usual` how many it had
    in the hour around that."""

    model_id: int
    version_id: int
    first_at: datetime
    last_at: datetime
    day: int
    usual_at: datetime
    usual: int

    def calls(self, now: datetime) -> bool:
        """Whether it is long enough to call for somebody.

        It has lasted a quarter of an hour, at least a hundred predictions are missing, and at this
        time of day there were some before, unless it is younger than that.
        """
        lasts = now - self.last_at
        busy = min(DAY, max(self.last_at - self.first_at, HOUR))
        if lasts < SHORTEST or self.day * (lasts / busy) < MISSED:
            return False
        return self.usual > 0 or self.first_at > self.usual_at - HOUR
