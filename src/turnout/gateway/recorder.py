"""Predictions on their way to the database, off the path of the requests that made them."""

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from turnout import db
from turnout.db import lost_connection
from turnout.observations.commands import record_predictions
from turnout.observations.domain.prediction import Prediction
from turnout.quantities import Clock
from turnout.telemetry import RECORDINGS_BUFFERED, RECORDINGS_SHED, first_line, log

BATCH_ROWS: Final = 5_000
WRITE_WITHIN: Final = timedelta(seconds=30)
STOP_WITHIN: Final = timedelta(seconds=5)
LAST_RETRY: Final = timedelta(seconds=1)

PASSING: Final = {
    "40",  # serialisation failure, deadlock
    "53",  # disk full, out of memory, too many connections
    "55",  # lock not available
    "57",  # cancelled, shutting down
    "58",  # input or output error
    "25006",  # read only: a standby that is not promoted yet
}
"""States of SQL, or classes of them, that say nothing about the rows."""

ABOUT_ROWS: Final = (
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    ValueError,
    TypeError,
    ArithmeticError,
)
"""What a row can be to blame for; anything else is trouble of ours, or of the way there."""

Row = tuple[int, Prediction]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are written together.

    The key stays the same however often that is tried: a commit whose answer was lost is known by
    it again, so that no row counts twice.
    """

    rows: list[Row]
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    def by_model(self) -> Iterator[tuple[int, list[Prediction]]]:
        """In the order of the models' ids, as whoever locks several must."""
        ordered = sorted(self.rows, key=itemgetter(0))
        for model_id, rows in itertools.groupby(ordered, key=itemgetter(0)):
            yield model_id, [prediction for _, prediction in rows]


class Recorder:
    """Takes predictions without waiting and writes them in batches.

    At most `bound` rows are kept while the database is away. Beyond that the newest are shed and
    counted: what waits already may be in the database under its batch key, and a gap at the end
    of an outage is no worse than one at its beginning.
    """

    def __init__(
        self, sessions: db.Sessions, clock: Clock, *, bound: int, every: timedelta
    ) -> None:
        self.shed = 0
        self._sessions = sessions
        self._clock = clock
        self._bound = bound
        self._every = every
        self._rows: deque[Row] = deque()
        self._writing = 0
        self._awake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def buffered(self) -> int:
        return len(self._rows) + self._writing

    def offer(self, model_id: int, prediction: Prediction) -> None:
        if self.buffered >= self._bound:
            self.shed += 1
            RECORDINGS_SHED.inc()
            return
        self._rows.append((model_id, prediction))
        if len(self._rows) == BATCH_ROWS:
            self._awake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        RECORDINGS_BUFFERED.set_function(lambda: self.buffered)

    async def stop(self) -> None:
        """Write what waits, as far as the database lets us within the deadline."""
        if self._task is None:
            return
        self._stopping = True
        self._awake.set()
        try:
            async with asyncio.timeout(STOP_WITHIN.total_seconds()):
                await self._task
        except TimeoutError:
            log.error("recordings lost: the database did not take them", rows=self.buffered)

    async def _run(self) -> None:
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every.total_seconds()):
                    await self._awake.wait()
            self._awake.clear()
            await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        """Write everything that waited at the start; what comes meanwhile is the next flush."""
        waiting = len(self._rows)
        while waiting:
            size = min(waiting, BATCH_ROWS)
            batch = Batch([self._rows.popleft() for _ in range(size)])
            self._writing = size
            await self._settle(batch)
            self._writing = 0
            waiting -= size

    async def _settle(self, batch: Batch) -> None:
        """Write a batch, however long that takes; what cannot be written is cut out row by row."""
        retry = self._every
        while (error := await self._write(batch)) is not None and passing(error):
            log.warning("recordings wait", rows=self.buffered, error=first_line(error))
            await asyncio.sleep(retry.total_seconds())
            retry = min(retry * 2, LAST_RETRY)
        if error is None:
            return
        if len(batch.rows) == 1:
            [(model_id, prediction)] = batch.rows
            log.error(
                "recording dropped: the database refuses it",
                model_id=model_id,
                prediction_id=prediction.prediction_id,
                error=first_line(error),
            )
            return
        middle = len(batch.rows) // 2
        await self._settle(Batch(batch.rows[:middle]))
        await self._settle(Batch(batch.rows[middle:]))

    async def _write(self, batch: Batch) -> Exception | None:
        try:
            async with asyncio.timeout(WRITE_WITHIN.total_seconds()):
                async with db.transaction(self._sessions) as session:
                    for model_id, rows in batch.by_model():
                        await record_predictions(
                            session, model_id, rows, key=batch.key, now=self._clock()
                        )
        except Exception as error:  # noqa: BLE001  (no error may end the recording of what follows)
            return error
        return None


def passing(error: BaseException) -> bool:
    """Tell trouble that says nothing about the rows from a row that will never be taken."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(error, ABOUT_ROWS):
        return True
    state = getattr(origin, "sqlstate", None) or ""
    return lost_connection(error) or state in PASSING or state[:2] in PASSING
