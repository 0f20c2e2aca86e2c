"""Once more, from the first stage."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.observations.domain.prediction import uuid7
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionRef
from turnout.rollouts import queries
from turnout.rollouts.commands.start import lock_all, start
from turnout.rollouts.domain.orders import Retry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch
from turnout.rollouts.tables import Rollout

RETRYABLE: Final = frozenset({Phase.ROLLED_BACK, Phase.ABORTED, Phase.FAILED})


class NothingToRetry(Conflict):
    def __init__(self, rollout: Rollout) -> None:
        phase = rollout.progress.phase
        super().__init__(
            f"the rollout is {phase}: only one that was rolled back or aborted, or that failed,"
            f" is tried again",
            phase=phase,
        )


async def retry(
    session: AsyncSession,
    rollout_id: UUID,
    wish: Retry,
    *,
    actor: str,
    now: datetime,
    confined_to: Collection[str] | None = None,
) -> Rollout:
    """Start a new rollout of the same version by the same plan; it counts no old evidence.

    What went down with its group starts again with its group: all of it, or none.
    """
    former = await queries.rollout(session, rollout_id)
    members = await again(session, former)
    group_id = None if former.group_id is None else UUID(uuid7(now))
    ids = {id_ for member in members for id_ in (member.candidate_id, member.baseline_id) if id_}
    versions = await registry.versions_by_id(session, ids)
    await lock_all(session, {versions[member.candidate_id].model for member in members})
    started = {}
    for member in sorted(members, key=lambda member: versions[member.candidate_id].model):
        candidate = versions[member.candidate_id]
        started[member.id] = await start(
            session,
            candidate.model,
            _launch(member, versions, wish),
            actor=actor,
            now=now,
            confined_to=confined_to,
            retries=member.id,
            group_id=group_id,
        )
    return started[former.id]


async def again(session: AsyncSession, former: Rollout) -> Sequence[Rollout]:
    """Find all that starts again when one rollout does."""
    members: Sequence[Rollout] = [former]
    if former.group_id is not None:
        members = await queries.members(session, former.group_id)
    for member in members:
        if member.progress.phase not in RETRYABLE:
            raise NothingToRetry(member)
    return members


def _launch(former: Rollout, versions: Mapping[int, VersionRef], wish: Retry) -> Launch:
    """Where its rollback has failed, candidate and baseline share the traffic still."""
    plan, baseline = former.plan, None
    if former.progress.phase is Phase.FAILED and former.baseline_id is not None:
        baseline = versions[former.baseline_id].version
    return Launch(
        candidate=versions[former.candidate_id].version,
        baseline=baseline,
        strategy=plan.strategy,
        stages=plan.stages,
        guardrails=plan.guardrails,
        promote=plan.promote,
        on_conflict=plan.on_conflict,
        rollback_over=plan.rollback_over,
        override_quarantine=wish.override_quarantine,
        override_freeze=wish.override_freeze,
        reason=wish.reason,
    )
