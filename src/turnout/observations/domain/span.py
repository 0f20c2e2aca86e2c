"""The stretch of time that is recorded, and the day that a row is kept under."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from turnout.observations.domain.batch import Flaw
from turnout.observations.domain.prediction import UUID_LENGTH, time_of_id

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of callers may run ahead of the server's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The times that are recorded, up to a little after `now`."""

    now: datetime
    oldest: datetime
    newest: datetime

    @classmethod
    def kept(cls, now: datetime, retention: timedelta) -> "Span":
        return cls(now=now, oldest=now - retention, newest=now + CLOCK_SKEW)

    def flaw(self, at: datetime) -> Flaw | None:
        if at > self.newest:
            clock = self.now.astimezone(UTC)
            return Flaw("at", f"lies in the future: the server's clock says {clock:%FT%TZ}")
        if at < self.oldest:
            days = (self.now - self.oldest).days
            return Flaw("at", f"lies too far back: observations are kept for {days} days")
        return None

    def day_of(self, prediction_id: str) -> date | None:
        """The day that an id alone tells: of the time in it, if that lies within the span.

        Such an id means one day whatever `at` says, so that it counts once and is found at once.
        """
        time = time_of_id(prediction_id)
        return time.date() if time is not None and self.oldest <= time <= self.newest else None

    def days_of(self, prediction_id: str) -> tuple[date, date]:
        """Between which days a prediction with this id must be looked for."""
        day = self.day_of(prediction_id)
        return (day or self.oldest.date(), day or self.newest.date())


class Days:
    """The day of one prediction after another, most of which are of the same minute."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._known: dict[str, date | None] = {}

    def of(self, prediction_id: str, at: datetime) -> date:
        if len(prediction_id) != UUID_LENGTH or prediction_id[14] != "7":
            return at.date()
        block = prediction_id[:8]
        try:
            day = self._known[block]
        except KeyError:
            day = self._known[block] = self._day_of_block(block)
        return day or self._span.day_of(prediction_id) or at.date()

    def _day_of_block(self, block: str) -> date | None:
        """The one day of all ids that begin so, which are of the same 65 seconds."""
        first, last = (
            self._span.day_of(f"{block}-{rest}-7000-8000-000000000000") for rest in ("0000", "ffff")
        )
        return first if first == last else None
