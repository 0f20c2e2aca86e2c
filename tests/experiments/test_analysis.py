import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.experiments.trials import (
    ANOTHER,
    CONTROL,
    DAY,
    DAY_2,
    END,
    TREATMENT,
    TWO,
    analysed,
    arm,
    plan,
    running,
    seen,
    statuses,
    three,
)
from tests.factories import NOON, arm_evidence, counted
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan, plan_hash
from turnout.experiments.domain.state import Conclusion, Sequences
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal, Metric
from turnout.stats.goal import GoalStatus
from turnout.stats.totals import UnitTotals

analyses: TypeAdapter[Analysis] = TypeAdapter(Analysis)
memories: TypeAdapter[Sequences] = TypeAdapter(Sequences)
evidences: TypeAdapter[ExperimentEvidence] = TypeAdapter(ExperimentEvidence)

ERRORS = Guardrail(metric="error_rate", max_increase=0.01)
BETTER = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375))
EQUAL = seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_805))


@pytest.mark.parametrize(
    ("evidence", "conclusion", "winner"),
    [
        pytest.param(BETTER, Conclusion.SHIP, TREATMENT, id="clearly better"),
        pytest.param(EQUAL, Conclusion.KEEP_RUNNING, None, id="not clear yet"),
        pytest.param(
            seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_100)),
            Conclusion.KEEP_CONTROL,
            None,
            id="clearly worse",
        ),
        pytest.param(
            seen(control=arm(3_000, 2_700), treatment=arm(3_000, 2_680)),
            Conclusion.FUTILE,
            None,
            id="not worth waiting for",
        ),
        pytest.param(
            seen(control=arm(900, 500), treatment=arm(900, 890)),
            Conclusion.KEEP_RUNNING,
            None,
            id="clear, but too few units to conclude anything",
        ),
        pytest.param(seen(), Conclusion.KEEP_RUNNING, None, id="nothing yet"),
    ],
)
def test_the_conclusion_follows_from_the_goal(
    evidence: ExperimentEvidence, conclusion: Conclusion, winner: str | None
) -> None:
    analysis, _ = analysed(evidence)

    assert (analysis.conclusion, analysis.winner) == (conclusion, winner)


@pytest.mark.parametrize(
    ("correct", "conclusion"),
    [
        pytest.param(1_850, Conclusion.FUTILE, id="no difference shown"),
        pytest.param(1_950, Conclusion.SHIP, id="better"),
        pytest.param(1_700, Conclusion.KEEP_CONTROL, id="worse"),
    ],
)
def test_when_the_time_is_over_there_is_an_answer(correct: int, conclusion: Conclusion) -> None:
    evidence = seen(
        control=arm(2_050, 1_845, last_at=END), treatment=arm(2_050, correct, last_at=END)
    )
    analysis, memory = analysed(evidence, now=END, look=False)

    assert analysis.conclusion is conclusion
    assert memory.goal[TREATMENT].ended
    assert analysis.remaining.time_left == timedelta()


def test_without_a_futility_rule_the_end_shows_no_difference() -> None:
    evidence = seen(control=arm(5_000, 4_500), treatment=arm(5_000, 4_530))
    analysis, _ = analysed(evidence, of=plan(futility_threshold=None))

    assert statuses(analysis) == [GoalStatus.NOT_SHOWN]
    assert analysis.conclusion is Conclusion.KEEP_CONTROL


def test_too_few_units_at_the_end_keep_the_control() -> None:
    evidence = seen(control=arm(500, 250, last_at=END), treatment=arm(500, 490, last_at=END))
    analysis, memory = analysed(evidence, now=END)

    assert analysis.conclusion is Conclusion.KEEP_CONTROL
    assert memory.goal[TREATMENT].looks == ()


def test_a_pause_does_not_bring_the_end_nearer() -> None:
    late = replace(running(since=END), ran=5 * DAY)
    analysis, _ = analysed(EQUAL, progress=late, now=END + DAY)

    assert analysis.conclusion is Conclusion.KEEP_RUNNING
    assert analysis.elapsed == 6 * DAY
    assert analysis.remaining.time_left == DAY


