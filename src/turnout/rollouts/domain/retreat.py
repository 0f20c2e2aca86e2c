"""A rollback that takes its time: the share of the candidate goes down by quarters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from turnout.stats.verdict import Verdict

LONGEST: Final = timedelta(hours=1)
"""For so long at most may a candidate that does harm go on answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retreat:
    """When and why a rollback began, and how many quarters of its share the candidate has left.

    Three are left from the beginning, and none `over` that long after it.
    """

    began: datetime
    over: timedelta
    reason: str
    verdict: Verdict
    left: int = 3

    def due(self, now: datetime) -> int:
        """How many quarters are left by now; what a worker missed is made up for at once.

        A clock that was set back does not lengthen a rollback: one that says it is yet to begin
        counts as if it said how long ago it began.
        """
        thirds = 3 * abs(now - self.began) // self.over
        return max(0, min(self.left, 3 - thirds))

    @property
    def next_step(self) -> datetime:
        return self.began + self.over * (4 - self.left) / 3

    @property
    def ends(self) -> datetime:
        return self.began + self.over

    def of(self, weight: int) -> int:
        """What is left of a share."""
        return weight * self.left // 4
