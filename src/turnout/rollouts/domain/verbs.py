"""What a person may do to a rollout under way, and why it may be refused."""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge, MaxLen

from turnout.errors import Conflict
from turnout.quantities import STRICT, Text
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import PausedBy, Progress
from turnout.rollouts.domain.transitions import Hold, Situation, Transition, decide
from turnout.stats.verdict import Verdict


class VerbRefused(Conflict):
    """A verb that the present state does not allow; its facts name phase and stage."""

    def __init__(self, sentence: str, progress: Progress) -> None:
        super().__init__(sentence, phase=progress.phase, stage=progress.stage)


class RolloutEnded(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__(f"the rollout is over, it is {progress.phase}", progress)


class StageMoved(VerbRefused):
    def __init__(self, progress: Progress, expected: int) -> None:
        super().__init__(
            f"this was meant for stage {expected}, but the rollout is in stage {progress.stage}"
            f" ({progress.phase}): look again before deciding",
            progress,
        )
        self.facts["expected_stage"] = expected


class GuardrailFails(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__(
            f"a guardrail fails, so the candidate is being rolled back: {at.judgement.reason}",
            at.progress,
        )
        self.facts["verdict"] = at.judgement.verdict


class NothingToApprove(VerbRefused):
    def __init__(self, progress: Progress, waiting_for: str) -> None:
        super().__init__(
            f"stage {progress.stage} does not wait for an approval yet: {waiting_for}", progress
        )
        self.facts["waiting_for"] = waiting_for


class AlreadyPaused(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__("the rollout is paused already", progress)


class NotPaused(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__(f"the rollout is not paused, it is {progress.phase}", progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person says with a verb.

    With `expected_stage`, the index of the stage that the person saw, a verb that comes too late
    is refused and changes nothing.
    """

    __pydantic_config__ = STRICT

    reason: Annotated[Text, MaxLen(2000)] | None = None
    expected_stage: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Order):
    """`full` goes on to the last stage; without it, to the next one."""

    __pydantic_config__ = STRICT

    full: bool = False


def approve(at: Situation, order: Order) -> Transition | None:
    """Approve the stage that waits for it; None when that was done before.

    An approval is the last gate: it is refused while the stage waits for anything else.
    """
    if order.expected_stage is not None and order.expected_stage in at.progress.approved:
        return None
    _check_live(at, order)
    _check_no_harm(at)
    if at.progress.phase is not Phase.AWAITING_APPROVAL:
        raise NothingToApprove(at.progress, _waiting_for(at))
    approved = (*at.progress.approved, at.progress.stage)
    at = replace(at, progress=replace(at.progress, approved=approved))
    return transitions.advance(at, order.reason or "approved by hand")


def _waiting_for(at: Situation) -> str:
    decision = decide(at)
    if isinstance(decision, Hold):
        return decision.reason
    return f"it is about to be {decision.event}".replace("_", " ")


def pause(at: Situation, order: Order) -> Transition:
    _check_live(at, order)
    if at.progress.phase is Phase.PAUSED:
        raise AlreadyPaused(at.progress)
    return transitions.pause(at, order.reason or "paused by hand", by=PausedBy.PERSON)


def resume(at: Situation, order: Order) -> Transition:
    _check_live(at, order)
    if at.progress.phase is not Phase.PAUSED:
        raise NotPaused(at.progress)
    return transitions.resume(at, order.reason or "resumed by hand")


def promote(at: Situation, order: Promotion) -> Transition:
    """Skip what is left of the stage, approval included; from the last one, finish.

    Also `full` stops at the last stage, so that its guardrails watch the candidate at 100 %.
    """
    _check_live(at, order)
    _check_no_harm(at)
    last = len(at.plan.stages) - 1
    to = last if order.full and at.progress.stage < last else None
    return transitions.advance(at, order.reason or "promoted by hand", to=to)


def abort(at: Situation, order: Order) -> Transition:
    _check_live(at, order)
    return transitions.abort(at, order.reason or "aborted by hand")


def roll_back(at: Situation, order: Order) -> Transition:
    _check_live(at, order)
    return transitions.roll_back(at, order.reason or "rolled back by hand")


def _check_live(at: Situation, order: Order) -> None:
    if not at.progress.phase.live:
        raise RolloutEnded(at.progress)
    if order.expected_stage is not None and order.expected_stage != at.progress.stage:
        raise StageMoved(at.progress, order.expected_stage)


def _check_no_harm(at: Situation) -> None:
    if at.judgement.verdict is Verdict.FAIL:
        raise GuardrailFails(at)
