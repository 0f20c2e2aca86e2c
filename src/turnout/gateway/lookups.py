"""What the snapshot does not know, asked of the database and remembered for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import db
from turnout.errors import Refusal, Unavailable
from turnout.experiments import queries as experiments
from turnout.registry import queries as registry
from turnout.registry.domain.fields import MODEL_NAME
from turnout.registry.domain.version import ModelNotFound, ModelRef, VersionRef
from turnout.telemetry import log
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import check_servable

REMEMBERED: Final = timedelta(seconds=2)
MOST_REMEMBERED: Final = 10_000
ANSWER_WITHIN: Final = timedelta(seconds=2)
AWAY: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""Whatever the database has against a question as simple as these, it cannot be asked now."""


class NoRoute(Unavailable):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"nothing serves {model} yet: start a rollout of one of its versions, or PUT a split",
            model=model,
        )


class RouteOnItsWay(Unavailable):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} has just been given a route, which this replica does not follow yet:"
            " try again in a moment",
            model=model,
        )


class Lookups:
    """An answer, a refusal too, is given again for two seconds before the database is asked anew.

    So a caller who names what is not there cannot keep the database busy.
    """

    def __init__(self, sessions: db.Sessions) -> None:
        self._sessions = sessions
        self._known: dict[tuple[str, str | None], tuple[float, VersionRef | Refusal]] = {}
        self._experiments: dict[str, str] = {}

    async def absence(self, model: str) -> Refusal:
        """Tell why a model has no route here: it is not there, nothing serves it, or not yet."""
        if not MODEL_NAME.fullmatch(model):  # nor is it remembered, however long it is
            return ModelNotFound(model)

        async def find(session: AsyncSession) -> Refusal:
            found = await registry.model(session, model)
            split = await traffic.active_split(session, found.id)
            return NoRoute(model) if split is None else RouteOnItsWay(model)

        found = await self._once((model, None), find)
        assert isinstance(found, Refusal)
        return found.with_traceback(None)

    async def version(self, model: ModelRef, text: str) -> VersionRef:
        """Find a version that the split does not name; refuse one that cannot serve."""

        async def find(session: AsyncSession) -> VersionRef:
            version = await registry.version(session, model.id, text)
            check_servable(version)
            return version

        found = await self._once((model.name, text), find)
        if isinstance(found, Refusal):
            raise found.with_traceback(None)
        return found

    async def experiment(self, experiment_id: str) -> str | None:
        """The key of an experiment, which never changes; None while the database is away."""
        if experiment_id not in self._experiments:
            try:
                async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                    async with db.transaction(self._sessions) as session:
                        found = await experiments.experiment(session, UUID(experiment_id))
                        self._experiments[experiment_id] = found.plan.key
            except AWAY as error:
                log.warning("database not asked", error=repr(error))
        return self._experiments.get(experiment_id)

    async def _once(
        self,
        key: tuple[str, str | None],
        find: Callable[[AsyncSession], Awaitable[VersionRef | Refusal]],
    ) -> VersionRef | Refusal:
        now = asyncio.get_running_loop().time()
        until, found = self._known.get(key, (now, None))
        if found is None or until <= now:
            found = await self._ask(key, find)
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = (now + REMEMBERED.total_seconds(), found)
        return found

    async def _ask(
        self,
        key: tuple[str, str | None],
        find: Callable[[AsyncSession], Awaitable[VersionRef | Refusal]],
    ) -> VersionRef | Refusal:
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                async with db.transaction(self._sessions) as session:
                    return await find(session)
        except Refusal as refusal:
            return refusal
        except AWAY as error:
            log.warning("database not asked", error=repr(error))
            model, version = key
            raise Unavailable(
                f"{model} {version or ''}".strip()
                + " is not among the routes known here, and the database cannot be asked now"
            ) from error
