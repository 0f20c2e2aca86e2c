from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from turnout.quantities import Duration, Line, Text, Weight, basis_points, percent

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
WEIGHT: TypeAdapter[int] = TypeAdapter(Weight)
LINE: TypeAdapter[str] = TypeAdapter(Line)
TEXT: TypeAdapter[str] = TypeAdapter(Text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1h", timedelta(hours=1)),
        ("7d", timedelta(days=7)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        (" 2H ", timedelta(hours=2)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1D", timedelta(days=1)),
        (90, timedelta(seconds=90)),
        (0.5, timedelta(seconds=0.5)),
    ],
)
def test_a_duration_is_read_as_people_write_it(written: object, meant: timedelta):
    assert DURATION.validate_python(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "soon", "5", "h", "1h banana", "-5m", True, -1, "P20Y", "9" * 90 + "s", float("nan")],
)
def test_what_is_no_duration_is_refused(written: object):
    with pytest.raises(ValidationError):
        DURATION.validate_python(written)


@pytest.mark.parametrize("written", ["1" * 100_000, "1s" * 100_000, "p" + "1" * 100_000])
def test_a_duration_without_end_is_not_read(written: str):
    with pytest.raises(ValidationError, match="at most 100 characters"):
        DURATION.validate_python(written)


def test_a_duration_is_answered_in_iso_8601():
    assert DURATION.dump_json(timedelta(minutes=90)) == b'"PT1H30M"'


@pytest.mark.parametrize(
    ("written", "meant"), [(5, 500), (12.5, 1250), (0.01, 1), (33.33, 3333), (100, 10_000), (0, 0)]
)
def test_a_weight_is_percent_outside_and_basis_points_inside(written: float, meant: int):
    assert WEIGHT.validate_python(written) == meant
    assert WEIGHT.dump_python(meant, mode="json") == written


@pytest.mark.parametrize(
    "written",
    [-1, 100.01, 12.345, True, "many", float("nan"), float("inf"), "1e999999999", "1" * 5_000],
)
def test_what_is_no_weight_is_refused(written: object):
    with pytest.raises(ValidationError):
        WEIGHT.validate_python(written)


@given(st.integers(0, 10_000))
def test_a_weight_survives_the_way_out_and_in(weight: int):
    assert basis_points(percent(weight)) == weight


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\u202eb", "\ufeffa", "a\u200bb", "\x7f"])
def test_a_line_has_no_control_or_invisible_characters(text: str):
    with pytest.raises(ValidationError, match="not allowed"):
        LINE.validate_python(text)


def test_a_text_may_have_line_ends_but_no_control_characters():
    assert TEXT.validate_python("a\n\tb") == "a\n\tb"
    with pytest.raises(ValidationError, match="control"):
        TEXT.validate_python("a\x00b")