def test_without_early_stopping_the_goal_is_looked_at_once() -> None:
    asked = plan(early_stopping=False)
    early, memory = analysed(BETTER, of=asked)
    assert (early.conclusion, early.looks) == (Conclusion.KEEP_RUNNING, 0)
    assert early.interval == (None, None)

    full = seen(control=arm(5_000, 4_500), treatment=arm(5_000, 4_750))
    last, _ = analysed(full, of=asked, sequences=memory)
    assert (last.conclusion, last.looks) == (Conclusion.SHIP, 1)


def test_between_looks_the_goal_is_shown_and_not_tested() -> None:
    analysis, memory = analysed(BETTER, look=False)

    assert analysis.conclusion is Conclusion.KEEP_RUNNING
    assert analysis.effect == pytest.approx(0.05)
    assert (analysis.looks, memory.goal[TREATMENT].looks) == (0, ())


def test_what_a_look_has_decided_stands_at_the_next_tick() -> None:
    _, memory = analysed(BETTER)
    more = seen(control=arm(2_600, 2_400), treatment=arm(2_600, 2_390))
    analysis, after = analysed(more, sequences=memory, look=False)

    assert (analysis.conclusion, analysis.winner) == (Conclusion.SHIP, TREATMENT)
    assert analysis.effect is not None
    assert analysis.effect < 0
    assert after.goal == memory.goal


@pytest.mark.parametrize("look", [True, False], ids=["at a look", "at a tick"])
def test_a_guardrail_that_fails_comes_before_the_goal(look: bool) -> None:
    evidence = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375, errors=200))
    analysis, _ = analysed(evidence, of=plan(guardrails=(ERRORS,)), look=look)

    assert (analysis.conclusion, analysis.winner) == (Conclusion.KEEP_CONTROL, None)
    assert analysis.harm
    assert analysis.reason.startswith("2.0.0 fails error_rate at most 0.01 above the baseline")


def test_one_treatment_that_does_harm_ends_the_experiment() -> None:
    evidence = seen(
        control=arm(2_500, 2_250),
        treatment=arm(2_500, 2_375),
        another=arm(2_500, 2_250, errors=200),
    )
    analysis, _ = analysed(evidence, of=replace(TWO, guardrails=(ERRORS,)))

    assert (analysis.conclusion, analysis.leader) == (Conclusion.KEEP_CONTROL, ANOTHER)


def test_a_dry_run_is_judged_and_decides_nothing() -> None:
    evidence = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375, errors=200))
    dry = replace(ERRORS, dry_run=True)
    analysis, _ = analysed(evidence, of=plan(guardrails=(dry,)))

    assert analysis.guardrails[0].finding.verdict == "fail"
    assert not analysis.harm
    assert analysis.conclusion is Conclusion.SHIP


def test_guardrails_compare_with_the_control_and_limit_the_treatment() -> None:
    """A control that is as bad breaks an absolute limit, and not a relative one."""
    both = seen(control=arm(2_500, 2_250, errors=200), treatment=arm(2_500, 2_375, errors=200))
    absolute = Guardrail(metric="error_rate", max=0.05)
    control_alone = seen(control=arm(2_500, 2_250, errors=200), treatment=arm(2_500, 2_375))

    assert analysed(both, of=plan(guardrails=(ERRORS,)))[0].winner == TREATMENT
    assert analysed(both, of=plan(guardrails=(absolute,)))[0].harm
    assert analysed(control_alone, of=plan(guardrails=(absolute,)))[0].winner == TREATMENT


def test_the_guardrails_of_all_treatments_share_the_error_rate() -> None:
    """What is harm where one guardrail is watched may be chance among twenty."""
    evidence = seen(control=arm(2_500, 2_250, errors=10), treatment=arm(2_500, 2_250, errors=63))
    many = tuple(replace(ERRORS, confidence=c / 1_000) for c in range(950, 970))

    assert analysed(evidence, of=plan(guardrails=(ERRORS,)))[0].harm
    assert not analysed(evidence, of=plan(guardrails=many))[0].harm


PROOF = Guardrail(metric="error_rate", max_increase=0.001, proof="not_worse")


