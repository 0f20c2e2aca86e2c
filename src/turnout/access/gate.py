"""Who may come in: asked once for every request, before anything of it is read."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout import db
from turnout.access.domain.credentials import (
    MARK,
    CredentialsMalformed,
    CredentialsMissing,
    CredentialsRefused,
    presented,
    proves,
    read_key,
)
from turnout.access.domain.keys import DEVELOPER
from turnout.access.domain.local import check_local
from turnout.access.issuer import issuer_of
from turnout.access.keyring import Keyring
from turnout.callers import Caller, Headers
from turnout.quantities import Clock
from turnout.settings import Settings

Identified = TypeVar("Identified")


@dataclass(frozen=True, slots=True)
class ModelsOf(Generic[Identified]):
    """How a thing is identified in a path, and which models it belongs to: none if there is no such
    thing, None if it is not of any model."""

    read: Callable[[str], Identified]
    find: Callable[[AsyncSession, Identified], Awaitable[Collection[str] | None]]


class Gatekeeper:
    """Admits callers by their credentials; or anybody, as long as no credentials were ever made,
    there is no identity provider, and only those who may do everything can reach the service
    (`may_be_open`)."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: AsyncEngine,
        sessions: db.Sessions,
        clock: Clock,
        may_be_open: bool,
        models_of: Mapping[str, ModelsOf[Any]],
    ) -> None:
        self._keys = Keyring(engine, sessions, poll=settings.split_poll)
        self._sessions = sessions
        self._clock = clock
        self._issuer = issuer_of(settings)
        self._may_be_open = may_be_open and self._issuer is None
        self._only_local = not settings.allow_unauthenticated
        self._models_of = models_of

    async def start(self) -> None:
        await self._keys.start()
        if self._issuer is not None:
            await self._issuer.start()

    async def stop(self) -> None:
        await self._keys.stop()
        if self._issuer is not None:
            await self._issuer.stop()

    @property
    def open(self) -> bool:
        """Development mode. A key that was revoked or has expired does not bring it back."""
        return self._may_be_open and self._keys.loaded and self._keys.empty

    def expect_change(self) -> None:
        """Know of a key that this process has made or revoked at the very next request."""
        self._keys.expect_change()

    async def admit(self, headers: Headers, *, again: bool = False) -> Caller:
        if self._may_be_open:
            await self._know_keys()
            if self.open:
                if self._only_local:
                    check_local(headers)
                return DEVELOPER
        text = presented(headers)
        if not text:
            raise CredentialsMissing(self._issuer.trust.issuer if self._issuer else None)
        if text.startswith(MARK):
            await self._know_keys()
            return await self._holder(text, again=again)
        if self._issuer is None:
            raise CredentialsMalformed(f"an API key begins with {MARK}")
        return await self._issuer.admit(text, self._clock())

    async def _know_keys(self) -> None:
        if self._keys.outdated or not self._keys.loaded:
            await self._keys.catch_up()

    async def _holder(self, text: str, *, again: bool) -> Caller:
        sent = read_key(text)
        live = await self._keys.find(sent.id)
        if not proves(sent.secret, live.key.digest if live else None) or live is None:
            raise CredentialsRefused("there is no such API key")
        now = self._clock()
        live.key.check_valid(now)
        if live.bucket is not None and not again:
            live.bucket.take(asyncio.get_running_loop().time())
        self._keys.note_use(live, now)
        return live.caller

    async def models_of(self, parameter: str, identity: str) -> Collection[str] | None:
        kind = self._models_of.get(parameter)
        if kind is None:
            return None
        try:
            named = kind.read(identity)
        except ValueError:
            return ()  # the operation says what is wrong with it
        async with self._sessions() as session:
            return await kind.find(session, named)
