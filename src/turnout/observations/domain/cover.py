"""A stretch of time as whole days, whole hours and the minutes that are left at both ends.

Days and hours are the sums of their minutes, so that a week is read from dozens of rows instead
of ten thousand, and says the same.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
ZERO: Final = timedelta(0)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Minutes up to `first_hour`, hours up to `first_day`, days up to `last_day`, hours up to
    `last_hour`, minutes up to `until`; each may be none."""

    since: datetime
    first_hour: datetime
    first_day: datetime
    last_day: datetime
    last_hour: datetime
    until: datetime


def cover(since: datetime, until: datetime, *, widest: timedelta = DAY) -> Cover:
    """Cover whole minutes by the longest windows that fit, of those up to `widest`."""
    first_hour, last_hour = _whole(HOUR, since, until, widest=widest)
    first_day, last_day = _whole(DAY, first_hour, last_hour, widest=widest)
    return Cover(
        since=since,
        first_hour=first_hour,
        first_day=first_day,
        last_day=last_day,
        last_hour=last_hour,
        until=until,
    )


def _whole(
    width: timedelta, since: datetime, until: datetime, *, widest: timedelta
) -> tuple[datetime, datetime]:
    first, last = -(-(since - EPOCH) // width), (until - EPOCH) // width
    if width > widest or first >= last:
        return until, until
    return EPOCH + first * width, EPOCH + last * width


def widest_within(since: datetime, every: timedelta) -> timedelta:
    """The longest windows of which none lies in two intervals that follow each other from
    `since`."""
    fitting = (width for width in (DAY, HOUR) if every % width == (since - EPOCH) % width == ZERO)
    return next(fitting, MINUTE)


def floor(at: datetime, width: timedelta) -> datetime:
    return at - (at - EPOCH) % width
