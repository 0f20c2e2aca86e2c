"""The split that an experiment asks for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from turnout.errors import Refusal
from turnout.experiments.domain.machine import Transition
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Status
from turnout.quantities import BASIS_POINTS
from turnout.traffic.domain.split import Role, Variant


def variants(
    plan: Plan, transition: Transition, version_ids: Mapping[str, int]
) -> tuple[Variant, ...]:
    """The control first. While the experiment lives, a version without traffic stays in the split
    at weight 0, so that the gateways keep it loaded for an instant return; then one is left."""
    return tuple(
        Variant(
            name=Role.CONTROL if version == plan.control else version,
            version_id=version_ids[version],
            version=version,
            weight=weight,
        )
        for version, weight in _weights(plan, transition).items()
    )


def _weights(plan: Plan, transition: Transition) -> Mapping[str, int]:
    match transition.progress.status:
        case Status.RUNNING:
            return plan.weights
        case Status.DRAFT | Status.PAUSED:
            return dict.fromkeys(plan.weights, 0) | {plan.control: BASIS_POINTS}
        case Status.CONCLUDED | Status.STOPPED:
            return {transition.serves or plan.control: BASIS_POINTS}
        case _:
            assert_never(transition.progress.status)


def unpromoted(plan: Plan, attempted: Transition, refusal: Refusal) -> Transition:
    """What becomes of a conclusion whose winner may not take the traffic: it stands, and the
    control answers until a person promotes the winner."""
    return replace(
        attempted,
        serves=plan.control,
        reason=f"{attempted.reason}; {attempted.winner} was not promoted: {refusal.detail}",
    )