def test_nothing_is_shipped_before_every_guardrail_passes() -> None:
    asked = plan(guardrails=(PROOF,))
    waiting, memory = analysed(BETTER, of=asked)
    at_the_end, _ = analysed(BETTER, of=asked, now=END, sequences=memory)

    assert waiting.conclusion is Conclusion.KEEP_RUNNING
    assert "2.0.0 has won, but error_rate at most 0.001 above the baseline" in waiting.reason
    assert statuses(waiting) == [GoalStatus.WIN]
    assert (at_the_end.conclusion, at_the_end.winner) == (Conclusion.KEEP_CONTROL, None)


def test_a_guardrail_that_passes_later_ships_at_a_tick() -> None:
    asked = plan(guardrails=(Guardrail(metric="error_rate", max=0.1, min_samples=3_000),))
    waiting, memory = analysed(BETTER, of=asked)
    enough = seen(control=arm(3_000, 2_700), treatment=arm(3_000, 2_850))
    analysis, _ = analysed(enough, of=asked, sequences=memory, look=False)

    assert waiting.conclusion is Conclusion.KEEP_RUNNING
    assert (analysis.conclusion, analysis.winner) == (Conclusion.SHIP, TREATMENT)


def test_a_metric_that_improves_by_a_decrease_wins_downwards() -> None:
    asked = plan(goal=Goal(metric="latency_mean", minimum_detectable_effect=5))

    def taking(ms: float) -> UnitTotals:
        n = 2_500
        return UnitTotals(units=n, n=n, n2=n, x=n * ms, x2=n * (ms**2 + 400), xn=n * ms)

    def evidence(control: UnitTotals, treatment: UnitTotals) -> ExperimentEvidence:
        return ExperimentEvidence(
            arms={
                version: replace(arm(2_500), metrics={**arm(2_500).metrics, "latency_mean": found})
                for version, found in ((CONTROL, control), (TREATMENT, treatment))
            }
        )

    faster, _ = analysed(evidence(taking(60), taking(40)), of=asked)
    slower, _ = analysed(evidence(taking(40), taking(60)), of=asked)
    assert (faster.winner, faster.effect) == (TREATMENT, -20)
    assert faster.practical_significance is True
    assert (slower.conclusion, slower.effect) == (Conclusion.KEEP_CONTROL, 20)
    assert slower.practical_significance is False


def test_units_of_which_nothing_was_heard_count_as_zero() -> None:
    asked = plan(
        goal=Goal(
            metric="conversion", direction="increase", per="unit", minimum_detectable_effect=0.01
        )
    )
    evidence = seen(
        control=arm(2_500, outcomes={"conversion": counted(250, 250)}),
        treatment=arm(2_500, outcomes={"conversion": counted(350, 350)}),
    )
    analysis, _ = analysed(evidence, of=asked)

    assert [found.value for found in analysis.arms] == [0.1, 0.14]
    assert analysis.winner == TREATMENT


@pytest.mark.parametrize(
    ("control", "treatment", "practical"),
    [
        pytest.param(4_500, 4_850, True, id="more than matters"),
        pytest.param(4_500, 4_640, None, id="may be as much as matters"),
        pytest.param(4_500, 4_480, False, id="less than matters"),
    ],
)
def test_practical_significance_is_the_interval_against_what_matters(
    control: int, treatment: int, practical: bool | None
) -> None:
    evidence = seen(control=arm(5_000, control), treatment=arm(5_000, treatment))
    analysis, _ = analysed(evidence)

    assert analysis.practical_significance is practical
    assert analysis.statistical_significance is (analysis.winner is not None)


