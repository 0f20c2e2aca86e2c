"""Several treatments against one control: they share the error rate, and one is the best."""

from dataclasses import replace

import pytest

from tests.experiments.trials import (
    ANOTHER,
    CONTROL,
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
from tests.factories import counted
from turnout.experiments.domain import machine
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.machine import ConcludeOrder
from turnout.experiments.domain.state import Conclusion
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.stats.goal import GoalStatus
from turnout.stats.totals import UnitTotals


def test_the_best_is_shipped() -> None:
    analysis, _ = analysed(three(4_000, 4_600, 4_250, of=5_000), of=TWO)

    assert statuses(analysis) == [GoalStatus.WIN, GoalStatus.WIN]
    assert (analysis.winner, analysis.tie) == (TREATMENT, False)


def test_equals_are_a_tie() -> None:
    analysis, _ = analysed(three(4_500, 4_740, 4_750, of=5_000), of=TWO)

    assert (analysis.winner, analysis.tie) == (ANOTHER, True)


def test_a_tie_goes_to_the_better_worst_case() -> None:
    """3.0.0 has the greater effect, on so few units that little of it is sure."""
    asked = plan(TREATMENT, ANOTHER, goal=Goal(metric="revenue", direction="increase"))
    few = UnitTotals(units=2_500, n=2_500, n2=2_500, x=2_750, x2=20_000, xn=2_750)
    many = UnitTotals(units=2_500, n=2_500, n2=2_500, x=2_740, x2=4_000, xn=2_740)
    control = UnitTotals(units=2_500, n=2_500, n2=2_500, x=2_400, x2=3_000, xn=2_400)
    evidence = seen(
        control=arm(2_500, outcomes={"revenue": control}),
        treatment=arm(2_500, outcomes={"revenue": many}),
        another=arm(2_500, outcomes={"revenue": few}),
    )
    analysis, _ = analysed(evidence, of=asked)

    assert analysis.tie
    assert analysis.winner == TREATMENT


def test_a_winner_waits_for_those_that_may_be_better() -> None:
    analysis, _ = analysed(three(2_250, 2_345, 2_300), of=TWO)

    assert statuses(analysis) == [GoalStatus.WIN, GoalStatus.CONTINUE]
    assert analysis.conclusion is Conclusion.KEEP_RUNNING
    assert analysis.reason.startswith("2.0.0 has won, 3.0.0 is not decided yet")
    assert "Concluded now, 2.0.0 would be the winner." in analysis.recommendation


def test_a_person_who_does_not_wait_has_the_winner_so_far() -> None:
    analysis, _ = analysed(three(2_250, 2_345, 2_300), of=TWO)
    wish = ConcludeOrder(promote_winner=True)
    concluded = machine.conclude(TWO, running(), analysis, wish, now=DAY_2)

    assert analysis.winner is None
    assert (concluded.conclusion, concluded.winner) == (Conclusion.SHIP, TREATMENT)
    assert concluded.serves == TREATMENT


def test_a_winner_whose_guardrail_does_not_pass_is_not_concluded_with() -> None:
    proof = Guardrail(metric="error_rate", max_increase=0.0001, proof="not_worse")
    asked = plan(TREATMENT, ANOTHER, guardrails=(proof,))
    analysis, _ = analysed(three(2_250, 2_420, 2_250), of=asked)
    concluded = machine.conclude(asked, running(), analysis, ConcludeOrder(), now=DAY_2)

    assert statuses(analysis)[0] is GoalStatus.WIN
    assert (analysis.conclusion, analysis.winner_so_far) == (Conclusion.KEEP_RUNNING, None)
    assert (concluded.conclusion, concluded.serves) == (Conclusion.KEEP_CONTROL, CONTROL)


def test_a_winner_does_not_wait_for_those_it_beats() -> None:
    analysis, _ = analysed(three(2_000, 2_400, 2_060), of=TWO)

    assert statuses(analysis) == [GoalStatus.WIN, GoalStatus.CONTINUE]
    assert (analysis.winner, analysis.tie) == (TREATMENT, False)


def test_the_share_of_a_winner_goes_to_the_others() -> None:
    """What is not enough beside one that is undecided is enough beside a winner."""
    beside_one = analysed(three(2_250, 2_260, 2_305), of=TWO)[0]
    beside_a_winner = analysed(three(2_250, 2_420, 2_305), of=TWO)[0]

    assert statuses(beside_one)[1] is GoalStatus.CONTINUE
    assert statuses(beside_a_winner)[1] is GoalStatus.WIN


def test_one_that_is_worse_does_not_stop_the_others() -> None:
    analysis, _ = analysed(three(2_250, 2_100, 2_280), of=TWO)

    assert statuses(analysis) == [GoalStatus.HARM, GoalStatus.CONTINUE]
    assert (analysis.conclusion, analysis.leader) == (Conclusion.KEEP_RUNNING, ANOTHER)


def test_p_values_are_adjusted_for_their_number() -> None:
    analysis, _ = analysed(three(2_250, 2_280, 2_330), of=TWO)
    raw = {found.version: found.finding.p_value for found in analysis.comparisons}

    least = min(p_value for p_value in raw.values() if p_value is not None)
    assert analysis.p_value == pytest.approx(2 * least)


def test_a_winner_whose_guardrail_is_open_gives_way_at_the_end() -> None:
    asked = replace(TWO, guardrails=(Guardrail(metric="cost", max=10, proof="not_worse"),))
    cheap = counted(5_000, 2_500)
    evidence = ExperimentEvidence(
        arms={
            CONTROL: arm(5_000, 4_000, last_at=END),
            TREATMENT: arm(5_000, 4_600, last_at=END),
            ANOTHER: arm(5_000, 4_300, last_at=END, outcomes={"cost": cheap}),
        }
    )
    before, memory = analysed(evidence, of=asked)
    at_the_end, _ = analysed(evidence, of=asked, sequences=memory, now=END)

    assert before.conclusion is Conclusion.KEEP_RUNNING
    assert at_the_end.winner == ANOTHER
