"""Evidence that is broken, or missing, or comes and goes: none of it is a pass."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.factories import NOON, arm_evidence
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.evidence import Evidence, Judgement, Sequences, judge
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.rollouts.domain.transitions import Event, Hold, Situation, Transition, decide
from turnout.stats.arguments import BadArgument
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
BAKE = 10 * MINUTE
LATER = NOON + BAKE
RULES = (
    Guardrail(metric="score", max=0.5),
    Guardrail(metric="score", min=0.5),
    Guardrail(metric="score", max_increase=0.1),
    Guardrail(metric="score", max_decrease=0.1),
)
STAGES = (Stage(weight=5_000, bake=BAKE), Stage(weight=10_000, bake=BAKE))


def plan(*guardrails: Guardrail) -> Plan:
    return Plan(strategy=Strategy.CANARY, stages=STAGES, guardrails=guardrails)


def scored(total: float) -> ArmEvidence:
    totals = UnitTotals(units=1_000, n=1_000, n2=1_000, x=total, x2=1_000, xn=total)
    return arm_evidence(1_000, last_at=LATER, outcomes={"score": totals})


def seen(candidate: ArmEvidence | None, guardrail: Guardrail) -> Judgement:
    """Beside a baseline that is in order."""
    evidence = Evidence(candidate=candidate, baseline=scored(500.0))
    judged = plan(guardrail)
    return judge(judged, entry(judged, 0, NOON), evidence, Sequences(), LATER)[0]


@pytest.mark.parametrize("guardrail", RULES, ids=str)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_nan_inf_null_each_operator(guardrail: Guardrail, value: float) -> None:
    """Sums that are no numbers are refused, and their metric is left out of the arm. That is no
    data to every rule, and so are an arm without a sum and no arm at all."""
    with pytest.raises(BadArgument, match="finite"):
        scored(value)
    without = arm_evidence(1_000, last_at=LATER)
    empty = replace(without, metrics={"score": UnitTotals()})
    verdicts = {seen(arm, guardrail).verdict for arm in (None, without, empty)}

    assert seen(scored(500.0), guardrail).verdict is Verdict.PASS
    assert verdicts == {Verdict.NO_DATA}


@pytest.mark.parametrize("first_broken", [0, 1])
def test_intermittent_errors_bounded(first_broken: int) -> None:
    """Error, pass, error, pass: a look that failed is no evidence, so neither the number of looks
    nor the passes between them make up for samples; only a look with enough of them ends a stage,
    and without one the stage pauses at its end."""
    limits = plan(Guardrail(metric="error_rate", max=0.1, min_samples=1_000))
    impossible = UnitTotals(units=100, n=100, n2=100, x=-5, x2=5, xn=-5)
    progress, sequences = entry(limits, 0, NOON), Sequences()
    decided = []
    for look in range(30):
        now = LATER + look * MINUTE * 2 / 3
        arm = arm_evidence(10 * look + 20, last_at=now)
        if look % 2 == first_broken:
            arm = replace(arm, metrics={"error_rate": impossible})
        judgement, sequences = judge(limits, progress, Evidence(candidate=arm), sequences, now)
        decided.append(decide(situation(limits, judgement, look)))

    assert all(isinstance(decision, Hold) for decision in decided)
    broken, enough = (
        judge(limits, progress, Evidence(candidate=arm), sequences, LATER)[0]
        for arm in (
            replace(arm_evidence(2_000, last_at=LATER), metrics={"error_rate": impossible}),
            arm_evidence(2_000, last_at=LATER),
        )
    )
    assert broken.verdict is Verdict.ERROR
    assert event(decide(situation(limits, broken, 30))) is Event.PAUSED
    assert event(decide(situation(limits, enough, 29))) is Event.ADVANCED


def situation(limits: Plan, judgement: Judgement, look: int) -> Situation:
    now = LATER + look * MINUTE * 2 / 3
    return Situation(plan=limits, progress=entry(limits, 0, NOON), judgement=judgement, now=now)


def event(decision: Transition | Hold) -> Event | None:
    return decision.event if isinstance(decision, Transition) else None
