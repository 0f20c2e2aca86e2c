"""A version that breaks a threshold leaves the road by the one path that rollbacks have."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef, VersionRef
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands import order
from turnout.rollouts.commands.restore import NoProvenVersion, restore
from turnout.rollouts.commands.start import lock
from turnout.rollouts.domain.orders import Order, Restoration
from turnout.rollouts.domain.phases import Phase

WORKER: Final = "worker"


class BaselineBroken(Conflict):
    def __init__(self, version: VersionRef, candidate: VersionRef) -> None:
        super().__init__(
            f"{version.version} is the baseline that the rollout of {candidate.version} would go"
            f" back to: promote {candidate.version}, or go back to another version by hand",
            version=version.version,
            candidate=candidate.version,
        )


async def roll_back(
    session: AsyncSession, model: str, version_id: int, *, reason: str, now: datetime
) -> None:
    """Take the version off the road: the rollout of which it is the candidate is rolled back, or
    the last other version that proved itself answers instead. Refused where neither can be.

    Where somebody has moved the traffic meanwhile, nothing is left to do. One that is on its way
    off the road keeps the time that its plan takes for that: what breaks a threshold there is
    mostly what began it.
    """
    found = await registry.model(session, model)
    await lock(session, found)
    live = await rollouts.live(session, found.id)
    if live is not None:
        await rollouts.locked_together(session, live.id)  # as it is by now
    if version_id not in {one.id for one in await rollouts.answering(session, found.id)}:
        return
    if live is None or live.progress.phase.terminal:
        await _restore(session, found, version_id, reason=reason, now=now)
    elif live.candidate_id != version_id:
        versions = await registry.versions_by_id(session, [version_id, live.candidate_id])
        raise BaselineBroken(versions[version_id], versions[live.candidate_id])
    elif live.progress.phase is not Phase.ROLLING_BACK:
        await order.roll_back(session, live.id, Order(reason=reason), actor=WORKER, now=now)


async def _restore(
    session: AsyncSession, model: ModelRef, version_id: int, *, reason: str, now: datetime
) -> None:
    """Whichever others share the traffic, it is this version that is quarantined."""
    proven = await rollouts.last_proven(session, model.id, but=version_id)
    if proven is None:
        raise NoProvenVersion(model)
    versions = await registry.versions_by_id(session, [proven, version_id])
    wish = Restoration(reason=reason, to_version=versions[proven].version)
    await restore(session, model.name, wish, actor=WORKER, now=now, leaving=versions[version_id])
