"""What may win and be promoted passes its slow gates before an experiment is begun or concluded."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Body, Depends, Path

from turnout.db import transaction
from turnout.experiments import examples, queries
from turnout.experiments.domain.machine import ConcludeOrder, Order
from turnout.gates.dependencies import Clearance, Clearing
from turnout.registry.queries import versions_by_id

Identified = Annotated[UUID, Path(description="The experiment's `id`")]
StartBody = Annotated[Order, Body(openapi_examples=examples.START)]
ConcludeBody = Annotated[ConcludeOrder, Body(openapi_examples=examples.CONCLUSION)]
NOTHING_SAID: Final = Order()
AS_PLANNED: Final = ConcludeOrder()


async def clear_start(
    experiment_id: Identified, clearing: Clearing, body: StartBody = NOTHING_SAID
) -> None:
    await clear_winner(clearing, experiment_id, None, body.reason)


async def clear_conclusion(
    experiment_id: Identified, clearing: Clearing, body: ConcludeBody = AS_PLANNED
) -> None:
    await clear_winner(clearing, experiment_id, body.promote_winner, body.reason)


async def clear_winner(
    clearing: Clearance, experiment_id: UUID, promote: bool | None, reason: str | None
) -> None:
    """`promote` is None for what the plan says."""
    async with transaction(clearing.resources.sessions) as session:
        found = await queries.experiment(session, experiment_id)
        plan = found.plan
        if found.status.terminal or not (plan.promote_winner if promote is None else promote):
            return
        arms = (await queries.arms(session, [experiment_id]))[experiment_id]
        treatments = [arms[arm.version] for arm in plan.treatments]
        versions = await versions_by_id(session, treatments)
    await clearing.before_production(versions.values(), reason)


StartCleared = Annotated[None, Depends(clear_start)]
ConclusionCleared = Annotated[None, Depends(clear_conclusion)]
