"""What a process knows of the database's state, renewed within milliseconds of a change.

One connection is set aside for it. NOTIFY arrives on it when a change commits, and a poll finds
what a lost notification would have told.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout.db import LOST_CONNECTION
from turnout.telemetry import log

ANSWER_WITHIN: Final = timedelta(seconds=5)
"""A database that takes longer to tell what changed counts as away."""

FIRST_RETRY: Final = timedelta(milliseconds=100)
LAST_RETRY: Final = timedelta(seconds=1)

Look = Callable[[AsyncSession, Collection[str] | None], Awaitable[None]]
"""Reads what the notifications named, or, given None, whatever has changed."""


class Following:
    """Calls `look` at the start, at each notification on `channel`, and at each poll."""

    def __init__(
        self, engine: AsyncEngine, *, what: str, channel: str, poll: timedelta, look: Look
    ) -> None:
        self._engine = engine
        self._what = what
        self._channel = channel
        self._poll = poll.total_seconds()
        self._look = look
        self._named: set[str] = set()
        self._lost = False
        self._news = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the first look, or to learn that there is none to be had now.

        Whoever starts it again waits for the same.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._keep())
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                await self._tried.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        retry = FIRST_RETRY
        while True:
            try:
                async with self._listening() as session:
                    await self._refresh(session, None)
                    retry = FIRST_RETRY
                    await self._follow(session)
            except Exception as error:  # noqa: BLE001  (whatever it is, requests go on without)
                self._tried.set()
                foreseen = isinstance(error, (DBAPIError, *LOST_CONNECTION))
                log.warning(
                    f"{self._what} are not followed; the last known ones serve",
                    error=(str(error) or repr(error)).splitlines()[0],
                    exc_info=None if foreseen else error,
                )
            await asyncio.sleep(retry.total_seconds())
            retry = min(retry * 2, LAST_RETRY)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[AsyncSession]:
        """Listen before the first look, so that no change falls between the two."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver: Any = (await connection.get_raw_connection()).driver_connection
            self._lost = False
            try:
                driver.add_termination_listener(self._terminated)
                await driver.add_listener(self._channel, self._notified)
                async with AsyncSession(connection) as session:
                    yield session
            finally:
                # It must not go back to the pool listening.
                await connection.invalidate()

    async def _follow(self, session: AsyncSession) -> None:
        loop = asyncio.get_running_loop()
        look = loop.time() + self._poll
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look):
                    await self._news.wait()
            if self._lost:
                raise ConnectionResetError("the listening connection was closed")
            self._news.clear()
            named, self._named = self._named, set()
            if loop.time() < look:
                await self._refresh(session, named)
            else:
                await self._refresh(session, None)
                look = loop.time() + self._poll

    async def _refresh(self, session: AsyncSession, named: Collection[str] | None) -> None:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            await self._look(session, named)
        self._tried.set()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._named.add(payload)
        self._news.set()

    def _terminated(self, _connection: object) -> None:
        self._lost = True
        self._news.set()
