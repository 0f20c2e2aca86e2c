from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import NOON
from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain import verbs
from turnout.rollouts.domain.evidence import Judgement
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.rollouts.domain.replan import Replan, replan
from turnout.rollouts.domain.transitions import Event, Situation, Transition, decide
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
PLAN = Plan(
    strategy=Strategy.CANARY,
    stages=(
        Stage(weight=500, bake=10 * MINUTE),
        Stage(weight=2_500, bake=10 * MINUTE, approval=True),
        Stage(weight=BASIS_POINTS, bake=10 * MINUTE),
    ),
)
FROZEN = Frozen(since=NOON, until=NOON + 60 * MINUTE, reason="month's end")
VERBS: list[Callable[[Situation, Promotion], Transition | None]] = [
    verbs.approve,
    verbs.pause,
    verbs.resume,
    verbs.promote,
    verbs.abort,
    verbs.roll_back,
]


def situation(
    *,
    stage: int = 0,
    phase: Phase | None = None,
    verdict: Verdict = Verdict.INSUFFICIENT_SAMPLE,
    after: timedelta = MINUTE,
) -> Situation:
    progress = replace(entry(PLAN, stage, NOON), split_id=7)
    return Situation(
        plan=PLAN,
        progress=progress if phase is None else replace(progress, phase=phase),
        judgement=Judgement(verdict=verdict, reason="too few requests"),
        now=NOON + after,
    )


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.terminal])
def test_nothing_can_be_done_to_a_rollout_that_is_over(
    verb: Callable[[Situation, Promotion], Transition | None], phase: Phase
) -> None:
    with pytest.raises(verbs.RolloutEnded, match="the rollout is over: it has "):
        verb(situation(phase=phase), Promotion())


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_was_meant_for_another_stage_is_refused(
    verb: Callable[[Situation, Promotion], Transition | None],
) -> None:
    with pytest.raises(verbs.StageMoved) as refused:
        verb(situation(stage=1), Promotion(expected_stage=0))

    assert refused.value.facts == {"phase": "running", "stage": 1, "expected_stage": 0}


def test_promote_skips_what_is_left_of_the_stage() -> None:
    promoted = verbs.promote(situation(), Promotion(reason="looks good"))

    assert promoted.event is Event.ADVANCED
    assert promoted.progress.stage == 1
    assert promoted.reason == "looks good"
    assert promoted.verdict is Verdict.INSUFFICIENT_SAMPLE


def test_skip_leaves_a_stage_that_has_not_passed_and_is_called_so() -> None:
    waiting = situation(stage=1, phase=Phase.AWAITING_APPROVAL)
    skipped = verbs.skip(waiting, Emergency(reason="a security hole"))

    assert (skipped.event, skipped.reason) == (Event.SKIPPED, "a security hole")
    assert (skipped.progress.stage, skipped.verdict) == (2, Verdict.INSUFFICIENT_SAMPLE)


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(
            lambda at, override: verbs.promote(
                at, Promotion(override_freeze=override, reason="it cannot wait")
            ),
            id="promote",
        ),
        pytest.param(
            lambda at, override: verbs.approve(
                at, Advance(override_freeze=override, reason="it cannot wait")
            ),
            id="approve",
        ),
    ],
)
def test_a_person_goes_on_in_a_freeze_window_only_by_overriding_it(
    verb: Callable[[Situation, bool], Transition],
) -> None:
    waiting = situation(stage=1, phase=Phase.AWAITING_APPROVAL)
    at = replace(waiting, frozen=FROZEN)
    with pytest.raises(verbs.InFreezeWindow) as refused:
        verb(at, False)

    assert refused.value.detail.startswith("frozen until 2026-03-02 13:00 UTC: month's end")
    assert verb(at, True).event is Event.ADVANCED
    assert verbs.skip(at, Emergency(reason="a hole")).event is Event.SKIPPED


@pytest.mark.parametrize("order", [Advance, Promotion])
def test_a_freeze_window_is_not_overridden_without_a_reason(order: type[Advance]) -> None:
    with pytest.raises(ValueError, match="why can this not wait"):
        order(override_freeze=True, reason=" ")


def test_full_promotion_keeps_the_guardrails_armed_at_100_percent() -> None:
    promoted = verbs.promote(situation(), Promotion(full=True))

    assert promoted.progress.phase is Phase.BAKING
    assert promoted.progress.stage == 2


