from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.observations.domain.prediction import uuid7
from turnout.rollouts.commands.start import lock_all, start
from turnout.rollouts.domain.group import GroupLaunch
from turnout.rollouts.tables import Rollout


class NothingToWaitFor(Conflict):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"no version of {model} answers yet: its first one goes live at once and waits for"
            f" nobody, so start it outside the group first",
            model=model,
        )


async def launch_group(
    session: AsyncSession,
    launch: GroupLaunch,
    *,
    actor: str,
    now: datetime,
    confined_to: Collection[str] | None = None,
) -> tuple[UUID, list[Rollout]]:
    """Start all rollouts of a group, in the order of their models' names, or none."""
    await lock_all(session, [member.model for member in launch.rollouts])
    group_id = UUID(uuid7(now))
    rollouts = []
    for member in sorted(launch.rollouts, key=lambda member: member.model):
        rollout = await start(
            session,
            member.model,
            replace(member, reason=member.reason or launch.reason),
            actor=actor,
            now=now,
            confined_to=confined_to,
            group_id=group_id,
        )
        if rollout.progress.phase.terminal:
            raise NothingToWaitFor(member.model)
        rollouts.append(rollout)
    return group_id, rollouts
