"""Other stages from the next one on."""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import MaxLen, MinLen

from turnout.quantities import STRICT
from turnout.rollouts.domain.orders import Order
from turnout.rollouts.domain.plan import Plan, Stage, check_plan, complete
from turnout.rollouts.domain.transitions import Event, Situation, Transition
from turnout.rollouts.domain.verbs import VerbRefused, check_no_harm, check_under_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan(Order):
    """The stages that are to come after the present one, in place of those of the plan."""

    __pydantic_config__ = STRICT

    stages: Annotated[tuple[Stage, ...], MinLen(1), MaxLen(100)]


class LastStage(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__(
            "the rollout is in its last stage, so there is none to come that could be changed", at
        )


class PlanDoesNotFit(VerbRefused):
    pass


def replan(at: Situation, order: Replan) -> Transition:
    """Put other stages behind the present one, which stays as it is, with all it has seen."""
    check_under_way(at, order)
    check_no_harm(at)
    present = at.progress.stage
    if present == len(at.plan.stages) - 1:
        raise LastStage(at)
    stages = (*at.plan.stages[: present + 1], *order.stages)
    plan = replace(
        at.plan,
        stages=complete(stages) if at.plan.promote else stages,
        version=at.plan.version + 1,
        reserved=at.plan.gates,
    )
    _check(at, plan)
    return Transition(
        event=Event.REPLANNED,
        progress=at.progress,
        plan=plan,
        reason=order.reason or f"stages[{present + 1}] and after changed by hand",
        verdict=at.judgement.verdict,
    )


def _check(at: Situation, plan: Plan) -> None:
    try:
        check_plan(plan)
    except ValueError as error:
        raise PlanDoesNotFit(f"the new stages do not fit: {error}", at) from None
    if plan.gates > at.plan.gates:
        raise PlanDoesNotFit(
            f"the rate of false rollbacks is divided among {at.plan.gates} guardrails, and with"
            f" these stages there would be {plan.gates}: leave some out, or make them dry_run",
            at,
            guardrails=plan.gates,
            at_most=at.plan.gates,
        )
    if at.grouped and len(plan.stages) != len(at.plan.stages):
        raise PlanDoesNotFit(
            f"the rollouts of its group enter each stage together, so it keeps"
            f" {len(at.plan.stages)} stages",
            at,
        )
