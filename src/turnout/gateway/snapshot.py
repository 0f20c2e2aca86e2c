"""The routes of all models, in this process: renewed within milliseconds of a change, and kept
while the database is away.

One connection is set aside for it. NOTIFY arrives on it when a change commits, and a poll finds
what a lost notification would have told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout.db import LOST_CONNECTION
from turnout.gateway.runtimes.answers import first_line
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.telemetry import log
from turnout.traffic import queries
from turnout.traffic.commands import CHANNEL
from turnout.traffic.domain.assignment import Route
from turnout.traffic.domain.draws import draws

ANSWER_WITHIN: Final = timedelta(seconds=5)
"""A database that takes longer to tell what changed counts as away."""

ARRIVES_WITHIN: Final = timedelta(seconds=1)
"""How long a request waits for a route that the database has and this process does not."""

FIRST_RETRY: Final = timedelta(milliseconds=100)
LAST_RETRY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route, and what is made of it once instead of at every request.

    The draws go with the split: they count on while it stays.
    """

    route: Route
    draw: Callable[[], int]
    shadows: tuple[VersionRef, ...]

    @classmethod
    def of(cls, route: Route, draw: Callable[[], int] | None) -> Self:
        versions = (route.versions[variant.version] for variant in route.split.shadows)
        runnable = tuple(v for v in versions if not isinstance(v.runtime, ExternalRuntime))
        return cls(route, draw or draws(route.split), runnable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the requests of this moment are routed by; a change makes a new one."""

    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    revisions: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def differing(self, revisions: Mapping[int, tuple[int, int]]) -> set[int]:
        """Name the models whose route is not of these revisions."""
        return {
            model_id
            for model_id in revisions.keys() | self.revisions.keys()
            if revisions.get(model_id) != self.revisions.get(model_id)
        }

    def renewed(
        self,
        model_ids: Collection[int],
        routes: Collection[Route],
        revisions: Mapping[int, tuple[int, int]],
    ) -> "Snapshot":
        """Replace the routes of some models; those of them that have none any more leave."""
        kept: dict[str, LiveRoute] = {}
        draw_of = {}
        for name, live in self.routes.items():
            if live.route.model.id in model_ids:
                draw_of[live.route.split.id] = live.draw
            else:
                kept[name] = live
        for route in routes:
            kept[route.model.name] = LiveRoute.of(route, draw_of.get(route.split.id))
        return Snapshot(routes=kept, revisions=revisions)


class SnapshotKeeper:
    """Keeps `current` up to date. `loaded` is true once there has been an answer to keep."""

    def __init__(
        self, engine: AsyncEngine, *, poll: timedelta, on_change: Callable[[Snapshot], None]
    ) -> None:
        self.current = Snapshot()
        self.loaded = False
        self._engine = engine
        self._poll = poll.total_seconds()
        self._on_change = on_change
        self._named: set[int] = set()
        self._lost = False
        self._news = asyncio.Event()
        self._renewed = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the first snapshot, or to learn that there is none to be had now."""
        self._task = asyncio.create_task(self._keep())
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                await self._tried.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def awaited(self, model: str) -> LiveRoute | None:
        """The route of a model that is about to have one; None if none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN.total_seconds()):
                while model not in self.current.routes:
                    await self._renewed.wait()
        return self.current.routes.get(model)

    async def _keep(self) -> None:
        retry = FIRST_RETRY
        while True:
            try:
                async with self._listening() as session:
                    await self._refresh(session)
                    retry = FIRST_RETRY
                    await self._follow(session)
            except Exception as error:  # noqa: BLE001  (whatever it is, routing goes on without)
                self._tried.set()
                foreseen = isinstance(error, (DBAPIError, *LOST_CONNECTION))
                log.warning(
                    "routes are not followed; the last known ones serve",
                    error=first_line(error),
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
                await driver.add_listener(CHANNEL, self._notified)
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
                await self._refresh(session)
                look = loop.time() + self._poll

    async def _refresh(self, session: AsyncSession, named: Collection[int] | None = None) -> None:
        """Read the routes of the named models, or of those that changed."""
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            # Revisions first: a change in between is read twice, never missed.
            found = await queries.revisions(session, named)
            if named is None:
                revisions = found
                named = self.current.differing(found)
            else:
                others = {k: v for k, v in self.current.revisions.items() if k not in named}
                revisions = others | found
            routes = await queries.routes(session, named) if named else []
        if named:
            self.current = self.current.renewed(named, routes, revisions)
            self._renewed.set()
            self._renewed = asyncio.Event()
            self._on_change(self.current)
        self.loaded = True
        self._tried.set()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if payload.isascii() and payload.isdigit():
            self._named.add(int(payload))
            self._news.set()

    def _terminated(self, _connection: object) -> None:
        self._lost = True
        self._news.set()
