"""`GET /rollouts/{id}/shadow`: what the candidate would have answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path

from turnout import http
from turnout.errors import NotFound
from turnout.http import Session
from turnout.observations import queries as observations
from turnout.observations.pairs import class_pairs
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.rollouts import queries
from turnout.rollouts.domain.shadow import ShadowComparison, compare
from turnout.rollouts.queries import RolloutNotFound

router = http.router("rollouts")


class NoShadow(NotFound):
    def __init__(self, rollout_id: UUID) -> None:
        super().__init__(
            f"rollout {rollout_id} has had no shadow so far: one runs in a stage with"
            f' "shadow": true, as the strategies shadow and blue_green begin with',
            rollout=str(rollout_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowView:
    """The latest shadow stage of a rollout; `split_id` is where its evidence belongs to."""

    rollout: UUID
    model: str
    served: str
    shadow: str
    stage: int
    since: datetime
    split_id: int
    comparison: ShadowComparison


@router.get(
    "/rollouts/{rollout_id}/shadow",
    summary="What the candidate would have answered",
    responses=problems(RolloutNotFound, NoShadow),
)
async def show_shadow(
    rollout_id: Annotated[UUID, Path(description="The rollout's `id`")], session: Session
) -> ShadowView:
    """Compares the candidate, while it answers nobody, with what was served for the same inputs.

    Shows how often both say the same class and which classes would flip, by how much confidence
    and latency shift, and the rates and percentiles of both versions with the interval of their
    difference. Speaks of the stage that shadows, or of the last one that did.
    """
    rollout = await queries.rollout(session, rollout_id)
    step = await queries.shadow_step(session, rollout)
    if step is None or step.split_id is None or rollout.baseline_id is None:
        raise NoShadow(rollout_id)
    key = (rollout.model_id, step.split_id)
    arms = (await observations.evidence(session, [key])).get(step.split_id, {})
    pairs = await class_pairs(
        session, rollout.model_id, split_id=step.split_id, version_id=rollout.candidate_id
    )
    versions = await registry.versions_by_id(session, [rollout.candidate_id, rollout.baseline_id])
    served, shadow = versions[rollout.baseline_id], versions[rollout.candidate_id]
    return ShadowView(
        rollout=rollout.id,
        model=shadow.model,
        served=served.version,
        shadow=shadow.version,
        stage=step.stage,
        since=step.at,
        split_id=step.split_id,
        comparison=compare(arms.get(served.id), arms.get(shadow.id), pairs),
    )
