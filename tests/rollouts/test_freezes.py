from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from turnout.rollouts.domain.freezes import DAYS, Day, FreezeWindows, Once, Weekly, shown

BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS = FreezeWindows(
    zone="Europe/Berlin",
    weekly=(Weekly(days=DAYS, from_=time(18), to=time(8), reason="nobody at work"),),
)
SMALL_HOURS = FreezeWindows(
    zone="Europe/Berlin", weekly=(Weekly(days=(Day.SUNDAY,), from_=time(1, 30), to=time(2, 30)),)
)
CHRISTMAS = FreezeWindows(
    once=(
        Once(
            starts=datetime(2026, 12, 24, tzinfo=BERLIN), ends=datetime(2026, 12, 27, tzinfo=BERLIN)
        ),
    )
)
ADAPTER = TypeAdapter(FreezeWindows)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        pytest.param(NIGHTS, "2026-03-02T17:59:59+01:00", None, id="before it starts"),
        pytest.param(NIGHTS, "2026-03-02T18:00+01:00", "2026-03-03T08:00+01:00", id="as it starts"),
        pytest.param(NIGHTS, "2026-03-03T03:00+01:00", "2026-03-03T08:00+01:00", id="next morning"),
        pytest.param(NIGHTS, "2026-03-03T08:00+01:00", None, id="as it ends"),
        pytest.param(
            NIGHTS, "2026-03-28T23:00+01:00", "2026-03-29T08:00+02:00", id="clocks go forward in it"
        ),
        pytest.param(
            NIGHTS, "2026-10-24T23:00+02:00", "2026-10-25T08:00+01:00", id="clocks go back in it"
        ),
        pytest.param(NIGHTS, "2026-07-01T17:30+02:00", None, id="summer, before"),
        pytest.param(
            NIGHTS, "2026-07-01T18:30+02:00", "2026-07-02T08:00+02:00", id="summer, after"
        ),
        pytest.param(
            SMALL_HOURS, "2026-03-29T01:45+01:00", "2026-03-29T03:00+02:00", id="its end skipped"
        ),
        pytest.param(SMALL_HOURS, "2026-03-29T03:00+02:00", None, id="after a skipped end"),
        pytest.param(
            SMALL_HOURS,
            "2026-10-25T02:45+02:00",
            "2026-10-25T02:30+01:00",
            id="its end twice",
        ),
        pytest.param(CHRISTMAS, "2026-12-23T23:00Z", "2026-12-26T23:00Z", id="once"),
        pytest.param(CHRISTMAS, "2026-12-26T23:00Z", None, id="after it"),
    ],
)
def test_dst_window(windows: FreezeWindows, now: str, until: str | None) -> None:
    frozen = windows.frozen(at(now))

    assert (frozen and frozen.until) == (until and at(until))


def test_of_two_windows_the_longer_one_is_named() -> None:
    long = Weekly(days=(Day.MONDAY,), from_=time(0), to=time(0), reason="no Mondays")
    both = FreezeWindows(weekly=(*NIGHTS.weekly, long))
    frozen = both.frozen(at("2026-03-02T01:00Z"))

    assert str(frozen) == "frozen until 2026-03-03 00:00 UTC: no Mondays"


ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"]
)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    ZONES,
)
def test_a_time_is_shown_at_the_moments_it_stands_for(moment: datetime, zone: str) -> None:
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    assert moment in shown(local, ZoneInfo(zone))


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)),  # noqa: DTZ001
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)),  # noqa: DTZ001
    ZONES,
)
def test_a_later_time_is_never_last_shown_before_an_earlier_one(
    a: datetime, b: datetime, name: str
) -> None:
    earlier, later = sorted((a, b))
    zone = ZoneInfo(name)

    assert shown(earlier, zone)[-1] <= shown(later, zone)[-1]
    assert shown(earlier, zone)[0] <= shown(later, zone)[0]


@given(st.times(), st.times(), st.datetimes(timezones=st.just(UTC)).filter(lambda t: t.year > 1900))
def test_without_changes_of_the_clock_a_window_is_its_times_of_the_day(
    start: time, end: time, now: datetime
) -> None:
    windows = FreezeWindows(weekly=(Weekly(days=DAYS, from_=start, to=end),))
    within = start <= now.time() < end if start < end else not end <= now.time() < start

    assert (windows.frozen(now) is not None) is within


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"zone": "Berlin"}, "'Berlin' is not a time zone", id="no such zone"),
        pytest.param({"zone": "../../etc/passwd"}, "is not a time zone", id="a path"),
        pytest.param(
            {"weekly": [{"days": [], "from": "08:00", "to": "09:00"}]}, "at least 1", id="no days"
        ),
        pytest.param(
            {"weekly": [{"days": ["monday"], "from": "08:00Z", "to": "09:00"}]},
            "without an offset",
            id="an offset in a time of the day",
        ),
        pytest.param(
            {"weekly": [{"days": ["monday"], "from_": "08:00", "to": "09:00"}]},
            "from",
            id="a name of ours",
        ),
        pytest.param(
            {"once": [{"starts": "2026-12-24T00:00", "ends": "2026-12-27T00:00"}]},
            "with their offset",
            id="moments without an offset",
        ),
        pytest.param(
            {"once": [{"starts": "2026-12-27T00:00Z", "ends": "2026-12-24T00:00Z"}]},
            "ends before it starts",
            id="the wrong way round",
        ),
    ],
)
def test_a_window_that_cannot_be_is_refused(body: object, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ADAPTER.validate_python(body)


def test_windows_are_the_same_after_they_were_stored() -> None:
    for windows in (NIGHTS, CHRISTMAS):
        assert ADAPTER.validate_python(ADAPTER.dump_python(windows, mode="json")) == windows


def test_a_day_of_24_hours_is_all_frozen() -> None:
    always = FreezeWindows(weekly=(Weekly(days=DAYS, from_=time(0), to=time(0)),))
    moment = at("2026-03-28T00:00Z")

    for hours in range(72):
        assert always.frozen(moment + timedelta(hours=hours)) is not None
