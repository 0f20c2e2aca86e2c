"""What a plan lets a candidate show on the road; gate policies may ask for it."""

from turnout.gates.domain.policy import Feat
from turnout.rollouts.domain.plan import Plan


def feats(plan: Plan) -> frozenset[Feat]:
    """A rollout gets past a shadow stage, and past an A/B test, only by what these found."""
    shown = {Feat.SHADOW} if any(stage.shadow for stage in plan.stages) else set()
    tested = {Feat.EXPERIMENT} if any(stage.goal is not None for stage in plan.stages) else set()
    return frozenset(shown | tested)
