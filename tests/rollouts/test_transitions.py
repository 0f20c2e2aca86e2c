from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import NOON
from turnout.errors import Conflict
from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain import transitions, verbs
from turnout.rollouts.domain.evidence import Judgement
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.orders import Advance, Order
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import OnDeadline, Plan, Stage, Strategy
from turnout.rollouts.domain.progress import Exposure, PausedBy, Progress, entry, exposure
from turnout.rollouts.domain.transitions import Event, Hold, Situation, Transition, decide
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
LIVE = [phase for phase in Phase if phase.live]
TERMINAL = [phase for phase in Phase if phase.terminal]


def situation(
    *,
    verdict: Verdict = Verdict.PASS,
    after: timedelta = 10 * MINUTE,
    stage: int = 0,
    phase: Phase | None = None,
    progress: Progress | None = None,
    plan: Plan = PLAN,
) -> Situation:
    entered = replace(entry(plan, stage, NOON), split_id=7)
    return Situation(
        plan=plan,
        progress=progress or (entered if phase is None else replace(entered, phase=phase)),
        judgement=Judgement(verdict=verdict, reason=f"the evidence says {verdict}"),
        now=NOON + after,
    )


def change(at: Situation) -> Transition:
    decision = decide(at)
    assert isinstance(decision, Transition)
    return decision


def hold(at: Situation) -> Hold:
    decision = decide(at)
    assert isinstance(decision, Hold)
    return decision


@pytest.mark.parametrize("phase", LIVE)
def test_a_failing_guardrail_rolls_back_from_every_live_phase(phase: Phase) -> None:
    decided = change(situation(phase=phase, verdict=Verdict.FAIL, after=timedelta()))

    assert decided.event is Event.ROLLED_BACK
    assert decided.progress.phase is Phase.ROLLED_BACK
    assert exposure(PLAN, decided.progress) == Exposure(weight=0)


@pytest.mark.parametrize("phase", TERMINAL)
@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_terminal_verdict_immutable(phase: Phase, verdict: Verdict) -> None:
    assert hold(situation(phase=phase, verdict=verdict)).next_look is None


@pytest.mark.parametrize(
    ("verdict", "after", "expected"),
    [
        pytest.param(Verdict.PASS, 9 * MINUTE, None, id="stage_never_shorter_than_bake"),
        pytest.param(Verdict.PASS, 10 * MINUTE, Event.ADVANCED, id="bake over and passed"),
        pytest.param(Verdict.NO_DATA, 29 * MINUTE, None, id="no_traffic_is_not_failure"),
        pytest.param(Verdict.NO_DATA, 30 * MINUTE, Event.PAUSED, id="no_traffic_is_not_success"),
        pytest.param(Verdict.INSUFFICIENT_SAMPLE, 29 * MINUTE, None, id="small sample holds"),
        pytest.param(
            Verdict.INSUFFICIENT_SAMPLE, 30 * MINUTE, Event.PAUSED, id="small sample then pauses"
        ),
        pytest.param(Verdict.ERROR, 29 * MINUTE, None, id="errors_never_pass: hold"),
        pytest.param(Verdict.ERROR, 30 * MINUTE, Event.PAUSED, id="errors_never_pass: then pause"),
        pytest.param(Verdict.INCONCLUSIVE, 30 * MINUTE, Event.PAUSED, id="inconclusive pauses"),
        pytest.param(Verdict.CANCELLED, 30 * MINUTE, Event.PAUSED, id="cancelled is not passed"),
        pytest.param(Verdict.PASS, 24 * 60 * MINUTE, Event.ADVANCED, id="a late look still passes"),
    ],
)
def test_only_a_pass_after_the_bake_time_ends_a_stage(
    verdict: Verdict, after: timedelta, expected: Event | None
) -> None:
    decision = decide(situation(verdict=verdict, after=after))

    assert (decision.event if isinstance(decision, Transition) else None) is expected


