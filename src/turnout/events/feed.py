"""New events in this process, read once for all who follow them.

One connection listens, however many clients there are. The newest events stay in memory; a client
has no buffer of its own but a position in them. One that falls behind them goes on from the
database, page by page, as fast as it reads.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout.db import Sessions, lost_connection, sessions, transaction
from turnout.errors import Unavailable
from turnout.events import queries
from turnout.events.commands import number
from turnout.events.domain import Event
from turnout.following import Following

CHANNEL: Final = "turnout_events"
KEPT: Final = 1000
PAGE: Final = 200
POLL: Final = timedelta(seconds=5)
"""How often it is looked for what a lost notification would have told."""


class NoEvents(Unavailable):
    def __init__(self) -> None:
        super().__init__("events cannot be read now: the database does not answer, or we stop")


class Feed:
    """Starts with the first follower, so that a process without any needs no connection for it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions: Sessions = sessions(engine)
        self._kept: deque[Event] = deque()
        self._floor = 0
        """Every event above it, up to the newest, is in memory."""
        self._newest: int | None = None
        self._news = asyncio.Event()
        self._closed = False
        self._following = Following(
            engine, what="events", channel=CHANNEL, poll=POLL, look=self._read
        )

    async def position(self, after: int | None) -> int:
        """Where to begin: behind `after`, or with what happens from now on."""
        if self._closed:
            raise NoEvents
        if self._newest is None:
            await self._following.start()
        if self._newest is None:
            raise NoEvents
        # A position above the newest was given by a database that has been replaced since.
        return self._newest if after is None else min(after, self._newest)

    async def follow(self, position: int, wanted: Callable[[Event], bool]) -> AsyncIterator[Event]:
        """The wanted events behind a position as they happen, until `close` or a lost database."""
        while not self._closed:
            news = self._news
            try:
                events = await self._behind(position)
            except Exception as error:
                if not lost_connection(error):
                    raise
                return
            for event in events:
                position = event.position
                if wanted(event):
                    yield event
            if not events:
                await news.wait()

    def close(self) -> None:
        """End every stream; the clients come back to another replica, or after the restart."""
        self._closed = True
        self._wake()

    async def stop(self) -> None:
        self.close()
        await self._following.stop()

    async def _behind(self, position: int) -> list[Event]:
        if position >= self._floor:
            return [event for event in self._kept if event.position > position]
        async with self._sessions() as session:
            return await queries.events(session, after=position, limit=PAGE)

    async def _read(self, _: AsyncSession, __: Collection[str] | None) -> None:
        """Whatever was notified, read on; numbering needs a transaction of its own."""
        async with transaction(self._sessions) as session:
            await number(session)
        async with self._sessions() as session:
            if self._newest is None:
                self._newest = self._floor = await queries.newest(session)
            while found := await queries.events(session, after=self._newest, limit=PAGE):
                self._kept.extend(found)
                self._newest = found[-1].position
                while len(self._kept) > KEPT:
                    self._floor = self._kept.popleft().position
                self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
