"""Since when something has moved, and how far it was at each time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from turnout.drift.domain.onset import STEPS, onset, steps
from turnout.stats.drift import stability

FIRST = datetime(2026, 11, 29, 15, tzinfo=UTC)
EXPECTED = (500, 300, 200, 0)
USUAL = (50, 30, 20, 0)
MOVED = (10, 30, 60, 0)
NOTHING = (0, 0, 0, 0)


def hours(*rows: Sequence[int]) -> Mapping[datetime, Sequence[int]]:
    return {FIRST + timedelta(hours=k): row for k, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("rows", "since"),
    [
        pytest.param([USUAL] * 6 + [MOVED] * 4, 6, id="it moved, and stayed"),
        pytest.param([MOVED] * 10, None, id="it had moved before"),
        pytest.param([MOVED] * 6 + [USUAL] * 4, None, id="it has come back"),
        pytest.param([USUAL] * 10, None, id="it has not moved"),
        pytest.param([USUAL] * 4 + [NOTHING] * 3 + [MOVED] * 4, 7, id="it moved in a gap"),
        pytest.param([], None, id="nothing came"),
    ],
)
def test_it_has_moved_since_the_hour_that_parts_the_window(
    rows: list[Sequence[int]], since: int | None
):
    found = onset(EXPECTED, hours(*rows), stability, 0.2)

    assert found == (None if since is None else FIRST + timedelta(hours=since))


def test_a_day_is_told_by_the_hour_and_a_week_in_as_many_parts():
    day = steps(EXPECTED, hours(*[USUAL] * 24), stability)
    week = steps(EXPECTED, hours(*[USUAL] * 168), stability)

    assert (len(day), len(week)) == (24, STEPS)
    assert [one.predictions for one in week] == [700] * STEPS
    assert week[1].since - week[0].since == timedelta(hours=7)


def test_an_hour_in_which_nothing_came_has_no_distance():
    usual, none, moved = steps(EXPECTED, hours(USUAL, NOTHING, MOVED), stability)

    assert (usual.distance, none.distance, none.predictions) == (0, None, 0)
    assert moved.distance is not None
    assert moved.distance > 0.5
