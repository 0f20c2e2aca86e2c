"""The routes of all models, in this process: renewed within milliseconds of a change, and kept
while the database is away."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from turnout.following import Following
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.traffic import queries
from turnout.traffic.domain.assignment import Route
from turnout.traffic.domain.draws import draws
from turnout.traffic.route import CHANNEL

ARRIVES_WITHIN: Final = timedelta(seconds=1)
"""How long a request waits for a route that the database has and this process does not."""


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
    revisions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def revision(self, route: Route) -> str:
        """Differs after every change of the model's split or overrides, and of whether those lead
        anywhere."""
        return ".".join(map(str, self.revisions.get(route.model.id, (route.split.id, 0))))

    def differing(self, revisions: Mapping[int, tuple[int, ...]]) -> set[int]:
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
        revisions: Mapping[int, tuple[int, ...]],
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
        self._on_change = on_change
        self._renewed = asyncio.Event()
        self._closed = False
        self._following = Following(
            engine, what="routes", channel=CHANNEL, poll=poll, look=self._refresh
        )

    async def start(self) -> None:
        """Wait for the first snapshot, or to learn that there is none to be had now."""
        await self._following.start()

    async def stop(self) -> None:
        await self._following.stop()

    async def awaited(self, model: str) -> LiveRoute | None:
        """The route of a model that is about to have one; None if none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN.total_seconds()):
                while model not in self.current.routes:
                    await self._renewed.wait()
        return self.current.routes.get(model)

    async def another(self, known: LiveRoute, *, within: timedelta) -> None:
        """Wait until a model has another route than this one, time is up, or we stop."""
        model = known.route.model.name
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while not self._closed and self.current.routes.get(model) is known:
                    await self._renewed.wait()

    def close(self) -> None:
        """Let nobody wait any longer; those who did ask another replica, or after the restart."""
        self._closed = True
        self._wake()

    async def _refresh(self, session: AsyncSession, payloads: Collection[str] | None) -> None:
        """Read the routes of the named models, or of those that changed."""
        named: Collection[int] | None = None
        if payloads is not None:
            named = {int(text) for text in payloads if text.isascii() and text.isdigit()}
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
            self._wake()
            self._on_change(self.current)
        self.loaded = True

    def _wake(self) -> None:
        self._renewed.set()
        self._renewed = asyncio.Event()
