"""Every stored verdict, found anew from what it was found on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.http import Session
from turnout.problems import problems
from turnout.rollouts import queries
from turnout.rollouts.domain.evidence import Judgement, judge
from turnout.rollouts.queries import RolloutNotFound
from turnout.rollouts.tables import Rollout, RolloutLook

router = http.router("rollouts")

BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A look whose stored judgement is not what its evidence leads to; `evidence` is its id."""

    evidence: int
    at: datetime
    stage: int
    stored: Judgement
    replayed: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How many stored looks were judged again, and those that came out otherwise."""

    rollout: UUID
    looks: int
    same: bool
    differences: tuple[Difference, ...]


@router.get(
    "/rollouts/{rollout_id}/replay",
    summary="Judge all its evidence again",
    responses=problems(RolloutNotFound),
)
async def replay_rollout(
    rollout_id: Annotated[UUID, Path(description="The rollout's `id`")], session: Session
) -> Replay:
    """Finds every stored verdict anew, from the evidence and the plan stored with it, and says
    where the result differs. It does not, unless somebody changed a stored row, or this release of
    Turnout judges otherwise than the one that took the look: that is what this is for.
    """
    rollout = await queries.rollout(session, rollout_id)
    plans = await queries.plans(session, rollout)
    looks, differences = 0, []
    async for look in _looks(session, rollout):
        looks += 1
        plan = plans[look.plan_version]
        replayed, _ = judge(plan, look.progress, look.evidence, look.sequences, look.at)
        if replayed != look.judgement:
            differences.append(
                Difference(
                    evidence=look.id,
                    at=look.at,
                    stage=look.progress.stage,
                    stored=look.judgement,
                    replayed=replayed,
                )
            )
    return Replay(
        rollout=rollout.id, looks=looks, same=not differences, differences=tuple(differences)
    )


async def _looks(session: AsyncSession, rollout: Rollout) -> AsyncIterator[RolloutLook]:
    """All stored looks, newest first, a batch at a time."""
    before = None
    while batch := await queries.looks(session, rollout.id, limit=BATCH, before=before):
        for look in batch:
            yield look
        before = batch[-1].id
        session.expunge_all()
