"""The gateway of one process: what it keeps running, and its three operations."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from turnout import db
from turnout.errors import Refusal
from turnout.gateway import metrics
from turnout.gateway.lookups import Lookups, RouteOnItsWay
from turnout.gateway.recorder import Recorder
from turnout.gateway.responder import Responder, Served
from turnout.gateway.runtimes.answers import Answer
from turnout.gateway.runtimes.pool import RuntimePool
from turnout.gateway.schemas import AssignRequest, PredictRequest, predict_requests, read
from turnout.gateway.shadows import Shadows
from turnout.gateway.snapshot import LiveRoute, Snapshot, SnapshotKeeper
from turnout.quantities import Clock, JsonValue
from turnout.registry.domain.version import VersionRef
from turnout.settings import Settings
from turnout.traffic.domain.assignment import assign, forced
from turnout.traffic.domain.split import Assignment

AT_ONCE: Final = 16
"""Items of one batch under way together: enough for model servers to batch, few enough that one
caller's batch leaves room for others."""


class Gateway:
    def __init__(
        self, *, settings: Settings, engine: AsyncEngine, sessions: db.Sessions, clock: Clock
    ) -> None:
        self.keeper = SnapshotKeeper(
            engine,
            poll=timedelta(seconds=settings.split_poll_seconds),
            on_change=self._renewed,
        )
        self.recorder = Recorder(
            sessions,
            clock,
            bound=settings.record_buffer_rows,
            every=timedelta(seconds=settings.record_flush_seconds),
        )
        self.clock = clock
        self._lookups = Lookups(sessions)
        self.runtimes = RuntimePool(settings)
        self._shadows = Shadows(settings.shadow_concurrency)
        self._responder = Responder(
            pool=self.runtimes, recorder=self.recorder, shadows=self._shadows, clock=clock
        )

    async def start(self) -> None:
        self.recorder.start()
        await self.keeper.start()

    async def stop(self) -> None:
        """Stop whatever makes recordings before what writes them."""
        await self.keeper.stop()
        await self._shadows.stop()
        await self.runtimes.close()
        await self.recorder.stop()

    async def route(self, model: str) -> LiveRoute:
        """Raises ModelNotFound or NoRoute, or Unavailable when the database cannot tell which."""
        if live := self.keeper.current.routes.get(model):
            return live
        absence = await self._lookups.absence(model)
        # Whoever starts a first rollout and predicts at once is faster than the notification.
        if isinstance(absence, RouteOnItsWay) and (live := await self.keeper.awaited(model)):
            return live
        raise absence

    async def assign(
        self, live: LiveRoute, request: AssignRequest
    ) -> tuple[Assignment, VersionRef]:
        """Choose the version; only a forced one that the route does not name costs a look-up."""
        route = live.route
        if request.version is None:
            chosen = assign(
                route.split,
                route.overrides,
                unit=request.unit,
                attributes=request.attributes or {},
                draw=live.draw(),
            )
            return chosen, route.versions[chosen.version]
        version = route.versions.get(request.version)
        if version is None:
            version = await self._lookups.version(route.model, request.version)
        return forced(route.split, version), version

    async def experiment(self, experiment_id: str) -> str | None:
        """The key of an experiment; None while that cannot be known."""
        return await self._lookups.experiment(experiment_id)

    async def probe(self, version: VersionRef, inputs: JsonValue) -> Answer | None:
        """Make sure that this replica can answer with a version: load it, and ask it, too, if there
        are inputs to ask it with. Raises RunByCaller, InputMismatch or RuntimeFailure."""
        return await self.runtimes.probe(version, inputs)

    async def predict(self, live: LiveRoute, request: PredictRequest) -> Served:
        by, version = await self.assign(live, request)
        return await self._responder.predict(live, by, version, request)

    async def predict_each(
        self, live: LiveRoute, items: Sequence[msgspec.Raw]
    ) -> list[Served | Refusal]:
        """Answer every item, in order; one that is refused does not concern the others."""
        results: dict[int, Served | Refusal] = {}
        waiting = iter(enumerate(items))

        async def work() -> None:
            for place, item in waiting:
                try:
                    request = read(predict_requests, item, at=f"body.items[{place}]")
                    results[place] = await self.predict(live, request)
                except Refusal as refusal:
                    results[place] = refusal
                await asyncio.sleep(0)  # others' turn, also where a runtime never waits

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(AT_ONCE, len(items))):
                workers.create_task(work())
        return [results[place] for place in range(len(items))]

    def _renewed(self, snapshot: Snapshot) -> None:
        metrics.follow(snapshot)
        self.runtimes.want(
            {
                version.id: version
                for live in snapshot.routes.values()
                for version in live.route.versions.values()
            }.values()
        )
