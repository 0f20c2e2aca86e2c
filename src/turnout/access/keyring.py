"""The keys of the service, in this process: no request asks the database for the key it brings."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout import db
from turnout.access import key_queries
from turnout.access.domain.keys import Bucket, Key
from turnout.access.key_commands import CHANNEL
from turnout.callers import Caller
from turnout.db import LOST_CONNECTION
from turnout.errors import Unavailable
from turnout.following import Following
from turnout.telemetry import log

SPACING: Final = timedelta(milliseconds=100)
"""Whoever comes with made-up keys makes the database be asked this often, and waits for it."""

ANSWER_WITHIN: Final = timedelta(seconds=2)
NOTED_EVERY: Final = timedelta(minutes=1)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


class KeysUnknown(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "the database cannot be asked whether there is such a key: try again in a moment"
        )

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


@dataclass(slots=True)
class LiveKey:
    """A key, and what is made of it once instead of at every request."""

    key: Key
    caller: Caller
    bucket: Bucket | None
    noted: datetime = NEVER


class Keyring:
    """`loaded` is true once the database has told which keys there are; `outdated`, from when this
    process has changed one until it has read them again."""

    def __init__(self, engine: AsyncEngine, sessions: db.Sessions, *, poll: timedelta) -> None:
        self.loaded = False
        self._changes = self._changes_read = 0
        self._sessions = sessions
        self._keys: dict[str, LiveKey] = {}
        self._state = (0, 0)
        self._uses: dict[str, datetime] = {}
        self._reading = asyncio.Lock()
        self._read_at = self._failed_at = float("-inf")
        self._following = Following(
            engine, what="API keys", channel=CHANNEL, poll=poll, look=self._look
        )

    async def start(self) -> None:
        await self._following.start()

    async def stop(self) -> None:
        await self._following.stop()

    @property
    def outdated(self) -> bool:
        return self._changes_read != self._changes

    def expect_change(self) -> None:
        self._changes += 1

    @property
    def empty(self) -> bool:
        """Whether no key was ever made."""
        return not self._keys

    async def find(self, key_id: str) -> LiveKey | None:
        """Raises KeysUnknown for a key that only the database may know, while that is away."""
        if key_id not in self._keys:
            await self.catch_up()
        return self._keys.get(key_id)

    def note_use(self, live: LiveKey, now: datetime) -> None:
        if now - live.noted >= NOTED_EVERY:
            live.noted = self._uses[live.key.id] = now

    async def catch_up(self) -> None:
        """Read the keys anew, together with whoever else waits for that."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self._reading:
            if self._read_at >= asked:
                return
            if self._failed_at < asked:
                await asyncio.sleep(self._read_at + SPACING.total_seconds() - loop.time())
                began = loop.time()
                try:
                    async with (
                        asyncio.timeout(ANSWER_WITHIN.total_seconds()),
                        db.transaction(self._sessions) as session,
                    ):
                        await self._read(session)
                except (SQLAlchemyError, *LOST_CONNECTION) as error:
                    self._failed_at = began
                    log.warning("API keys cannot be read", error=repr(error))
                else:
                    self._read_at = began
                    return
        raise KeysUnknown

    async def _look(self, session: AsyncSession, named: Collection[str] | None) -> None:
        if named or not self.loaded or await key_queries.state(session) != self._state:
            await self._read(session)
        uses, self._uses = self._uses, {}
        try:
            await key_queries.note_uses(session, uses)
        except BaseException:
            self._uses = uses | self._uses
            raise

    async def _read(self, session: AsyncSession) -> None:
        # Counted first: a change in between is read twice, never missed.
        changes = self._changes
        state = await key_queries.state(session)
        found = await key_queries.keys(session)
        self._keys = {key.id: self._live(key) for key in found}
        self._state, self._changes_read, self.loaded = state, changes, True

    def _live(self, key: Key) -> LiveKey:
        known = self._keys.get(key.id)
        if known is not None and known.key == key:
            return known
        models = None if key.models is None else frozenset(key.models)
        bucket = None
        if key.rate_limit is not None:
            bucket = Bucket.full(key.rate_limit, asyncio.get_running_loop().time())
        return LiveKey(key, Caller(name=key.name, role=key.role, models=models), bucket)
