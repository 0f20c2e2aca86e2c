"""What became of releases under one rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`rolled_back` is the window at whose end that was, counted from 0; `promoted` says whether
    the release went through its plan in the planned time."""

    rolled_back: int | None
    promoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of `of` releases."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of

    @property
    def error(self) -> float:
        """Standard error; where none or all were counted, that of one more or less."""
        count = min(max(self.count, 1), self.of - 1)
        share = count / self.of
        return math.sqrt(share * (1 - share) / self.of)

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ± {100 * self.error:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All releases of a scenario under one rule; what harms begins with window `onset`."""

    outcomes: Sequence[Outcome]
    windows: int
    onset: int = 0

    @property
    def rolled_back(self) -> Share:
        count = sum(outcome.rolled_back is not None for outcome in self.outcomes)
        return Share(count=count, of=len(self.outcomes))

    @property
    def premature(self) -> Share:
        """Rolled back before there was anything to find."""
        return Share(count=sum(end < self.onset for end in self._ends), of=len(self.outcomes))

    @property
    def caught(self) -> Share:
        return Share(count=len(self._delays), of=len(self.outcomes))

    @property
    def delay(self) -> float:
        """Windows from the onset to the rollback, on average over those that were caught."""
        return sum(self._delays) / len(self._delays) if self._delays else math.nan

    @property
    def slowest(self) -> int:
        """The delay that 95 % of those caught do not exceed."""
        return sorted(self._delays)[math.ceil(0.95 * len(self._delays)) - 1]

    @property
    def on_time(self) -> Share:
        return Share(count=sum(end.promoted for end in self.outcomes), of=len(self.outcomes))

    @property
    def until_promoted(self) -> float:
        """Windows until a release is through, if it is started again whenever it is rolled back;
        infinite where none gets through."""
        promoted = self.on_time.count
        wasted = sum(end + 1 for end in self._ends)
        return self.windows + wasted / promoted if promoted else math.inf

    @property
    def _ends(self) -> list[int]:
        return [end.rolled_back for end in self.outcomes if end.rolled_back is not None]

    @property
    def _delays(self) -> list[int]:
        return [end + 1 - self.onset for end in self._ends if end >= self.onset]
