"""Experiments by their keys, remembered, so that hardly any evaluation asks the database."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import db
from turnout.errors import Unavailable
from turnout.experiments import queries as experiments
from turnout.gateway.lookups import ANSWER_WITHIN, AWAY, MOST_REMEMBERED, REMEMBERED
from turnout.registry import queries as registry
from turnout.telemetry import log

LONGEST: Final = 100


class ExperimentKeys:
    """What was found out is good for two seconds, and for longer while the database is away."""

    def __init__(self, sessions: db.Sessions) -> None:
        self._sessions = sessions
        self._models: dict[str, tuple[float, list[str]]] = {}
        self._keys: dict[UUID, str] = {}

    async def models(self, key: str) -> Sequence[str]:
        """The models that experiments of this key are about; where some are under way, those."""
        if len(key) > LONGEST or "\0" in key:  # what no experiment can be called
            return ()
        now = asyncio.get_running_loop().time()
        until, models = self._models.get(key, (now, None))
        if models is None or until <= now:
            try:
                models = await self._found(key)
            except AWAY as error:
                if models is None:
                    raise _away(key, error) from error
            if len(self._models) >= MOST_REMEMBERED:
                self._models.clear()
            self._models[key] = (now + REMEMBERED.total_seconds(), models)
        return models

    async def keys(self, ids: Collection[UUID]) -> Mapping[UUID, str]:
        """The keys of experiments, which never change; without those that cannot be asked now."""
        unknown = [one for one in ids if one not in self._keys]
        if unknown:
            try:
                async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                    async with db.transaction(self._sessions) as session:
                        self._keys |= await experiments.keys(session, unknown)
            except AWAY as error:
                log.warning("experiments not asked for", error=repr(error))
        return {one: self._keys[one] for one in ids if one in self._keys}

    async def _found(self, key: str) -> list[str]:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            async with db.transaction(self._sessions) as session:
                return await _models(session, key)


async def _models(session: AsyncSession, key: str) -> list[str]:
    under_way = await experiments.keyed(session, key)
    live = [model_id for model_id, is_live in under_way.items() if is_live]
    found = await registry.models_by_id(session, live or under_way.keys())
    return sorted(model.name for model in found.values())


def _away(key: str, error: BaseException) -> Unavailable:
    log.warning("experiment not asked for", error=repr(error))
    return Unavailable(
        f"{key} is not among the routes known here, and the database cannot be asked now"
    )


async def experiment_keys(request: Request) -> ExperimentKeys:
    found: ExperimentKeys = request.app.state.experiment_keys
    return found
