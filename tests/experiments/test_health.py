from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.experiments.trials import (
    DAY_2,
    END,
    TREATMENT,
    analysed,
    arm,
    plan,
    running,
    seen,
)
from tests.factories import NOON, counted
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.health import Check, HealthFinding
from turnout.experiments.domain.plan import Treatment
from turnout.experiments.domain.state import Conclusion, Sequences, Status
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict
from turnout.traffic.domain.split import Spread

EVEN = seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_800))
CONVERSION = Goal(metric="conversion", direction="increase", per="unit")


def check(analysis: Analysis, check: Check) -> HealthFinding:
    return next(found for found in analysis.health if found.check is check)


def conversions(units: int, of: int) -> ExperimentEvidence:
    outcome = {"conversion": counted(units, units)}
    return seen(
        control=arm(of, outcomes={"conversion": counted(50, 50)}),
        treatment=arm(of, outcomes=outcome),
    )


def test_even_shares_are_healthy() -> None:
    analysis, memory = analysed(EVEN)

    assert {found.verdict for found in analysis.health} == {Verdict.PASS}
    assert analysis.sample_ratio.observed == {"1.0.0": 2_000, "2.0.0": 2_000}
    assert memory.sample_ratio_p == analysis.sample_ratio.p_value == 1


@pytest.mark.parametrize(
    ("control", "treatment", "mismatch"),
    [
        pytest.param(2_000, 1_900, False, id="chance"),
        pytest.param(2_500, 2_100, True, id="54 to 46"),
        pytest.param(287, 156, True, id="65 to 35 of a few hundred"),
        pytest.param(200, 0, True, id="nobody met the treatment"),
    ],
)
def test_units_fall_to_the_variants_as_planned(
    control: int, treatment: int, mismatch: bool
) -> None:
    analysis, _ = analysed(seen(control=arm(control, 0), treatment=arm(treatment, 0)))

    assert analysis.sample_ratio.mismatch is mismatch
    assert (analysis.conclusion is Conclusion.INVALID) is mismatch
    assert (check(analysis, Check.SAMPLE_RATIO).verdict is Verdict.FAIL) is mismatch


def test_the_planned_weights_are_what_counts() -> None:
    asked = plan(treatments=(Treatment(version=TREATMENT, weight=1_000),))
    analysis, _ = analysed(seen(control=arm(9_000, 8_000), treatment=arm(1_000, 880)), of=asked)

    assert not analysis.sample_ratio.mismatch


def test_a_mismatch_once_shown_is_not_forgotten() -> None:
    first, memory = analysed(seen(control=arm(2_500, 0), treatment=arm(2_100, 0)))
    later, _ = analysed(EVEN, sequences=memory)

    assert later.conclusion is Conclusion.INVALID
    assert later.sample_ratio.p_value == first.sample_ratio.p_value


def test_a_version_that_is_not_in_the_plan_has_no_business_here() -> None:
    strangers = ExperimentEvidence(arms={**EVEN.arms, "9.0.0": arm(1)})
    analysis, _ = analysed(strangers)

    assert analysis.conclusion is Conclusion.INVALID
    assert "9.0.0 got 1 (0.02499 %, planned 0 %)" in analysis.reason


@pytest.mark.parametrize(
    ("crossed", "verdict"),
    [
        pytest.param(0, Verdict.PASS, id="none"),
        pytest.param(20, Verdict.PASS, id="half a percent"),
        pytest.param(60, Verdict.FAIL, id="a percent and a half"),
    ],
)
def test_units_that_met_two_variants_blur_the_difference(crossed: int, verdict: Verdict) -> None:
    analysis, _ = analysed(
        seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_800, crossed=crossed))
    )

    assert check(analysis, Check.CROSSED_UNITS).verdict is verdict
    assert (analysis.conclusion is Conclusion.INVALID) is (verdict is Verdict.FAIL)


def test_a_few_units_that_crossed_are_no_finding() -> None:
    analysis, _ = analysed(seen(control=arm(40, 20), treatment=arm(40, 20, crossed=5)))

    assert check(analysis, Check.CROSSED_UNITS).verdict is Verdict.PASS