@pytest.mark.parametrize("verdict", [Verdict.NO_DATA, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_a_deadline_rolls_back_only_if_the_plan_says_so(verdict: Verdict) -> None:
    cautious = Stage(weight=500, bake=10 * MINUTE, on_deadline=OnDeadline.ROLLBACK)
    plan = replace(PLAN, stages=(cautious, *PLAN.stages[1:]))

    assert change(situation(verdict=verdict, after=30 * MINUTE)).event is Event.PAUSED
    assert isinstance(decide(situation(verdict=verdict, after=29 * MINUTE, plan=plan)), Hold)
    rolled_back = change(situation(verdict=verdict, after=30 * MINUTE, plan=plan))
    assert (rolled_back.event, rolled_back.verdict) == (Event.ROLLED_BACK, verdict)


def test_a_hold_says_when_time_may_change_it() -> None:
    baking = hold(situation(after=MINUTE))
    extended = hold(situation(after=11 * MINUTE, verdict=Verdict.NO_DATA))

    assert (baking.reason, baking.next_look) == ("the bake time is not over", NOON + 10 * MINUTE)
    assert extended.next_look == NOON + 30 * MINUTE


def test_an_advance_enters_the_next_stage_with_a_full_bake_time_and_no_evidence() -> None:
    decided = change(situation(after=3 * 60 * MINUTE))

    assert decided.progress == entry(PLAN, 1, NOON + 3 * 60 * MINUTE)
    assert decided.progress.split_id is None
    assert decided.verdict is Verdict.PASS


def test_a_stage_with_approval_waits_when_everything_else_is_met() -> None:
    decided = change(situation(stage=1))

    assert decided.event is Event.AWAITING_APPROVAL
    assert decided.progress.phase is Phase.AWAITING_APPROVAL
    assert decided.progress.split_id == 7
    assert hold(situation(progress=decided.progress)).reason == "waits for an approval"


def test_a_candidate_at_100_percent_bakes_and_then_has_succeeded() -> None:
    baking = situation(stage=2)
    decided = change(baking)

    assert baking.progress.phase is Phase.BAKING
    assert decided.event is Event.SUCCEEDED
    assert exposure(PLAN, decided.progress) == Exposure(weight=BASIS_POINTS)


def test_a_plan_that_only_measures_gives_the_traffic_back() -> None:
    mirror = Plan(
        strategy=Strategy.SHADOW,
        stages=(Stage(weight=0, shadow=True, bake=MINUTE),),
        promote=False,
    )
    at = situation(plan=mirror)

    assert exposure(mirror, at.progress) == Exposure(weight=0, shadow=True)
    assert exposure(mirror, change(at).progress) == Exposure(weight=0)


def paused_at(after: timedelta, *, by: PausedBy) -> Progress:
    return transitions.pause(situation(after=after), "a reason", by=by).progress


def test_pause_shifts_timer() -> None:
    paused = paused_at(4 * MINUTE, by=PausedBy.PERSON)
    an_hour_later = situation(progress=paused, after=64 * MINUTE)
    resumed = verbs.resume(an_hour_later, Order()).progress

    assert paused.elapsed(NOON + 64 * MINUTE) == 4 * MINUTE
    assert resumed.ends(10 * MINUTE) == NOON + 70 * MINUTE
    assert isinstance(decide(situation(progress=resumed, after=69 * MINUTE)), Hold)
    assert change(situation(progress=resumed, after=70 * MINUTE)).event is Event.ADVANCED
    assert resumed.split_id == 7


@pytest.mark.parametrize("by", PausedBy)
def test_no_resume_when_user_paused(by: PausedBy) -> None:
    """Neither time nor the end of a freeze window ends a pause."""
    at = situation(progress=paused_at(MINUTE, by=by), after=24 * 60 * MINUTE)
    frozen = Frozen(since=NOON, until=at.now + MINUTE, reason="busy")

    assert hold(replace(at, frozen=frozen)).reason == hold(at).reason
    assert hold(at).reason == "paused until a person resumes it"


def test_inconclusive_pauses_then_resume_fresh() -> None:
    decided = change(situation(verdict=Verdict.INCONCLUSIVE, after=30 * MINUTE))
    assert decided.progress.pause is not None
    assert decided.progress.pause.by is PausedBy.EVIDENCE
    resumed = verbs.resume(situation(progress=decided.progress, after=60 * MINUTE), Order())

    assert resumed.progress == entry(PLAN, 0, NOON + 60 * MINUTE)
    assert resumed.progress.split_id is None


def test_stale_approval_not_reused() -> None:
    """An approval is for what was seen then: a stage that starts afresh waits for another one."""
    waiting = replace(situation(stage=1, phase=Phase.AWAITING_APPROVAL), grouped=True)
    noted = verbs.approve(waiting, Advance())
    assert noted is not None
    inconclusive = replace(
        waiting,
        progress=noted.progress,
        judgement=Judgement(verdict=Verdict.INCONCLUSIVE, reason="too close"),
        now=NOON + 60 * MINUTE,
    )
    paused = change(inconclusive)
    afresh = verbs.resume(replace(inconclusive, progress=paused.progress), Order())
    again = replace(waiting, progress=afresh.progress, now=NOON + 120 * MINUTE)

    assert (noted.progress.approved, afresh.progress.approved) == ((1,), ())
    assert change(replace(waiting, progress=noted.progress)).event is Event.ADVANCED
    assert change(again).event is Event.AWAITING_APPROVAL


FROZEN = Frozen(since=NOON, until=NOON + 60 * MINUTE, reason="busy")


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        pytest.param(situation(verdict=Verdict.FAIL), Event.ROLLED_BACK, id="harm goes before it"),
        pytest.param(situation(), "frozen until 2026-03-02 13:00 UTC: busy", id="a pass waits"),
        pytest.param(
            situation(stage=1), "frozen until 2026-03-02 13:00 UTC: busy", id="nobody is asked"
        ),
        pytest.param(
            situation(verdict=Verdict.NO_DATA, after=30 * MINUTE),
            "frozen until 2026-03-02 13:00 UTC: busy",
            id="nothing is paused for want of data",
        ),
        pytest.param(
            situation(phase=Phase.PAUSED), "paused until a person resumes it", id="a pause stays"
        ),
    ],
)
def test_in_a_freeze_window_only_harm_moves_anything(at: Situation, outcome: str) -> None:
    decision = decide(replace(at, frozen=FROZEN))

    assert (decision.event if isinstance(decision, Transition) else decision.reason) == outcome


