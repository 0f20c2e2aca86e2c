"""What is to go to production passes its slow gates before a rollout of it is begun."""

from collections.abc import Mapping
from typing import Annotated, Final
from uuid import UUID

from fastapi import Body, Depends, Path

from turnout.db import transaction
from turnout.gates.dependencies import Clearing
from turnout.http import Calling
from turnout.registry import queries as registry
from turnout.rollouts import examples, queries
from turnout.rollouts.commands.retry import again
from turnout.rollouts.domain.group import GroupLaunch
from turnout.rollouts.domain.orders import Retry
from turnout.rollouts.domain.plan import Launch

Named = Annotated[str, Path(examples=["fraud-detection"])]
Identified = Annotated[UUID, Path(description="The rollout's `id`")]
LaunchBody = Annotated[Launch, Body(openapi_examples=examples.LAUNCH)]
GroupBody = Annotated[GroupLaunch, Body(openapi_examples=examples.GROUP)]
RetryBody = Annotated[Retry, Body(openapi_examples=examples.RETRY)]
ONCE_MORE: Final = Retry()


async def clear_launch(model: Named, body: LaunchBody, clearing: Clearing) -> None:
    await _clear(clearing, {model: body}, body.reason)


async def clear_group(body: GroupBody, caller: Calling, clearing: Clearing) -> None:
    launches = {member.model: member for member in body.rollouts}
    caller.check_models(launches)
    await _clear(clearing, launches, body.reason)


async def _clear(clearing: Clearing, launches: Mapping[str, Launch], reason: str | None) -> None:
    async with transaction(clearing.resources.sessions) as session:
        candidates = []
        for name, launch in launches.items():
            if launch.promote:
                model = await registry.model(session, name)
                candidates.append(await registry.version(session, model.id, launch.candidate))
    await clearing.before_production(candidates, reason)


async def clear_retry(
    rollout_id: Identified, clearing: Clearing, body: RetryBody = ONCE_MORE
) -> None:
    async with transaction(clearing.resources.sessions) as session:
        members = await again(session, await queries.rollout(session, rollout_id))
        ids = [member.candidate_id for member in members if member.plan.promote]
        candidates = await registry.versions_by_id(session, ids)
    await clearing.before_production(candidates.values(), body.reason)


LaunchCleared = Annotated[None, Depends(clear_launch)]
GroupCleared = Annotated[None, Depends(clear_group)]
RetryCleared = Annotated[None, Depends(clear_retry)]