@pytest.mark.parametrize("full", [False, True])
def test_promotion_from_the_last_stage_finishes(full: bool) -> None:
    assert verbs.promote(situation(stage=2), Promotion(full=full)).event is Event.SUCCEEDED


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.live])
def test_a_person_may_always_stop(phase: Phase) -> None:
    at = situation(phase=phase)

    assert verbs.abort(at, Order()).progress.phase is Phase.ABORTED
    assert verbs.roll_back(at, Order()).progress.phase is Phase.ROLLED_BACK


def test_an_abort_condemns_nobody() -> None:
    assert verbs.abort(situation(verdict=Verdict.PASS), Order()).verdict is Verdict.CANCELLED


@pytest.mark.parametrize(
    ("verb", "phase"),
    [
        pytest.param(
            lambda at: verbs.promote(at, Promotion()), Phase.AWAITING_APPROVAL, id="promote"
        ),
        pytest.param(
            lambda at: verbs.approve(at, Advance()), Phase.AWAITING_APPROVAL, id="approve"
        ),
        pytest.param(
            lambda at: verbs.skip(at, Emergency(reason="a hole")), Phase.RUNNING, id="skip"
        ),
        pytest.param(lambda at: verbs.pause(at, Order()), Phase.RUNNING, id="pause"),
        pytest.param(lambda at: verbs.resume(at, Order()), Phase.PAUSED, id="resume"),
        pytest.param(
            lambda at: replan(at, Replan(stages=PLAN.stages[2:])), Phase.RUNNING, id="replan"
        ),
    ],
)
def test_a_failure_is_answered_by_nothing_but_an_end(
    verb: Callable[[Situation], Transition], phase: Phase
) -> None:
    at = situation(phase=phase, stage=1, verdict=Verdict.FAIL)

    with pytest.raises(verbs.GuardrailFails, match="is being rolled back: too few requests"):
        verb(at)
    assert verbs.abort(at, Order()).progress.phase is Phase.ABORTED
    assert verbs.roll_back(at, Order()).progress.phase is Phase.ROLLED_BACK


def test_approval_is_last_gate() -> None:
    with pytest.raises(verbs.NothingToApprove) as refused:
        verbs.approve(situation(stage=1, after=11 * MINUTE), Advance())

    assert refused.value.facts["waiting_for"] == "too few requests"


def test_an_approval_a_moment_too_early_says_so() -> None:
    at = situation(stage=1, after=11 * MINUTE, verdict=Verdict.PASS)

    with pytest.raises(verbs.NothingToApprove, match="the next tick will ask for it"):
        verbs.approve(at, Advance())


def test_a_stage_without_approval_cannot_be_approved() -> None:
    with pytest.raises(verbs.NothingToApprove, match=r"at 5 % does not wait .* it needs none"):
        verbs.approve(situation(verdict=Verdict.PASS, after=11 * MINUTE), Advance())


def test_approval_idempotent() -> None:
    at = situation(stage=1, phase=Phase.AWAITING_APPROVAL, verdict=Verdict.PASS)
    approved = verbs.approve(at, Advance(expected_stage=1))
    assert approved is not None
    again = verbs.approve(replace(at, progress=approved.progress), Advance(expected_stage=1))

    assert approved.progress.stage == 2
    assert approved.progress.approved == (1,)
    assert again is None


def test_late_approval_rebases_next_stage() -> None:
    at = situation(stage=1, phase=Phase.AWAITING_APPROVAL, verdict=Verdict.PASS, after=180 * MINUTE)
    approved = verbs.approve(at, Advance())
    assert approved is not None

    assert approved.progress.ends(10 * MINUTE) == NOON + 190 * MINUTE


def test_pausing_twice_and_resuming_what_runs_are_refused() -> None:
    with pytest.raises(verbs.AlreadyPaused):
        verbs.pause(situation(phase=Phase.PAUSED), Order())
    with pytest.raises(verbs.NotPaused, match="it is running"):
        verbs.resume(situation(), Order())


def test_a_pause_while_waiting_for_approval_leads_back_to_the_same_gate() -> None:
    waiting = situation(
        stage=1, phase=Phase.AWAITING_APPROVAL, verdict=Verdict.PASS, after=11 * MINUTE
    )
    paused = verbs.pause(waiting, Order())
    resumed = verbs.resume(replace(waiting, progress=paused.progress), Order())
    decided = decide(replace(waiting, progress=resumed.progress))

    assert isinstance(decided, Transition)
    assert decided.event is Event.AWAITING_APPROVAL
