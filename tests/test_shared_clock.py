import asyncio
from datetime import datetime, timedelta

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import Clock
from tests.factories import NOON
from turnout import db, shared_clock
from turnout.shared_clock import Reading, SharedClock

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
EARLIER = Reading(moment=NOON, at=100, within=0.01 * SECOND)


@pytest.mark.parametrize(
    ("moment", "within", "believed"),
    [
        pytest.param(NOON + 10.015 * SECOND, 0.01 * SECOND, False, id="both may be right"),
        pytest.param(NOON + 10.015 * SECOND, 0.005 * SECOND, True, id="more exact"),
        pytest.param(NOON + 10.5 * SECOND, 0.01 * SECOND, True, id="the two contradict each other"),
        pytest.param(NOON + 12 * SECOND, 3 * SECOND, False, id="the answer took too long to tell"),
        pytest.param(NOON + HOUR, 0.02 * SECOND, True, id="the database's clock was set forth"),
        pytest.param(NOON - HOUR, 0.02 * SECOND, True, id="the database's clock was set back"),
    ],
)
def test_an_answer_is_believed_where_it_says_more(
    moment: datetime, within: timedelta, believed: bool
) -> None:
    newer = Reading(moment=moment, at=110, within=within)

    assert (EARLIER.followed_by(newer) is newer) is believed


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=1), st.floats(0, 10))
def test_what_is_told_is_never_further_off_than_the_answers_allow(
    answers: list[tuple[float, float]], after: float
) -> None:
    """Each answer took some time, and is off by at most half of it."""
    reading = EARLIER
    for number, (took, off) in enumerate(answers, start=1):
        at = EARLIER.at + number
        within = took / 2 * SECOND
        right = NOON + number * SECOND
        reading = reading.followed_by(Reading(moment=right + off * within, at=at, within=within))

    true = NOON + (len(answers) + after) * SECOND
    told = reading.told(EARLIER.at + len(answers) + after)
    assert abs(told - true) <= reading.within + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("off", "jump"), [(HOUR, HOUR), (-HOUR, -HOUR), (0.015 * SECOND, timedelta())]
)
def test_a_jump_is_more_than_what_two_answers_leave_open(off: timedelta, jump: timedelta) -> None:
    newer = Reading(moment=NOON + 10 * SECOND + off, at=110, within=0.01 * SECOND)

    assert EARLIER.jump(newer) == jump


async def test_it_tells_the_databases_time_whatever_the_own_clock_says(
    engine: AsyncEngine, clock: Clock
) -> None:
    told = SharedClock(engine, own=clock)
    before_any_answer = told()
    await told.ask()
    clock.advance(HOUR)
    async with engine.connect() as connection:
        right = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()

    assert before_any_answer == NOON
    assert abs(told() - right) < 60 * SECOND


async def test_it_goes_on_while_the_database_is_away(engine: AsyncEngine) -> None:
    stands = 100.0
    told = SharedClock(engine, monotonic=lambda: stands)
    await told.ask()
    before = told()
    away = SharedClock(db.create_engine("postgresql://127.0.0.1:1/none"), own=lambda: NOON)
    await away.ask()
    stands += 3_600

    assert told() - before == HOUR
    assert away() == NOON


async def test_it_asks_again_until_it_is_stopped_and_says_that_time_has_jumped(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_clock, "ASKED_EVERY", timedelta(milliseconds=1))
    stands = 100.0
    told = SharedClock(engine, own=lambda: NOON, monotonic=lambda: stands)
    with structlog.testing.capture_logs() as logs:
        await told.start()
        before = told()
        stands += 3_600  # the database's clock has not gone on with it
        async with asyncio.timeout(30):
            while told() - before > HOUR / 2:
                await asyncio.sleep(0.001)
        await told.stop()

    assert any("the time has jumped" in line["event"] for line in logs)
