"""Once more, from the first stage."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import Conflict
from turnout.registry import queries as registry
from turnout.rollouts import queries
from turnout.rollouts.commands.start import start
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
    session: AsyncSession, rollout_id: UUID, wish: Retry, *, actor: str, now: datetime
) -> Rollout:
    """Start a new rollout of the same version by the same plan; it counts no old evidence."""
    former = await queries.rollout(session, rollout_id)
    if former.progress.phase not in RETRYABLE:
        raise NothingToRetry(former)
    candidate = (await registry.versions_by_id(session, [former.candidate_id]))[former.candidate_id]
    plan = former.plan
    launch = Launch(
        candidate=candidate.version,
        strategy=plan.strategy,
        stages=plan.stages,
        guardrails=plan.guardrails,
        promote=plan.promote,
        on_conflict=plan.on_conflict,
        override_quarantine=wish.override_quarantine,
        override_freeze=wish.override_freeze,
        reason=wish.reason,
    )
    return await start(session, candidate.model, launch, actor=actor, now=now, retries=former.id)
