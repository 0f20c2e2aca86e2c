"""What a person may do to a rollout under way, and why it may be refused."""

from turnout.errors import Conflict, Fact
from turnout.quantities import percent
from turnout.rollouts.domain import transitions
from turnout.rollouts.domain.concerns import Concern, Worry
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import PausedBy
from turnout.rollouts.domain.transitions import Hold, Situation, Transition, decide
from turnout.stats.verdict import Verdict

_ENDS = {
    Phase.SUCCEEDED: "succeeded",
    Phase.ROLLED_BACK: "been rolled back",
    Phase.ABORTED: "been aborted",
    Phase.FAILED: "failed",
}


class VerbRefused(Conflict):
    """A verb that the present state does not allow; its facts name phase and stage."""

    def __init__(self, sentence: str, at: Situation, **facts: Fact) -> None:
        super().__init__(sentence, phase=at.progress.phase, stage=at.progress.stage, **facts)


class RolloutEnded(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__(f"the rollout is over: it has {_ENDS[at.progress.phase]}", at)


class StageMoved(VerbRefused):
    def __init__(self, at: Situation, expected: int) -> None:
        super().__init__(
            f"this was meant for another stage: the rollout is {at.progress.phase} at"
            f" {percent(at.stage.weight)} % now, so look again before deciding",
            at,
            expected_stage=expected,
        )


class GuardrailFails(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__(
            f"a guardrail fails, so the candidate is being rolled back: {at.judgement.reason}",
            at,
            verdict=at.judgement.verdict,
        )


class BeingRolledBack(VerbRefused):
    def __init__(self, at: Situation) -> None:
        decision = decide(at)
        until = decision.reason if isinstance(decision, Hold) else "the next tick goes on with it"
        super().__init__(
            f"the candidate is on its way off the road ({until}): a second rollback, or an abort,"
            f" ends that at once, and nothing else can be done",
            at,
        )


class EvidenceUntrusted(VerbRefused):
    def __init__(self, at: Situation, concern: Concern) -> None:
        super().__init__(
            f"what the approval would rest on cannot be trusted: {concern.reason}. To go on all"
            f" the same, promote or skip the stage",
            at,
        )


class NotBegun(VerbRefused):
    def __init__(self, at: Situation) -> None:
        decision = decide(at)
        waits = decision.reason if isinstance(decision, Hold) else "the next tick begins it"
        super().__init__(
            f"the rollout has not begun ({waits}): nothing can be done with it but abort it", at
        )


class InFreezeWindow(VerbRefused):
    def __init__(self, at: Situation, frozen: Frozen) -> None:
        super().__init__(
            f"{frozen}. To go on all the same, set override_freeze and give a reason",
            at,
            frozen_until=frozen.until.isoformat(),
        )


class NothingToApprove(VerbRefused):
    def __init__(self, at: Situation, waiting_for: str) -> None:
        super().__init__(
            f"the stage at {percent(at.stage.weight)} % does not wait for an approval:"
            f" {waiting_for}",
            at,
            waiting_for=waiting_for,
        )


class AlreadyPaused(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__("the rollout is paused already", at)


class NotPaused(VerbRefused):
    def __init__(self, at: Situation) -> None:
        super().__init__(f"the rollout is not paused: it is {at.progress.phase}", at)


def approve(at: Situation, order: Advance) -> Transition | None:
    """Approve the stage that waits for it; None when that was done before.

    An approval is the last gate: it is refused while the stage waits for anything else.
    """
    if order.expected_stage is not None and order.expected_stage in at.progress.approved:
        return None
    check_under_way(at, order)
    check_no_harm(at)
    if at.progress.phase is not Phase.AWAITING_APPROVAL:
        raise NothingToApprove(at, _waiting_for(at))
    if (uneven := at.judgement.concern(Worry.UNEVEN_ARMS)) is not None:
        raise EvidenceUntrusted(at, uneven)
    _check_free(at, order)
    return transitions.approve(at, order.reason or "approved by hand")


def _waiting_for(at: Situation) -> str:
    if not at.stage.approval:
        return "it needs none"
    decision = decide(at)
    return decision.reason if isinstance(decision, Hold) else "the next tick will ask for it"


def pause(at: Situation, order: Order) -> Transition:
    """Stop the timer. Refused where a guardrail fails: a failure is answered by a rollback, and
    its evidence belongs to no other step."""
    check_under_way(at, order)
    check_no_harm(at)
    if at.progress.phase is Phase.PAUSED:
        raise AlreadyPaused(at)
    return transitions.pause(at, order.reason or "paused by hand", by=PausedBy.PERSON)


def resume(at: Situation, order: Order) -> Transition:
    """Go on; refused where a guardrail fails, also where the stage would start afresh."""
    check_under_way(at, order)
    check_no_harm(at)
    if at.progress.phase is not Phase.PAUSED:
        raise NotPaused(at)
    return transitions.resume(at, order.reason or "resumed by hand")


def promote(at: Situation, order: Promotion) -> Transition:
    """Skip what is left of the stage, approval included; from the last one, finish.

    Also `full` stops at the last stage, so that its guardrails watch the candidate at 100 %.
    """
    check_under_way(at, order)
    check_no_harm(at)
    _check_free(at, order)
    last = len(at.plan.stages) - 1
    to = last if order.full and at.progress.stage < last else None
    return transitions.advance(at, order.reason or "promoted by hand", to=to)


def skip(at: Situation, order: Emergency) -> Transition:
    """Leave the stage now, whatever it waits for, also in a freeze window.

    Only a guardrail that fails goes before.
    """
    check_under_way(at, order)
    check_no_harm(at)
    return transitions.skip(at, order.reason)


def abort(at: Situation, order: Order) -> Transition:
    """End it. What is being rolled back stays that, and is so at once."""
    if not at.progress.phase.waiting:
        check_under_way(at, order)
    if at.progress.retreat is not None:
        return roll_back_at_once(at, order)
    return transitions.abort(at, order.reason or "aborted by hand")


def roll_back(at: Situation, order: Order) -> Transition:
    check_under_way(at, order)
    return transitions.roll_back(at, order.reason or "rolled back by hand")


def roll_back_at_once(at: Situation, order: Order) -> Transition:
    """Whatever time the plan takes for it."""
    check_under_way(at, order)
    return transitions.roll_back_at_once(at, order.reason or "rolled back by hand")


def check_under_way(at: Situation, order: Order) -> None:
    if at.progress.phase.terminal:
        raise RolloutEnded(at)
    if at.progress.phase.waiting:
        raise NotBegun(at)
    if order.expected_stage is not None and order.expected_stage != at.progress.stage:
        raise StageMoved(at, order.expected_stage)


def _check_free(at: Situation, order: Advance) -> None:
    if at.frozen is not None and not order.override_freeze:
        raise InFreezeWindow(at, at.frozen)


def check_no_harm(at: Situation) -> None:
    if at.progress.retreat is not None:
        raise BeingRolledBack(at)
    if at.judgement.verdict is Verdict.FAIL:
        raise GuardrailFails(at)
