"""The stretch of time that is recorded, and the day that a row is kept under."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from turnout.observations.domain.batch import Flaw
from turnout.observations.domain.prediction import day_of_id

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of callers may run ahead of the server's."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times that are recorded, and the days of their partitions."""

    oldest: datetime
    newest: datetime

    @classmethod
    def kept(cls, now: datetime, retention: timedelta) -> "Span":
        return cls(now - retention, now + CLOCK_SKEW)

    def day(self, prediction_id: str, at: datetime) -> date:
        """Where a prediction is kept: by the time in its id, if it has one within the span.

        An id then means one day whatever `at` says, so that it counts once and is found at once.
        """
        day = day_of_id(prediction_id)
        if day is not None and self.oldest.date() <= day <= self.newest.date():
            return day
        return at.date()

    def days(self, prediction_id: str) -> tuple[date, date]:
        """Between which days a prediction with this id must be looked for."""
        day = day_of_id(prediction_id)
        first, last = self.oldest.date(), self.newest.date()
        return (day, day) if day is not None and first <= day <= last else (first, last)

    def flaw(self, at: datetime) -> Flaw | None:
        if at > self.newest:
            return Flaw("at", f"lies in the future: the server's clock says {_minutes(self)}")
        if at < self.oldest:
            days = (self.newest - CLOCK_SKEW - self.oldest).days
            return Flaw("at", f"lies too far back: observations are kept for {days} days")
        return None


def _minutes(span: Span) -> str:
    return f"{span.newest - CLOCK_SKEW:%Y-%m-%dT%H:%M:%SZ}"
