"""Times in which no rollout goes forward."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from annotated_types import MaxLen, MinLen

from turnout.quantities import STRICT, Line, Moment, Reading, Text

ONE_DAY: Final = timedelta(days=1)
UNNAMED: Final = "freeze window"


class Day(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


DAYS: Final = tuple(Day)


def check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a time zone: write its name in the IANA database, such as"
            f" 'Europe/Berlin' or 'UTC'"
        ) from None
    return name


ZoneName = Annotated[
    str,
    Reading(check=check_zone, describe={"type": "string", "examples": ["Europe/Berlin"]}),
]

# Not the `time` of JSON Schema, which has an offset.
TimeOfDay = Annotated[
    time,
    Reading(
        describe={
            "type": "string",
            "pattern": r"^\d\d:\d\d(:\d\d(\.\d+)?)?$",
            "description": "A time of the day, in `zone`",
            "examples": ["16:00"],
        }
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """From one time of the day to another, on these days of every week.

    When `to` is not later than `from`, the window ends at that time of the next day.
    """

    __pydantic_config__ = STRICT | {
        "alias_generator": lambda name: name.rstrip("_"),  # `from` is a word of Python
        "serialize_by_alias": True,
    }

    days: Annotated[tuple[Day, ...], MinLen(1), MaxLen(7)]
    from_: TimeOfDay
    to: TimeOfDay
    reason: Annotated[Line, MaxLen(200)] | None = None

    def __post_init__(self) -> None:
        if self.from_.tzinfo or self.to.tzinfo:
            raise ValueError("write times of the day without an offset: `zone` says where they are")


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """From one moment to another."""

    __pydantic_config__ = STRICT

    starts: Moment
    ends: Moment
    reason: Annotated[Line, MaxLen(200)] | None = None

    def __post_init__(self) -> None:
        if self.starts.tzinfo is None or self.ends.tzinfo is None:
            raise ValueError("write moments with their offset, such as 2026-12-24T00:00:00+01:00")
        if self.ends <= self.starts:
            raise ValueError("the window ends before it starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A freeze window at one of its times. There may be another one right behind it."""

    since: datetime
    until: datetime
    reason: str

    def __str__(self) -> str:
        return f"frozen until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindows:
    """When the rollouts of a model hold; `zone` is where the times of the weekly windows are."""

    __pydantic_config__ = STRICT

    zone: ZoneName = "UTC"
    weekly: Annotated[tuple[Weekly, ...], MaxLen(50)] = ()
    once: Annotated[tuple[Once, ...], MaxLen(200)] = ()
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def frozen(self, now: datetime) -> Frozen | None:
        """The window that lasts longest of those in force."""
        in_force = [window for window in self._around(now) if window.since <= now < window.until]
        return max(in_force, key=lambda window: window.until, default=None)

    def _around(self, now: datetime) -> Iterator[Frozen]:
        for once in self.once:
            yield Frozen(since=once.starts, until=once.ends, reason=once.reason or UNNAMED)
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for window in self.weekly:
            for day in (today - ONE_DAY, today):
                if DAYS[day.weekday()] in window.days:
                    yield _occurrence(window, day, zone)


def _occurrence(window: Weekly, day: date, zone: ZoneInfo) -> Frozen:
    last_day = day if window.to > window.from_ else day + ONE_DAY
    return Frozen(
        since=shown(datetime.combine(day, window.from_), zone)[0],
        until=shown(datetime.combine(last_day, window.to), zone)[-1],
        reason=window.reason or UNNAMED,
    )


def shown(local: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The moments at which clocks in this zone show a time.

    Two, when the clocks are set back over it. A time that they skip when they are set forward
    comes at the moment of the change.
    """
    early, late = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).replace(tzinfo=None) == local:
        return (early,) if early == late else (early, late)
    offset = late.astimezone(zone).utcoffset()
    seconds = range(int((late - early).total_seconds()))
    change = bisect_left(
        seconds,
        True,
        key=lambda after: (early + timedelta(seconds=after)).astimezone(zone).utcoffset() == offset,
    )
    return (early + timedelta(seconds=change),)
