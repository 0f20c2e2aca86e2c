"""What can be said against the evidence: units that went astray, and a baseline that is ill."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import NOON, arm_evidence, counted
from tests.rollouts.conftest import Driver
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.commands import order
from turnout.rollouts.domain import verbs
from turnout.rollouts.domain.concerns import Worry, uneven_arms
from turnout.rollouts.domain.evidence import Evidence, Judgement, Sequences, judge
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.orders import Advance, Order
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import OnDeadline, Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.rollouts.domain.transitions import Event, Hold, Situation, Transition, decide
from turnout.rollouts.domain.verbs import EvidenceUntrusted
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
BAKE = 10 * MINUTE
ERRORS = Guardrail(metric="error_rate", max=0.10)
MORE_ERRORS = Guardrail(metric="error_rate", max_increase=0.01)
LESS_ACCURACY = Guardrail(metric="accuracy", max_decrease=0.01)
HALF = Stage(weight=5_000, bake=BAKE)
PLAN = Plan(strategy=Strategy.CANARY, stages=(HALF,), guardrails=(MORE_ERRORS,))


def arm(predictions: int, errors: int = 0, *, right: int | None = None) -> ArmEvidence:
    outcomes = {} if right is None else {"accuracy": counted(predictions, right)}
    return arm_evidence(predictions, errors=errors, last_at=NOON + BAKE, outcomes=outcomes)


def look(
    candidate: ArmEvidence, baseline: ArmEvidence | None, plan: Plan = PLAN
) -> tuple[Judgement, Sequences]:
    evidence = Evidence(candidate=candidate, baseline=baseline)
    return judge(plan, entry(plan, 0, NOON), evidence, Sequences(), NOON + BAKE)


def situation(judgement: Judgement, *, plan: Plan = PLAN, after: timedelta = BAKE) -> Situation:
    progress = entry(plan, 0, NOON)
    return Situation(plan=plan, progress=progress, judgement=judgement, now=NOON + after)


def guarded(*guardrails: Guardrail) -> Plan:
    return replace(PLAN, guardrails=guardrails)


def test_sample_ratio_mismatch() -> None:
    """Planned 50/50, got 53/47 of 100,000."""
    judgement, memory = look(arm(53_000), arm(47_000))
    frozen = Frozen(since=NOON, until=NOON + timedelta(days=1), reason="Christmas")
    held = decide(replace(situation(judgement), frozen=frozen))
    late = decide(situation(judgement, after=timedelta(hours=1)))

    assert judgement.verdict is Verdict.ERROR
    assert memory.worries == (Worry.UNEVEN_ARMS,)
    assert isinstance(held, Hold)
    assert held.reason == (
        "units did not fall to the versions as planned, so no result is trusted:"
        " candidate got 53,000 (53 %, planned 50 %), baseline got 47,000 (47 %, planned 50 %)"
    )
    assert isinstance(late, Transition)
    assert late.event is Event.PAUSED


def test_harm_is_answered_also_by_evidence_that_is_uneven() -> None:
    judgement, _ = look(arm(53_000, 10_000), arm(47_000, 500))

    assert judgement.verdict is Verdict.FAIL
    assert judgement.concern(Worry.UNEVEN_ARMS) is not None


@pytest.mark.parametrize(
    ("candidate", "baseline", "compares", "uneven"),
    [
        pytest.param(50_100, 49_900, True, False, id="chance"),
        pytest.param(60, 40, True, False, id="a few units are chance"),
        pytest.param(47_000, 53_000, True, True, id="the candidate lacks units"),
        pytest.param(53_000, 47_000, True, True, id="the baseline lacks units"),
        pytest.param(47_000, 53_000, False, True, id="the candidate lacks them, nothing compares"),
        pytest.param(
            50_000, 5_000, False, False, id="a baseline recorded in part, nothing compares"
        ),
        pytest.param(50_000, 0, True, False, id="a baseline that is not recorded is no data"),
        pytest.param(0, 50_000, True, False, id="a candidate without units is no data"),
        pytest.param(4_980_000, 5_020_000, True, False, id="certain, and too slight to matter"),
    ],
)
def test_units_go_astray(candidate: int, baseline: int, compares: bool, uneven: bool) -> None:
    few = arm_evidence(1)
    arms = (replace(few, metrics={"error_rate": counted(n, 0)}) for n in (candidate, baseline))

    assert (uneven_arms(5_000, *arms, compares=compares) is not None) is uneven


@pytest.mark.parametrize("weight", [0, 10_000])
def test_where_one_version_answers_there_is_no_ratio(weight: int) -> None:
    assert uneven_arms(weight, arm(1_000), arm(10), compares=True) is None


def test_an_approval_is_refused_while_its_evidence_is_not_trusted() -> None:
    judgement, _ = look(arm(53_000), arm(47_000))
    at = situation(judgement)
    waiting = replace(at, progress=replace(at.progress, phase=Phase.AWAITING_APPROVAL))

    with pytest.raises(EvidenceUntrusted, match="promote or skip"):
        verbs.approve(waiting, Advance())


def test_stable_itself_unhealthy() -> None:
    """The candidate is right less often, and the baseline answers every third request by an
    error: that is no version to be forced back to."""
    judgement, memory = look(
        arm(5_000, 50, right=4_000), arm(5_000, 1_700, right=4_900), guarded(ERRORS, LESS_ACCURACY)
    )
    decided = decide(situation(judgement, after=MINUTE))

    assert (judgement.verdict, judgement.asks) == (Verdict.INCONCLUSIVE, True)
    assert judgement.reason.startswith("the baseline itself fails error_rate at most 0.1, which")
    assert "only worse in comparison: accuracy" in judgement.reason
    assert memory.worries == (Worry.AILING_BASELINE,)
    assert isinstance(decided, Transition)
    assert decided.event is Event.PAUSED


@pytest.mark.parametrize(
    ("candidate", "baseline", "guardrails"),
    [
        pytest.param(
            arm(5_000, 2_000, right=4_000),
            arm(5_000, 1_700, right=4_900),
            (ERRORS, LESS_ACCURACY),
            id="where both are ill",
        ),
        pytest.param(
            arm(5_000, 50, right=4_000),
            arm(5_000, 100, right=4_900),
            (ERRORS, LESS_ACCURACY),
            id="where the baseline is well",
        ),
        pytest.param(
            arm(5_000, 50, right=4_000),
            arm(5_000, 1_700, right=4_900),
            (replace(ERRORS, dry_run=True), LESS_ACCURACY),
            id="where the limit of the baseline decides nothing",
        ),
    ],
)
def test_a_candidate_that_fails_is_rolled_back(
    candidate: ArmEvidence, baseline: ArmEvidence, guardrails: tuple[Guardrail, ...]
) -> None:
    decided = decide(situation(look(candidate, baseline, guarded(*guardrails))[0]))

    assert isinstance(decided, Transition)
    assert decided.event is Event.ROLLED_BACK


def test_a_candidate_that_is_well_leaves_an_ill_baseline_behind() -> None:
    judgement, memory = look(arm(5_000, 50), arm(5_000, 1_700), guarded(ERRORS, MORE_ERRORS))
    decided = decide(situation(judgement))

    assert judgement.verdict is Verdict.PASS
    assert memory.worries == (Worry.AILING_BASELINE,)
    assert isinstance(decided, Transition)
    assert decided.event is Event.SUCCEEDED


def test_no_deadline_leads_back_to_an_ill_baseline() -> None:
    patient = replace(LESS_ACCURACY, min_samples=100_000)
    stage = replace(HALF, on_deadline=OnDeadline.ROLLBACK, guardrails=(ERRORS, patient))
    plan = replace(PLAN, stages=(stage,))
    judgement, _ = look(arm(5_000, 50, right=4_900), arm(5_000, 1_700, right=4_900), plan)
    decided = decide(situation(judgement, plan=plan, after=timedelta(hours=1)))

    assert judgement.verdict is Verdict.INSUFFICIENT_SAMPLE
    assert isinstance(decided, Transition)
    assert decided.event is Event.PAUSED


async def test_a_rollout_holds_until_units_fall_as_planned(driver: Driver) -> None:
    stages = (replace(HALF, guardrails=(MORE_ERRORS,)), Stage(weight=10_000, bake=BAKE))
    rollout_id = await driver.under_way(stages=stages)
    await driver.see(rollout_id, 1_000, baseline=3_000, after=BAKE)
    await driver.tick()
    held = await driver.events(rollout_id)
    await driver.see(rollout_id, 3_050, baseline=3_000)
    await driver.tick()

    assert held == ["started"]
    assert [look.judgement.verdict for look in await driver.looks(rollout_id)][:2] == [
        Verdict.ERROR,
        Verdict.PASS,
    ]
    assert await driver.events(rollout_id) == ["started", "advanced"]


async def test_a_person_decides_where_the_baseline_is_ill(driver: Driver) -> None:
    guardrails = (ERRORS, Guardrail(metric="latency_mean", max_increase=10))
    rollout_id = await driver.under_way(stages=(replace(HALF, guardrails=guardrails),))
    await driver.see(rollout_id, 1_000, baseline=1_000, baseline_errors=500)
    await driver.tick()
    going_on = await driver.events(rollout_id)
    await driver.say(order.roll_back, rollout_id, Order(reason="all the same"))

    assert going_on == ["started"]
    assert (await driver.looks(rollout_id))[0].judgement.concern(Worry.AILING_BASELINE)
    assert (await driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK
