from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.factories import NOON, arm_evidence, counted
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.evidence import Evidence, Judgement, Sequences, judge
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

BAKE = timedelta(minutes=10)
LATER = NOON + BAKE
ERRORS = Guardrail(metric="error_rate", max=0.10)
MORE_ERRORS = Guardrail(metric="error_rate", max_increase=0.01)

evidences: TypeAdapter[Evidence] = TypeAdapter(Evidence)
judgements: TypeAdapter[Judgement] = TypeAdapter(Judgement)
memories: TypeAdapter[Sequences] = TypeAdapter(Sequences)


def plan(*guardrails: Guardrail, bake: timedelta = BAKE) -> Plan:
    stage = Stage(weight=5_000, bake=bake, guardrails=guardrails)
    return Plan(strategy=Strategy.CANARY, stages=(stage,))


def look(
    *guardrails: Guardrail,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None = None,
    now: datetime = LATER,
    entered_at: datetime = NOON,
    bake: timedelta = BAKE,
) -> Judgement:
    judged = plan(*guardrails, bake=bake)
    evidence = Evidence(candidate=candidate, baseline=baseline)
    return judge(judged, entry(judged, 0, entered_at), evidence, Sequences(), now)[0]


def arm(
    predictions: int,
    errors: int = 0,
    *,
    last_at: datetime = LATER,
    accuracy: UnitTotals | None = None,
) -> ArmEvidence:
    outcomes = {} if accuracy is None else {"accuracy": accuracy}
    return arm_evidence(predictions, errors=errors, last_at=last_at, outcomes=outcomes)


@pytest.mark.parametrize(
    ("guardrail", "candidate", "baseline", "verdict"),
    [
        pytest.param(ERRORS, arm(1_000, 10), None, Verdict.PASS, id="few errors"),
        pytest.param(ERRORS, arm(1_000, 300), None, Verdict.FAIL, id="many errors"),
        pytest.param(ERRORS, arm(50, 0), None, Verdict.INSUFFICIENT_SAMPLE, id="small sample"),
        pytest.param(
            ERRORS, arm(10, 1), None, Verdict.INSUFFICIENT_SAMPLE, id="small_sample_single_error"
        ),
        pytest.param(ERRORS, None, None, Verdict.NO_DATA, id="no prediction"),
        pytest.param(MORE_ERRORS, arm(500, 5), arm(500, 5), Verdict.PASS, id="equal arms"),
        pytest.param(MORE_ERRORS, arm(500, 0), arm(500, 0), Verdict.PASS, id="no error anywhere"),
        pytest.param(
            MORE_ERRORS, arm(5_000, 400), arm(5_000, 0), Verdict.FAIL, id="zero_errors_in_control"
        ),
        pytest.param(MORE_ERRORS, arm(500, 5), None, Verdict.NO_DATA, id="no baseline to compare"),
        pytest.param(
            Guardrail(metric="success_rate", min=0.95),
            arm(1_000, 300),
            None,
            Verdict.FAIL,
            id="too little success is too many errors",
        ),
        pytest.param(
            Guardrail(metric="latency_mean", max=10_000),
            arm(1_000),
            None,
            Verdict.PASS,
            id="identical_and_tied_data: one arm",
        ),
        pytest.param(
            Guardrail(metric="latency_p95", max=20),
            arm(1_000),
            None,
            Verdict.FAIL,
            id="a slow percentile",
        ),
        pytest.param(
            Guardrail(metric="latency_p95", max_increase=20),
            arm(1_000),
            arm(1_000),
            Verdict.PASS,
            id="identical_and_tied_data: two arms",
        ),
        pytest.param(
            Guardrail(metric="accuracy", min=0.8),
            arm(1_000, accuracy=counted(1_000, 600)),
            None,
            Verdict.FAIL,
            id="wrong too often",
        ),
        pytest.param(
            Guardrail(metric="accuracy", min=0.8), arm(1_000), None, Verdict.NO_DATA, id="no label"
        ),
        pytest.param(
            Guardrail(metric="error_rate", max=0.02, proof="not_worse"),
            arm(1_000, 19),
            None,
            Verdict.INCONCLUSIVE,
            id="not proven to be within the limit",
        ),
        pytest.param(
            Guardrail(metric="error_rate", max=0.02),
            arm(1_000, 19),
            None,
            Verdict.PASS,
            id="no harm was found",
        ),
    ],
)
def test_a_guardrail_is_judged(
    guardrail: Guardrail,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    verdict: Verdict,
) -> None:
    assert look(guardrail, candidate=candidate, baseline=baseline).verdict is verdict


def test_guardrail_beats_min_sample() -> None:
    patient = Guardrail(metric="error_rate", max=0.10, min_samples=1_000)

    assert look(patient, candidate=arm(200, 100)).verdict is Verdict.FAIL


def test_the_worst_guardrail_decides_and_is_named() -> None:
    slow = Guardrail(metric="latency_mean", max=20)
    judgement = look(ERRORS, slow, candidate=arm(1_000))

    assert judgement.verdict is Verdict.FAIL
    assert judgement.reason.startswith("latency_mean at most 20: harm shown")
    assert judgement.verdicts == (Verdict.FAIL, Verdict.PASS, Verdict.FAIL)


def test_dry_run_never_gates() -> None:
    watched = Guardrail(metric="latency_mean", max=20, dry_run=True)
    judgement = look(ERRORS, watched, candidate=arm(1_000))

    assert judgement.verdict is Verdict.PASS
    assert judgement.findings[1].finding.verdict is Verdict.FAIL


def test_a_stage_without_guardrails_passes_and_says_why() -> None:
    judgement = look(candidate=None)

    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == "no guardrail to pass here"


@pytest.mark.parametrize(
    ("last_at", "now", "verdict"),
    [
        pytest.param(NOON - BAKE, LATER, Verdict.NO_DATA, id="from before the stage"),
        pytest.param(NOON + timedelta(minutes=6), LATER, Verdict.PASS, id="fresh"),
        pytest.param(NOON + timedelta(minutes=4), LATER, Verdict.NO_DATA, id="traffic stopped"),
    ],
)
def test_stale_evidence_holds(last_at: datetime, now: datetime, verdict: Verdict) -> None:
    assert look(ERRORS, candidate=arm(1_000, last_at=last_at), now=now).verdict is verdict


def test_a_short_stage_waits_a_minute_before_it_calls_evidence_stale() -> None:
    now = NOON + timedelta(seconds=50)

    judgement = look(ERRORS, candidate=arm(1_000, last_at=NOON), now=now, bake=timedelta(seconds=5))

    assert judgement.verdict is Verdict.PASS


def test_stale_evidence_of_harm_is_still_evidence_of_harm() -> None:
    assert look(ERRORS, candidate=arm(1_000, 900, last_at=NOON)).verdict is Verdict.FAIL


def test_figures_that_cannot_be_right_are_an_error_and_no_pass() -> None:
    judgement = look(ERRORS, candidate=arm(1_000, accuracy=counted(1, 1)), now=LATER)
    impossible = look(
        Guardrail(metric="accuracy", min=0.5),
        candidate=arm(1_000, accuracy=UnitTotals(units=100, n=100, n2=100, x=-5, x2=5, xn=-5)),
    )

    assert judgement.verdict is Verdict.PASS
    assert impossible.verdict is Verdict.ERROR
    assert "cannot be right" in impossible.reason


def test_every_gate_of_the_plan_gets_an_equal_part_of_the_error_rate() -> None:
    """What one guardrail alone would show, it does not show as one of forty."""
    borderline = arm(400, 55)
    alone = look(ERRORS, candidate=borderline)
    stage = Stage(weight=5_000, bake=BAKE, guardrails=(ERRORS,) * 40)
    crowded = Plan(strategy=Strategy.CANARY, stages=(stage,))
    evidence = Evidence(candidate=borderline)
    among_many, _ = judge(crowded, entry(crowded, 0, NOON), evidence, Sequences(), LATER)

    assert alone.verdict is Verdict.FAIL
    assert among_many.verdict is Verdict.PASS


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_more_errors_never_improve_the_verdict(a: int, b: int) -> None:
    order = [Verdict.PASS, Verdict.FAIL]
    fewer, more = (look(ERRORS, candidate=arm(2_000, errors)).verdict for errors in sorted((a, b)))

    assert order.index(fewer) <= order.index(more)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_look_can_be_repeated_from_what_was_stored(n: int, errors: int, baseline: int) -> None:
    seen = Evidence(candidate=arm(n, min(n, errors)), baseline=arm(baseline))
    success = Guardrail(metric="success_rate", min=0.9)
    judged = plan(success, MORE_ERRORS, Guardrail(metric="latency_p95", max_increase=20))
    judgement = judge(judged, entry(judged, 0, NOON), seen, Sequences(), LATER)
    stored = evidences.dump_json(seen.on(judged.limits(0)))
    again = judge(
        judged, entry(judged, 0, NOON), evidences.validate_json(stored), Sequences(), LATER
    )

    assert again == judgement
    said, left = judgement
    assert judgements.validate_json(judgements.dump_json(said)) == said
    assert memories.validate_json(memories.dump_json(left)) == left


def test_of_the_evidence_only_what_was_judged_is_stored() -> None:
    stored = Evidence(candidate=arm(100)).on([Guardrail(metric="success_rate", min=0.9)])

    assert stored.candidate is not None
    assert list(stored.candidate.metrics) == ["error_rate"]
    assert stored.candidate.latency.count == 0
    assert stored.baseline is None