def test_where_each_request_is_drawn_for_itself_requests_are_counted() -> None:
    """Ten users with 400 requests each meet both variants, as planned."""
    spread = counted(3_600, 0)
    ten = UnitTotals(units=10, n=3_600, n2=1_296_000, x=0, x2=0, xn=0)
    treatment = replace(arm(400, 360, crossed=400), metrics={"error_rate": counted(400, 0)})
    control = replace(arm(3_600), metrics={"error_rate": ten, "accuracy": spread})
    asked = plan(treatments=(Treatment(version=TREATMENT, weight=1_000),), strategy=Spread.RANDOM)
    analysis, _ = analysed(seen(control=control, treatment=treatment), of=asked)

    assert analysis.sample_ratio.observed == {"1.0.0": 3_600, "2.0.0": 400}
    assert check(analysis, Check.CROSSED_UNITS).verdict is Verdict.PASS
    assert "requests fall" in check(analysis, Check.SAMPLE_RATIO).reason


def test_no_data_is_no_answer_and_at_the_end_makes_the_experiment_worthless() -> None:
    silent = seen(control=arm(20, 18))
    early, _ = analysed(silent, now=NOON + timedelta(minutes=5))
    late, _ = analysed(silent, now=END)

    assert check(early, Check.DATA).reason == "no prediction of 2.0.0 so far"
    assert early.conclusion is Conclusion.KEEP_RUNNING
    assert late.conclusion is Conclusion.INVALID


@pytest.mark.parametrize(
    ("last_at", "now", "verdict"),
    [
        pytest.param(DAY_2, DAY_2 + timedelta(hours=3), Verdict.PASS, id="a quiet hour"),
        pytest.param(DAY_2, DAY_2 + timedelta(hours=4), Verdict.NO_DATA, id="traffic stopped"),
    ],
)
def test_data_that_have_become_old_are_named(
    last_at: datetime, now: datetime, verdict: Verdict
) -> None:
    evidence = seen(
        control=arm(2_000, 1_800, last_at=now), treatment=arm(2_000, 1_800, last_at=last_at)
    )
    analysis, _ = analysed(evidence, now=now)

    found = check(analysis, Check.FRESHNESS)
    assert found.verdict is verdict
    assert (TREATMENT in found.reason) is (verdict is Verdict.NO_DATA)
    assert analysis.conclusion is Conclusion.KEEP_RUNNING


def test_a_pause_makes_nothing_stale() -> None:
    paused = running().stopped(Status.PAUSED, DAY_2)
    resumed = paused.continued(END)
    while_paused, _ = analysed(EVEN, progress=paused, now=END)
    just_resumed, _ = analysed(EVEN, progress=resumed, now=END + timedelta(minutes=1))

    assert check(while_paused, Check.FRESHNESS).verdict is Verdict.PASS
    assert check(just_resumed, Check.FRESHNESS).verdict is Verdict.PASS


def test_figures_that_contradict_each_other_are_no_evidence() -> None:
    """More units that converted than units that were exposed."""
    analysis, _ = analysed(conversions(600, of=500), of=plan(goal=CONVERSION))

    assert analysis.conclusion is Conclusion.INVALID
    assert check(analysis, Check.FIGURES).reason == (
        "conversion of 2.0.0: outcome is of 600 units, 500 were exposed"
    )
    assert analysis.effect is None


def test_more_right_than_labelled_is_not_to_be_believed() -> None:
    over = UnitTotals(units=100, n=100, n2=100, x=101, x2=103, xn=101)
    evidence = seen(control=arm(100, 90), treatment=arm(100, outcomes={"accuracy": over}))
    analysis, _ = analysed(evidence)

    assert check(analysis, Check.FIGURES).reason == ("accuracy of 2.0.0 counts 101 of 100 events")


def test_what_is_worthless_may_still_do_harm() -> None:
    """Then both are said, and the treatments go off the road."""
    asked = plan(guardrails=(Guardrail(metric="error_rate", max=0.1),))
    evidence = seen(control=arm(2_500, 2_250), treatment=arm(2_100, 1_890, errors=900))
    analysis, _ = analysed(evidence, of=asked, sequences=Sequences())

    assert analysis.conclusion is Conclusion.INVALID
    assert analysis.harm
    assert "besides, 2.0.0 fails error_rate at most 0.1" in analysis.reason
