from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.experiments.trials import (
    CONTROL,
    DAY_2,
    END,
    TARGET,
    TREATMENT,
    analysed,
    arm,
    plan,
    running,
    seen,
)
from tests.factories import NOON
from turnout.experiments.domain import machine
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.machine import (
    AlreadyPaused,
    ConcludeOrder,
    Event,
    ExperimentEnded,
    Hold,
    NotADraft,
    NotMended,
    NotPaused,
    NotStarted,
    NoWinner,
    Order,
    Transition,
    VerbRefused,
    decide,
)
from turnout.experiments.domain.state import Conclusion, Pause, PausedBy, Progress, Status
from turnout.observations.domain.guardrails import Guardrail

PLAN = plan(guardrails=(Guardrail(metric="error_rate", max_increase=0.01),))
BY_ITSELF = replace(PLAN, auto_conclude=True)

UNDECIDED = analysed(seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_810)), of=PLAN)[0]
BETTER = analysed(seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375)), of=PLAN)[0]
WORSE = analysed(seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_100)), of=PLAN)[0]
NO_USE = analysed(seen(control=arm(3_000, 2_700), treatment=arm(3_000, 2_680)), of=PLAN)[0]
LOPSIDED = analysed(seen(control=arm(2_500, 2_250), treatment=arm(2_100, 1_890)), of=PLAN)[0]
BROKEN = analysed(
    seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375, errors=500)), of=PLAN
)[0]

DRAFT = Progress()
RUNNING = running()
PAUSED = machine.pause(RUNNING, Order(reason="lunch"), now=DAY_2).progress
CONCLUDED = machine.conclude(PLAN, RUNNING, BETTER, ConcludeOrder(), now=DAY_2).progress
STOPPED = machine.stop(PLAN, RUNNING, Order(), now=DAY_2).progress


def test_the_examples_are_what_their_names_say() -> None:
    found = [UNDECIDED, BETTER, WORSE, NO_USE, LOPSIDED, BROKEN]

    assert [analysis.conclusion for analysis in found] == [
        Conclusion.KEEP_RUNNING,
        Conclusion.SHIP,
        Conclusion.KEEP_CONTROL,
        Conclusion.FUTILE,
        Conclusion.INVALID,
        Conclusion.KEEP_CONTROL,
    ]
    assert BROKEN.harm
    assert not WORSE.harm


def test_a_start_settles_the_sample_size_and_sets_the_clock() -> None:
    started = machine.start(PLAN, DRAFT, Order(), target_sample_size=TARGET, now=NOON)

    assert started.event is Event.STARTED
    assert started.progress == replace(running(), split_id=None)
    assert started.serves is None


