"""Cron expressions, and when they come next where clocks are set forward and back.

Five fields as crontab(5) has them: minute, hour, day of the month, month, day of the week (0 or 7
is Sunday). Where both days are restricted, either of them is enough.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from turnout.quantities import Reading
from turnout.rollouts.domain.freezes import shown

ONE_DAY: Final = timedelta(days=1)
LONGEST_WAIT: Final = 366 * 9
"""Days. The 29th of February can be eight years away, and the right day of the week is no field
beside it but an alternative."""

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WORDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
LONGEST: Final = 500
_PART: Final = re.compile(r"(\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: Mapping[str, int]


_FIELDS: Final = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, {word: n for n, word in enumerate(_MONTHS, start=1)}),
    _Field("day of the week", 0, 7, {word: n for n, word in enumerate(_DAYS)}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either: bool
    """Whether a day of the month or one of the week is enough."""

    def on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        fits = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        return any(fits) if self.either else all(fits)


def parse(text: str) -> Cron:
    if len(text) > LONGEST:
        raise ValueError(f"a cron expression has at most {LONGEST} characters")
    given = _WORDS.get(text.strip().lower(), text).split()
    if len(given) != len(_FIELDS):
        raise ValueError(
            f"{text!r} is not a cron expression: write minute, hour, day of the month, month and"
            f" day of the week, such as '30 2 * * mon-fri', or one of {', '.join(_WORDS)}"
        )
    parsed = zip(_FIELDS, given, strict=True)
    minutes, hours, days, months, weekdays = (_numbers(field, part) for field, part in parsed)
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either="*" not in {given[2][0], given[4][0]},
    )


def _numbers(field: _Field, text: str) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _part(field, part))


def _part(field: _Field, text: str) -> range:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no {field.name}: write a number, 1-5, */10, or a list")
    _, first, last, step = found.groups()
    if first is None:
        low, high = field.least, field.most
    else:
        low = _number(field, first)
        high = _number(field, last) if last else (field.most if step else low)
    if low > high or step == "0":
        raise ValueError(f"{text!r} names no {field.name}: ranges go up, by steps of 1 or more")
    return range(low, high + 1, int(step or 1))


def _number(field: _Field, text: str) -> int:
    number = field.words.get(text.lower(), int(text) if text.isdecimal() else -1)
    if not field.least <= number <= field.most:
        raise ValueError(
            f"{text!r} is no {field.name}: it lies between {field.least} and {field.most}"
        )
    return number


def next_run(cron: Cron, zone: str, after: datetime) -> datetime | None:
    """The next moment behind `after` at which clocks in the zone show a time of the expression.

    Each time on the clock counts once a day. One that is shown twice, because clocks are set back,
    counts at the first; one that they skip counts at the moment at which they do. Those that come
    at the same moment are one run. None for a day that never comes.
    """
    place = ZoneInfo(zone)
    today = after.astimezone(place).date()
    for passed in range(LONGEST_WAIT):
        for local in _times(cron, today + passed * ONE_DAY):
            if (moment := shown(local, place)[0]) > after:
                return moment
    return None


def _times(cron: Cron, day: date) -> Iterator[datetime]:
    if cron.on(day):
        for hour in cron.hours:
            for minute in cron.minutes:
                yield datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  (local)


def check_cron(text: str) -> str:
    if next_run(parse(text), "UTC", datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise ValueError(f"{text!r} names a day that never comes")
    return text


CronText = Annotated[
    str,
    Reading(
        check=check_cron,
        describe={
            "type": "string",
            "description": "Minute, hour, day of the month, month, day of the week",
            "examples": ["30 2 * * mon-fri"],
        },
    ),
]
