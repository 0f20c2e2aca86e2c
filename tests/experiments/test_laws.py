"""What holds of every analysis, whatever the figures."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.experiments.trials import (
    CONTROL,
    DAY_2,
    END,
    TREATMENT,
    analysed,
    arm,
    plan,
    running,
    seen,
)
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Treatment
from turnout.experiments.domain.state import Conclusion, Sequences, Status
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Metric
from turnout.stats.goal import GoalStatus

analyses: TypeAdapter[Analysis] = TypeAdapter(Analysis)
memories: TypeAdapter[Sequences] = TypeAdapter(Sequences)

UNITS = 2_000
successes = st.integers(0, UNITS)
looks = st.lists(st.integers(60, 2_500), min_size=1, max_size=4).map(sorted)

WATCHED = plan(
    futility_threshold=None,
    guardrails=(Guardrail(metric="error_rate", max_increase=0.02),),
    secondary=(Metric(metric="latency_mean"),),
)
WITHOUT_FUTILITY = plan(futility_threshold=None)

BETTER_AND_BETTER = [GoalStatus.HARM, GoalStatus.FUTILE, GoalStatus.CONTINUE, GoalStatus.WIN]


def counted(control: int, treatment: int, *, of: int = UNITS) -> ExperimentEvidence:
    return seen(control=arm(of, control), treatment=arm(of, treatment))


def status(analysis: Analysis) -> GoalStatus:
    return analysis.comparisons[0].finding.status


@given(successes, successes)
def test_swapping_the_arms_turns_win_into_harm(control: int, treatment: int) -> None:
    mirror = {GoalStatus.WIN: GoalStatus.HARM, GoalStatus.HARM: GoalStatus.WIN}
    there, _ = analysed(counted(control, treatment), of=WITHOUT_FUTILITY)
    back, _ = analysed(
        ExperimentEvidence(arms={TREATMENT: arm(UNITS, treatment), CONTROL: arm(UNITS, control)}),
        of=replace(WITHOUT_FUTILITY, control=TREATMENT, treatments=(Treatment(version=CONTROL),)),
    )

    assert status(back) == mirror.get(status(there), status(there))
    assert (back.effect is None) == (there.effect is None)
    if there.effect is not None and back.effect is not None:
        assert back.effect == -there.effect
        assert back.p_value == there.p_value


@given(st.integers(1, UNITS - 1), successes, successes)
def test_more_successes_never_lower_a_treatment(control: int, one: int, other: int) -> None:
    fewer, more = (
        BETTER_AND_BETTER.index(status(analysed(counted(control, found), of=WITHOUT_FUTILITY)[0]))
        for found in sorted((one, other))
    )

    assert fewer <= more


@settings(max_examples=15)
@given(st.integers(1_600, 1_900), st.integers(-60, 60), st.integers(0, 60))
def test_nor_do_they_where_the_search_may_be_futile(control: int, gain: int, more: int) -> None:
    worse, better = (
        BETTER_AND_BETTER.index(status(analysed(counted(control, control + found))[0]))
        for found in (gain, gain + more)
    )

    assert worse <= better


@given(looks, st.data())
def test_the_same_looks_lead_to_the_same_analyses_through_storage(
    sizes: list[int], data: st.DataObject
) -> None:
    memory = stored = Sequences()
    for size in sizes:
        evidence = seen(
            control=arm(size, data.draw(st.integers(0, size))),
            treatment=arm(
                size,
                data.draw(st.integers(0, size)),
                errors=data.draw(st.integers(0, size // 20)),
            ),
        )
        look = data.draw(st.booleans())
        analysis, memory = analysed(evidence, of=WATCHED, sequences=memory, look=look)
        again, stored = analysed(evidence, of=WATCHED, sequences=stored, look=look)
        stored = memories.validate_json(memories.dump_json(stored))
        assert again == analysis
        assert stored == memory
        assert analyses.validate_json(analyses.dump_json(analysis)) == analysis


@given(successes, successes, st.integers(0, 400))
def test_only_a_winner_without_harm_is_ever_shipped(
    control: int, treatment: int, errors: int
) -> None:
    evidence = seen(control=arm(UNITS, control), treatment=arm(UNITS, treatment, errors=errors))
    analysis, _ = analysed(evidence, of=WATCHED)

    shipped = analysis.conclusion is Conclusion.SHIP
    assert shipped == (analysis.winner == TREATMENT)
    if shipped:
        assert status(analysis) is GoalStatus.WIN
        assert treatment > control
        assert all(found.finding.verdict == "pass" for found in analysis.guardrails)


@given(successes, successes)
def test_significance_is_what_the_interval_says(control: int, treatment: int) -> None:
    analysis, _ = analysed(counted(control, treatment), of=WATCHED)
    low, high = analysis.interval

    if low is None or high is None or analysis.effect is None:
        assert not analysis.statistical_significance
    else:
        assert low <= analysis.effect <= high
        assert analysis.statistical_significance == (low > 0 or high < 0)


@given(successes, successes)
def test_a_pause_changes_nothing_that_was_found(control: int, treatment: int) -> None:
    evidence = counted(control, treatment)
    through, _ = analysed(evidence, of=WATCHED)
    paused = running().stopped(Status.PAUSED, DAY_2)
    later, _ = analysed(evidence, of=WATCHED, progress=paused, now=END)

    assert later.conclusion == through.conclusion
    assert (later.effect, later.interval) == (through.effect, through.interval)
    assert (later.elapsed, later.remaining) == (through.elapsed, through.remaining)


@settings(max_examples=30)
@given(st.integers(60, 2_500), st.data())
def test_what_is_said_has_no_broken_figures(size: int, data: st.DataObject) -> None:
    evidence = counted(data.draw(st.integers(0, size)), data.draw(st.integers(0, size)), of=size)
    analysis, _ = analysed(evidence, of=WATCHED, now=data.draw(st.sampled_from([DAY_2, END])))

    assert analysis.recommendation
    for broken in ("None", "nan", "inf ", "  "):
        assert broken not in analysis.recommendation