VERBS: dict[str, Any] = {
    "start": lambda at: machine.start(PLAN, at, Order(), target_sample_size=TARGET, now=DAY_2),
    "pause": lambda at: machine.pause(at, Order(), now=DAY_2),
    "resume": lambda at: machine.resume(at, Order(), now=DAY_2),
    "stop": lambda at: machine.stop(PLAN, at, Order(), now=DAY_2),
    "conclude": lambda at: machine.conclude(PLAN, at, BETTER, ConcludeOrder(), now=DAY_2),
}
STATES = {
    Status.DRAFT: DRAFT,
    Status.RUNNING: RUNNING,
    Status.PAUSED: PAUSED,
    Status.CONCLUDED: CONCLUDED,
    Status.STOPPED: STOPPED,
}
OUTCOMES: dict[str, dict[Status, Status | type[VerbRefused]]] = {
    "start": {
        Status.DRAFT: Status.RUNNING,
        Status.RUNNING: NotADraft,
        Status.PAUSED: NotADraft,
        Status.CONCLUDED: NotADraft,
        Status.STOPPED: NotADraft,
    },
    "pause": {
        Status.DRAFT: NotStarted,
        Status.RUNNING: Status.PAUSED,
        Status.PAUSED: AlreadyPaused,
        Status.CONCLUDED: ExperimentEnded,
        Status.STOPPED: ExperimentEnded,
    },
    "resume": {
        Status.DRAFT: NotStarted,
        Status.RUNNING: NotPaused,
        Status.PAUSED: Status.RUNNING,
        Status.CONCLUDED: ExperimentEnded,
        Status.STOPPED: ExperimentEnded,
    },
    "stop": {
        Status.DRAFT: NotStarted,
        Status.RUNNING: Status.STOPPED,
        Status.PAUSED: Status.STOPPED,
        Status.CONCLUDED: ExperimentEnded,
        Status.STOPPED: ExperimentEnded,
    },
    "conclude": {
        Status.DRAFT: NotStarted,
        Status.RUNNING: Status.CONCLUDED,
        Status.PAUSED: Status.CONCLUDED,
        Status.CONCLUDED: ExperimentEnded,
        Status.STOPPED: ExperimentEnded,
    },
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_in_each_state(verb: str, status: Status) -> None:
    outcome = OUTCOMES[verb][status]

    if isinstance(outcome, Status):
        assert VERBS[verb](STATES[status]).progress.status is outcome
    else:
        with pytest.raises(outcome) as refused:
            VERBS[verb](STATES[status])
        assert refused.value.status == 409
        assert refused.value.facts["experiment_status"] == status


def test_a_refusal_says_how_the_experiment_stands() -> None:
    with pytest.raises(ExperimentEnded, match="is over: it has been stopped"):
        machine.pause(STOPPED, Order(), now=DAY_2)
    with pytest.raises(NotADraft, match="this experiment is running: create a new one"):
        machine.start(PLAN, RUNNING, Order(), target_sample_size=TARGET, now=DAY_2)


def test_a_stop_has_no_conclusion_and_leaves_the_control() -> None:
    stopped = machine.stop(PLAN, RUNNING, Order(reason="wrong metric"), now=DAY_2)

    assert (stopped.conclusion, stopped.winner, stopped.serves) == (None, None, CONTROL)
    assert stopped.reason == "wrong metric"
    assert stopped.progress.elapsed(END) == DAY_2 - NOON


@pytest.mark.parametrize(
    ("analysis", "promote", "conclusion", "serves"),
    [
        pytest.param(BETTER, True, Conclusion.SHIP, TREATMENT, id="a winner is promoted"),
        pytest.param(BETTER, False, Conclusion.SHIP, CONTROL, id="a winner that may wait"),
        pytest.param(BETTER, None, Conclusion.SHIP, CONTROL, id="as the plan says"),
        pytest.param(WORSE, None, Conclusion.KEEP_CONTROL, CONTROL, id="worse"),
        pytest.param(NO_USE, False, Conclusion.FUTILE, CONTROL, id="futile"),
        pytest.param(LOPSIDED, None, Conclusion.INVALID, CONTROL, id="invalid"),
        pytest.param(UNDECIDED, None, Conclusion.KEEP_CONTROL, CONTROL, id="nothing shown yet"),
    ],
)
def test_a_person_concludes_with_what_the_analysis_says(
    analysis: Analysis, promote: bool | None, conclusion: Conclusion, serves: str
) -> None:
    order = ConcludeOrder(promote_winner=promote)
    concluded = machine.conclude(PLAN, RUNNING, analysis, order, now=DAY_2)

    assert (concluded.conclusion, concluded.serves) == (conclusion, serves)
    assert concluded.winner == (TREATMENT if conclusion is Conclusion.SHIP else None)


@pytest.mark.parametrize("analysis", [UNDECIDED, WORSE, NO_USE, LOPSIDED, BROKEN])
def test_nobody_can_promote_what_has_not_won(analysis: Analysis) -> None:
    with pytest.raises(NoWinner, match="there is no winner to promote") as refused:
        machine.conclude(PLAN, RUNNING, analysis, ConcludeOrder(promote_winner=True), now=DAY_2)

    assert refused.value.facts["conclusion"] == analysis.conclusion


@pytest.mark.parametrize(
    ("analysis", "event", "conclusion"),
    [
        pytest.param(BETTER, Event.CONCLUDED, Conclusion.SHIP, id="better"),
        pytest.param(WORSE, Event.CONCLUDED, Conclusion.KEEP_CONTROL, id="worse"),
        pytest.param(NO_USE, Event.CONCLUDED, Conclusion.FUTILE, id="futile"),
        pytest.param(LOPSIDED, Event.PAUSED, None, id="not to be believed: a person is asked"),
    ],
)
def test_an_answer_ends_an_experiment_that_concludes_by_itself(
    analysis: Analysis, event: Event, conclusion: Conclusion | None
) -> None:
    decision = decide(BY_ITSELF, RUNNING, analysis, now=DAY_2)

    assert isinstance(decision, Transition)
    assert (decision.event, decision.conclusion) == (event, conclusion)
    assert decision.reason == analysis.reason


@pytest.mark.parametrize("analysis", [BETTER, WORSE, NO_USE, LOPSIDED])
def test_without_that_every_answer_waits_for_a_person(analysis: Analysis) -> None:
    decision = decide(PLAN, RUNNING, analysis, now=DAY_2)

    assert isinstance(decision, Hold)
    assert decision.reason == f"{analysis.conclusion} waits for a person: {analysis.reason}"


@pytest.mark.parametrize(
    ("promote", "serves"), [(True, TREATMENT), (False, CONTROL)], ids=["promoted", "left"]
)
def test_the_plan_says_whether_a_winner_is_promoted(promote: bool, serves: str) -> None:
    decision = decide(replace(BY_ITSELF, promote_winner=promote), RUNNING, BETTER, now=DAY_2)

    assert isinstance(decision, Transition)
    assert (decision.winner, decision.serves) == (TREATMENT, serves)


@pytest.mark.parametrize("asked", [PLAN, BY_ITSELF], ids=["by a person", "by itself"])
@pytest.mark.parametrize("progress", [RUNNING, PAUSED], ids=["running", "paused"])
def test_a_guardrail_that_fails_takes_the_treatments_off_the_road_at_once(
    asked: Any, progress: Progress
) -> None:
    decision = decide(replace(asked, promote_winner=True), progress, BROKEN, now=DAY_2)

    assert isinstance(decision, Transition)
    assert decision.event is Event.CONCLUDED
    assert (decision.conclusion, decision.winner) == (Conclusion.KEEP_CONTROL, None)
    assert decision.serves == CONTROL


def test_while_nothing_is_decided_it_goes_on_to_its_end() -> None:
    decision = decide(BY_ITSELF, RUNNING, UNDECIDED, now=DAY_2)

    assert decision == Hold(reason=UNDECIDED.reason, next_look=END)


@pytest.mark.parametrize("analysis", [BETTER, WORSE, NO_USE, LOPSIDED, UNDECIDED])
def test_a_pause_ends_by_a_person_alone(analysis: Analysis) -> None:
    decision = decide(BY_ITSELF, PAUSED, analysis, now=END + timedelta(days=30))

    assert decision == Hold(reason="paused until a person resumes it")


@pytest.mark.parametrize("progress", [DRAFT, CONCLUDED, STOPPED])
def test_what_does_not_live_is_left_alone(progress: Progress) -> None:
    assert isinstance(decide(BY_ITSELF, progress, BROKEN, now=DAY_2), Hold)


def test_what_cannot_be_believed_is_not_resumed() -> None:
    paused = decide(BY_ITSELF, RUNNING, LOPSIDED, now=DAY_2)
    assert isinstance(paused, Transition)

    assert paused.progress.pause == Pause(by=PausedBy.EVIDENCE, reason=LOPSIDED.reason, at=DAY_2)
    with pytest.raises(NotMended, match="cannot be mended by going on: units did not fall"):
        machine.resume(paused.progress, Order(), now=END)
    assert machine.stop(PLAN, paused.progress, Order(), now=END).serves == CONTROL
