from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout.automation.domain.cron import check_cron, next_run, parse

MINUTE = timedelta(minutes=1)
BERLIN = "Europe/Berlin"


def runs(cron: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    found = []
    while (moment := next_run(parse(cron), zone, since)) is not None and moment < until:
        found.append(moment)
        since = moment
    return found


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        pytest.param("30 2 * * *", utc(2026, 3, 3, 2, 30), id="every night"),
        pytest.param("*/20 * * * *", utc(2026, 3, 2, 12, 20), id="every twenty minutes"),
        pytest.param("5/20 * * * *", utc(2026, 3, 2, 12, 5), id="from five past on"),
        pytest.param("0 9-17 * * mon-fri", utc(2026, 3, 2, 13, 0), id="hours of work"),
        pytest.param("0 9 * * sun", utc(2026, 3, 8, 9, 0), id="a day by its name"),
        pytest.param("0 9 * * 0", utc(2026, 3, 8, 9, 0), id="sunday is 0"),
        pytest.param("0 9 * * 7", utc(2026, 3, 8, 9, 0), id="and 7"),
        pytest.param("0 0 13 * fri", utc(2026, 3, 6, 0, 0), id="either day is enough"),
        pytest.param("0 0 */10 * fri", utc(2026, 5, 1, 0, 0), id="a step of all is no restriction"),
        pytest.param("0 0 29 feb *", utc(2028, 2, 29, 0, 0), id="a leap day"),
        pytest.param("0,30 12 2 3 *", utc(2026, 3, 2, 12, 30), id="a list"),
        pytest.param("@weekly", utc(2026, 3, 8, 0, 0), id="by its name"),
    ],
)
def test_the_next_run(cron: str, expected: datetime):
    assert next_run(parse(cron), "UTC", utc(2026, 3, 2, 12, 0)) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("30 2 * *", "not a cron expression"),
        ("60 * * * *", "'60' is no minute"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * foo *", "'foo' is no month"),
        ("5-1 * * * *", "ranges go up"),
        ("*/0 * * * *", "steps of 1 or more"),
        ("1,,2 * * * *", "'' is no minute"),
        ("0-59," * 200 + "1 * * * *", "at most 500 characters"),
        ("0 0 30 2 *", "a day that never comes"),
        ("² * * * *", "is no minute"),
    ],
)
def test_what_is_no_cron_expression(text: str, why: str):
    with pytest.raises(ValueError, match=why):
        check_cron(text)


def test_a_time_that_the_clocks_skip_comes_once_when_they_do():
    # At 2 o'clock on 29 March 2026, which is 1 o'clock in UTC, it is 3 in Berlin.
    found = runs("30 2 * * *", BERLIN, utc(2026, 3, 28), utc(2026, 3, 31))

    assert found == [utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1, 0), utc(2026, 3, 30, 0, 30)]


def test_a_time_that_is_shown_twice_comes_once():
    # At 3 o'clock on 25 October 2026, which is 1 o'clock in UTC, it is 2 again in Berlin.
    found = runs("30 2 * * *", BERLIN, utc(2026, 10, 24), utc(2026, 10, 27))

    assert found == [utc(2026, 10, 24, 0, 30), utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


@settings(max_examples=25)
@given(
    st.sampled_from(["30 2 * * *", "15 0 * * *", "0 3 * * *", "59 23 * * *", "0 0 * * *"]),
    st.sampled_from(
        [BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]
    ),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  (made aware below)
)
def test_once_a_day_is_once_on_every_day_of_the_calendar(cron: str, zone: str, since: datetime):
    since = since.replace(tzinfo=UTC)
    found = runs(cron, zone, since, since + timedelta(days=370))

    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    assert all(later > earlier for earlier, later in pairwise(found))


@settings(max_examples=25)
@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001  (made aware below)
def test_where_clocks_stand_still_it_is_the_same_as_counting_minutes(since: datetime):
    after = since.replace(tzinfo=UTC)
    cron = parse("*/15 6-7 * * *")

    moment = after.replace(second=0, microsecond=0) + MINUTE
    while moment.minute not in cron.minutes or moment.hour not in cron.hours:
        moment += MINUTE

    assert next_run(cron, "UTC", after) == moment