class TestSecondaryMetrics:
    ASKED = plan(secondary=(Metric(metric="error_rate"), Metric(metric="success_rate")))

    def test_they_never_decide(self) -> None:
        evidence = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375, errors=2_000))
        analysis, _ = analysed(evidence, of=self.ASKED)

        assert analysis.winner == TREATMENT
        assert all(found.significant for found in analysis.secondary)

    def test_their_p_values_are_adjusted_and_never_rise(self) -> None:
        strong = seen(control=arm(2_500, 2_250, errors=50), treatment=arm(2_500, 2_250, errors=110))
        weak = seen(control=arm(2_600, 2_340, errors=80), treatment=arm(2_600, 2_340, errors=110))
        first, memory = analysed(strong, of=self.ASKED)
        later, after = analysed(weak, of=self.ASKED, sequences=memory)

        assert first.secondary[0].p_value == later.secondary[0].p_value
        assert memory.secondary_p == after.secondary_p
        assert first.secondary[0].adjusted_p_value == pytest.approx(
            2 * (first.secondary[0].p_value or 0)
        )

    def test_between_looks_nothing_is_remembered(self) -> None:
        evidence = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_250, errors=90))
        analysis, memory = analysed(evidence, of=self.ASKED, look=False)

        assert analysis.secondary[0].p_value is not None
        assert memory.secondary_p == {}


EVERYTHING = plan(
    TREATMENT,
    ANOTHER,
    secondary=(Metric(metric="latency_mean"), Metric(metric="revenue", direction="increase")),
    guardrails=(ERRORS, Guardrail(metric="latency_p99", max_increase=20)),
)


@pytest.mark.parametrize(
    ("asked", "evidence"),
    [
        pytest.param(plan(), seen(), id="nothing yet"),
        pytest.param(EVERYTHING, seen(), id="nothing yet of much"),
        pytest.param(EVERYTHING, three(2_250, 2_100, 2_420), id="much"),
        pytest.param(EVERYTHING, three(2_500, 2_500, 2_500), id="nothing varies"),
        pytest.param(plan(), BETTER, id="an answer"),
        pytest.param(
            plan(guardrails=(ERRORS,)), ExperimentEvidence(arms={"9.9.9": arm(3)}), id="strangers"
        ),
    ],
)
@pytest.mark.parametrize("now", [NOON, DAY_2, END])
def test_an_analysis_and_its_memory_are_json(
    asked: Plan, evidence: ExperimentEvidence, now: Any
) -> None:
    analysis, memory = analysed(evidence, of=asked, now=now)
    text = analyses.dump_json(analysis)

    json.loads(text, parse_constant=pytest.fail)  # NaN and infinity
    assert analyses.validate_json(text) == analysis
    assert memories.validate_json(memories.dump_json(memory)) == memory


def test_what_is_stored_leads_to_the_same_analysis() -> None:
    sketchy = ExperimentEvidence(
        arms={
            version: arm_evidence(
                2_000,
                last_at=DAY_2,
                outcomes={"accuracy": counted(2_000, 1_800), "other": counted(9, 3)},
            )
            for version in (CONTROL, TREATMENT, ANOTHER)
        }
    )
    first, memory = analysed(sketchy, of=EVERYTHING)
    kept = evidences.validate_json(evidences.dump_json(sketchy.on(EVERYTHING)))

    assert "other" not in kept.arms[CONTROL].metrics
    assert analysed(kept, of=EVERYTHING) == (first, memory)


def test_an_analysis_says_what_it_rests_on() -> None:
    analysis, _ = analysed(EQUAL)

    assert analysis.plan_hash == plan_hash(plan())
    assert (analysis.at, analysis.elapsed) == (DAY_2, 2 * DAY)
    assert analysis.looks == 1
    assert analysis.fraction == pytest.approx(0.4)
    assert [(found.role, found.units, found.planned) for found in analysis.arms] == [
        ("control", 2_000, 5_000),
        ("treatment", 2_000, 5_000),
    ]
    assert (analysis.remaining.units, analysis.remaining.duration) == (6_000, 3 * DAY)
    assert analysis.p_kind == "anytime"


def test_a_new_verdict_makes_another_analysis() -> None:
    watched = plan(guardrails=(ERRORS,))
    quiet, _ = analysed(EQUAL, of=watched, look=False)
    same, _ = analysed(EQUAL, of=watched, look=False, now=DAY_2 + timedelta(minutes=1))
    harm, _ = analysed(
        seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_805, errors=500)),
        of=watched,
        look=False,
    )

    assert quiet.verdicts == same.verdicts
    assert quiet.verdicts != harm.verdicts
