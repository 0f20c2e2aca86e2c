from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON
from turnout.observations.domain.outcome import Outcome, flaw_of
from turnout.observations.domain.prediction import class_text, time_of_id, uuid7
from turnout.observations.domain.span import Days, Span

RETENTION = timedelta(days=30)
SPAN = Span.kept(NOON, RETENTION)
NO_ID = "order-4711"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        pytest.param("fraud", "fraud", id="text is itself"),
        pytest.param(3, "3", id="a whole number"),
        pytest.param(3.0, "3", id="the same number with a point"),
        pytest.param(0.5, "0.5", id="a fraction"),
        pytest.param(-0.0, "0", id="no negative zero"),
        pytest.param(True, "true", id="true as JSON writes it"),
        pytest.param(False, "false", id="false as JSON writes it"),
        pytest.param(10**15, "1000000000000000", id="a large number"),
        pytest.param(2.0**60, "1.152921504606847e+18", id="a float too large to be exact"),
    ],
)
def test_a_class_is_known_by_its_text(label: str | float | bool, text: str):
    assert class_text(label) == text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"correct": True}, "prediction_id", id="of nothing"),
        pytest.param(
            {"prediction_id": "p", "unit": "u", "correct": True},
            "prediction_id",
            id="of two things",
        ),
        pytest.param({"prediction_id": "p"}, "value", id="says nothing"),
        pytest.param({"prediction_id": "p", "correct": True, "label": "a"}, "value", id="says two"),
        pytest.param({"unit": "u", "label": "a"}, "label", id="a label of no one prediction"),
        pytest.param({"unit": "u", "value": 1.0}, "metric", id="a value of no metric"),
        pytest.param(
            {"unit": "u", "metric": "error_rate", "value": 1.0}, "metric", id="a reserved metric"
        ),
        pytest.param(
            {"unit": "u", "metric": "accuracy", "value": 0.5}, "value", id="half an accuracy"
        ),
        pytest.param(
            {"unit": "u", "correct": True, "at": datetime(2026, 3, 2)},  # noqa: DTZ001
            "at",
            id="a time without an offset",
        ),
    ],
)
def test_an_outcome_that_means_nothing_is_refused(fields: dict[str, object], field: str):
    with pytest.raises(ValueError, match=f"^{field}: "):
        Outcome(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"prediction_id": "p", "correct": False},
        {"prediction_id": "p", "label": 0},
        {"prediction_id": "p", "metric": "revenue", "value": 0.0},
        {"prediction_id": "p", "metric": "accuracy", "value": 1.0},
        {"unit": "u", "metric": "clicked", "correct": True},
    ],
)
def test_an_outcome_says_one_thing_of_one_thing(fields: dict[str, object]):
    assert flaw_of(Outcome(**fields)) is None  # type: ignore[arg-type]


@given(st.datetimes(datetime(1971, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_tells_its_time(now: datetime):
    made = uuid7(now)

    parsed = UUID(made)
    assert str(parsed) == made
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")
    told = time_of_id(made)
    assert told is not None
    assert timedelta() <= now - told < timedelta(milliseconds=1)


def test_ids_of_one_moment_differ():
    assert len({uuid7(NOON) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "prediction_id",
    [
        NO_ID,
        "9f2c3a52-5be5-4e1a-9d5c-2f0f5ad9b6a1",
        "not-hexa-deci-7mal-0000-000000000000",
        "ffffffff-ffff-7000-8000-000000000000",
    ],
)
def test_other_ids_tell_no_time(prediction_id: str):
    assert time_of_id(prediction_id) is None


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        pytest.param(NOON + timedelta(minutes=5), None, id="a clock a little ahead"),
        pytest.param(
            NOON + timedelta(minutes=6),
            "lies in the future: the server's clock says 2026-03-02T12:00:00Z",
            id="a clock far ahead",
        ),
        pytest.param(NOON - RETENTION, None, id="as old as anything kept"),
        pytest.param(
            NOON - timedelta(days=31),
            "lies too far back: observations are kept for 30 days",
            id="older",
        ),
    ],
)
def test_only_the_time_that_is_kept_is_recorded(at: datetime, reason: str | None):
    flaw = SPAN.flaw(at)

    assert (flaw and flaw.reason) == reason


AROUND = st.timedeltas(timedelta(days=-40), timedelta(days=2)).map(lambda by: NOON + by)


@given(st.lists(st.tuples(AROUND, AROUND), min_size=1))
def test_a_day_is_that_of_the_id_whatever_else_was_asked_before(
    times: list[tuple[datetime, datetime]],
):
    days = Days(SPAN)

    for told, at in times:
        prediction_id = uuid7(told)
        day = days.of(prediction_id, at)
        assert day == (SPAN.day_of(prediction_id) or at.date())
        first, last = SPAN.days_of(prediction_id)
        assert first <= day <= last or not SPAN.oldest <= at <= SPAN.newest


def test_midnight_parts_ids_of_one_minute():
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    days = Days(SPAN)

    before, after = (
        days.of(uuid7(midnight + by), NOON)
        for by in (timedelta(milliseconds=-1), timedelta(milliseconds=1))
    )

    assert (before, after) == (date(2026, 3, 1), date(2026, 3, 2))


def test_an_id_that_tells_no_day_goes_by_its_time_and_is_looked_for_in_all():
    assert Days(SPAN).of(NO_ID, NOON) == date(2026, 3, 2)
    assert SPAN.days_of(NO_ID) == (date(2026, 1, 31), date(2026, 3, 2))
