"""Predictions on their way to the database, also when it is not there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from tests import factories
from tests.conftest import administer
from tests.gateway.waiting import eventually
from turnout import db
from turnout.db import Sessions
from turnout.gateway.recorder import Recorder, passing
from turnout.observations.domain.prediction import Prediction

SOON = timedelta(seconds=0.001)


def prediction(n: int, **values: Any) -> Prediction:
    plain = Prediction(
        prediction_id=f"p-{n}", version_id=1, split_id=None, unit=None, at=factories.NOON
    )
    return replace(plain, **values)


async def recorded(sessions: Sessions) -> list[str]:
    async with db.transaction(sessions) as session:
        found = await session.scalars(text("SELECT prediction_id FROM prediction"))
        return sorted(found)


Make = Callable[..., Recorder]


@pytest.fixture
async def recorder_on(clock) -> AsyncIterator[Make]:
    made = []

    def make(sessions: Sessions, *, bound: int = 100) -> Recorder:
        made.append(Recorder(sessions, clock, bound=bound, every=SOON))
        return made[-1]

    yield make
    for recorder in made:
        await recorder.stop()


async def test_what_is_offered_is_written(recorder_on, sessions):
    recorder = recorder_on(sessions)
    recorder.start()

    for n in range(3):
        recorder.offer(n % 2 + 1, prediction(n))
    await eventually(lambda: not recorder.buffered)

    assert await recorded(sessions) == ["p-0", "p-1", "p-2"]


async def test_what_waits_at_the_stop_is_written(recorder_on, sessions):
    recorder = recorder_on(sessions)
    recorder.start()
    recorder.offer(1, prediction(1))

    await recorder.stop()

    assert await recorded(sessions) == ["p-1"]


def test_beyond_its_bound_it_sheds_the_newest_and_counts_them(recorder_on, sessions):
    recorder = recorder_on(sessions, bound=2)

    for n in range(5):
        recorder.offer(1, prediction(n))

    assert (recorder.buffered, recorder.shed) == (2, 3)
    assert [row.prediction_id for _, row in recorder._rows] == ["p-0", "p-1"]


async def test_a_database_that_goes_away_and_returns_has_every_row_once(
    recorder_on, sessions, server, database
):
    name = make_url(database).database
    recorder = recorder_on(sessions, bound=4)
    recorder.start()
    recorder.offer(1, prediction(0))
    await eventually(lambda: not recorder.buffered)

    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await administer(
        server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    for n in range(1, 7):
        recorder.offer(1, prediction(n))
    await eventually(lambda: recorder._writing > 0)
    assert (recorder.buffered, recorder.shed) == (4, 2)
    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await eventually(lambda: not recorder.buffered)

    assert await recorded(sessions) == ["p-0", "p-1", "p-2", "p-3", "p-4"]


class Forgetful:
    """Sessions whose first commit happens, but whose answer is lost on its way back."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.opened = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncSession]:
        self.opened += 1
        async with self.sessions() as session:
            yield session
        if self.opened == 1:
            raise ConnectionResetError


async def test_a_commit_whose_answer_was_lost_counts_once(recorder_on, sessions):
    forgetful = Forgetful(sessions)
    recorder = recorder_on(cast("Sessions", forgetful))
    recorder.start()

    recorder.offer(1, prediction(1))
    recorder.offer(1, prediction(2))
    await eventually(lambda: forgetful.opened > 1 and not recorder.buffered)

    async with db.transaction(sessions) as session:
        [batch] = (await session.execute(text("SELECT predictions, report FROM batch"))).all()
    assert tuple(batch) == (2, None)
    assert await recorded(sessions) == ["p-1", "p-2"]


async def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(recorder_on, sessions):
    recorder = recorder_on(sessions)
    recorder.start()

    for n in range(5):
        recorder.offer(1, prediction(n, version_id=2**40 if n == 3 else 1))
    await eventually(lambda: not recorder.buffered)

    assert await recorded(sessions) == ["p-0", "p-1", "p-2", "p-4"]
    assert recorder.shed == 0


def sql(error: type[asyncpg.PostgresError]) -> DBAPIError:
    origin = cast("Any", Exception())
    origin.sqlstate = error.sqlstate
    return DBAPIError("COPY", None, origin)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        pytest.param(ConnectionResetError(), True, id="connection reset"),
        pytest.param(TimeoutError(), True, id="timeout"),
        pytest.param(asyncpg.ConnectionDoesNotExistError(), True, id="connection closed"),
        pytest.param(asyncpg.DeadlockDetectedError(), True, id="deadlock"),
        pytest.param(asyncpg.DiskFullError(), True, id="disk full"),
        pytest.param(sql(asyncpg.DiskFullError), True, id="disk full, told by SQLAlchemy"),
        pytest.param(sql(asyncpg.ReadOnlySQLTransactionError), True, id="a standby"),
        pytest.param(sql(asyncpg.AdminShutdownError), True, id="shutting down"),
        pytest.param(sql(asyncpg.NumericValueOutOfRangeError), False, id="number out of range"),
        pytest.param(asyncpg.CheckViolationError(), False, id="constraint"),
        pytest.param(
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate"), False, id="encoding"
        ),
        pytest.param(TypeError(), False, id="a defect of ours"),
    ],
)
def test_trouble_of_the_database_passes_and_a_bad_row_does_not(error, passes):
    assert passing(error) is passes