def test_a_hold_in_a_freeze_window_ends_with_it() -> None:
    assert hold(replace(situation(), frozen=FROZEN)).next_look == FROZEN.until


def test_a_clock_that_steps_back_takes_no_bake_time_away() -> None:
    progress = replace(entry(PLAN, 0, NOON), baked=3 * MINUTE)

    assert progress.elapsed(NOON - timedelta(hours=1)) == 3 * MINUTE


class Refused(Conflict):
    pass


@pytest.mark.parametrize(
    ("verdict", "event", "phase"),
    [
        pytest.param(Verdict.PASS, Event.PAUSED, Phase.PAUSED, id="an advance waits for a person"),
        pytest.param(Verdict.FAIL, Event.FAILED, Phase.FAILED, id="a rollback has failed"),
    ],
)
def test_a_decision_that_cannot_be_carried_out(
    verdict: Verdict, event: Event, phase: Phase
) -> None:
    at = situation(verdict=verdict)

    obstructed = transitions.obstructed(at, change(at), Refused("the target is gone"))

    assert (obstructed.event, obstructed.progress.phase) == (event, phase)
    assert obstructed.progress.split_id == 7
    assert "could not be carried out: the target is gone" in obstructed.reason


def test_every_phase_is_either_over_or_live_or_not_begun() -> None:
    waiting = {phase for phase in Phase if not phase.live and not phase.terminal}

    assert waiting == {Phase.DRAFT, Phase.SCHEDULED}
    assert not set(LIVE) & set(TERMINAL)


def test_every_phase_has_its_traffic() -> None:
    at_5_percent = {Phase.FAILED, *LIVE}

    for phase in Phase:
        weight = exposure(PLAN, Progress(phase=phase, entered_at=NOON)).weight
        expected = BASIS_POINTS if phase is Phase.SUCCEEDED else 500 * (phase in at_5_percent)
        assert weight == expected, phase
