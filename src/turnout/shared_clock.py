"""The time by the database's clock: all processes tell the same, whatever their machines' clocks
say, and no stage ends early because one of those was set.

The database is asked once a second. In between, and while it is away, time goes on from the last
answer by the process's monotonic clock, which nobody can set. A step of the database's own clock
is followed.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from turnout.db import LOST_CONNECTION
from turnout.http import system_clock
from turnout.quantities import Clock
from turnout.telemetry import log

ASKED_EVERY: Final = timedelta(seconds=1)
ANSWER_WITHIN: Final = timedelta(seconds=5)
NOTABLE: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """It was this `moment` when the monotonic clock stood `at` so many seconds; the answer took
    long enough for it to have been `within` more or less."""

    moment: datetime
    at: float
    within: timedelta

    def told(self, at: float) -> datetime:
        return self.moment + timedelta(seconds=at - self.at)

    def followed_by(self, newer: "Reading") -> "Reading":
        """The newer one where it contradicts this one, or is more exact. Else this one: time would
        go to and fro with every answer."""
        return newer if self.jump(newer) or newer.within < self.within else self

    def jump(self, newer: "Reading") -> timedelta:
        """How far the newer one is ahead of this one, beyond what both leave open."""
        ahead = newer.moment - self.told(newer.at)
        return ahead if abs(ahead) > self.within + newer.within else timedelta()


class SharedClock:
    """Call it for the time. Until the database has answered, the machine's `own` clock tells it."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        own: Clock = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._own = own
        self._monotonic = monotonic
        self._reading: Reading | None = None
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> datetime:
        if self._reading is None:
            return self._own()
        return self._reading.told(self._monotonic())

    async def start(self) -> None:
        """Wait for the first answer, or to learn that there is none to be had now."""
        await self.ask()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                newer = await self._read()
        except (SQLAlchemyError, *LOST_CONNECTION) as error:
            log.debug("the database's clock cannot be read", error=repr(error))
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, it is asked again)
            log.warning("the database's clock cannot be read", error=repr(error))
            return
        before = self._reading
        if before is not None and abs(jump := before.jump(newer)) > NOTABLE:
            log.warning(
                "the time has jumped: the database's clock was set, or this machine stood still",
                seconds=round(jump.total_seconds(), 3),
            )
        self._reading = newer if before is None else before.followed_by(newer)

    async def _read(self) -> Reading:
        async with self._engine.connect() as connection:
            asked = self._monotonic()
            moment = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            answered = self._monotonic()
        took = timedelta(seconds=answered - asked)
        return Reading(moment=moment, at=(asked + answered) / 2, within=took / 2)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(ASKED_EVERY.total_seconds())
            await self.ask()
