"""What holds for every look at a goal, whatever the arms."""

import math
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.stats.arms import counts
from tests.stats.goals import DESIGN
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalFinding, GoalState, GoalStatus, look
from turnout.stats.totals import UnitTotals

#: A treatment's standing, worst first; the middle three do not say which way it goes.
STANDING = {
    GoalStatus.HARM: -1,
    GoalStatus.FUTILE: 0,
    GoalStatus.CONTINUE: 1,
    GoalStatus.NOT_SHOWN: 1,
    GoalStatus.WIN: 2,
}


@st.composite
def histories(draw: st.DrawFn, *, most: int = 4) -> list[list[Stratum]]:
    """What was seen at each look: arms that only grow, over one split or two."""
    looks, stage = draw(st.integers(1, most)), draw(st.integers(0, most))
    rate = draw(st.sampled_from([0.02, 0.1, 0.5, 0.9]))
    strata: list[Stratum] = []
    seen = []
    for number in range(looks):
        n = draw(st.integers(200, 5_000))
        m = n if number < stage else draw(st.integers(200, 5_000))
        arms = [
            counts(round(size * min(1.0, max(0.0, rate + draw(st.floats(-0.03, 0.05))))), of=size)
            for size in (n, m)
        ]
        if number in {0, stage}:
            strata = [*strata, Stratum(control=arms[0], treatment=arms[1])]
        else:
            last = strata[-1]
            grown = Stratum(control=last.control + arms[0], treatment=last.treatment + arms[1])
            strata = [*strata[:-1], grown]
        seen.append(strata)
    return seen


def run(
    history: list[list[Stratum]], design: GoalDesign = DESIGN, *, proportion: bool = True
) -> tuple[GoalState, list[GoalFinding]]:
    state, findings = GoalState(), []
    for number, strata in enumerate(history, start=1):
        final = number == len(history)
        state, finding = look(design, state, strata, proportion=proportion, final=final)
        findings.append(finding)
    return state, findings


def excludes_zero(finding: GoalFinding) -> bool:
    low, high = finding.interval
    return (low is not None and low > 0) or (high is not None and high < 0)


def near(finding: GoalFinding) -> bool:
    """On a bound, where rounding decides."""
    return any(
        bound is not None
        and finding.z is not None
        and math.isclose(abs(finding.z), abs(bound), rel_tol=1e-6, abs_tol=1e-6)
        for bound in (finding.bound, finding.futility_bound)
    )


@given(histories())
@settings(max_examples=30)
def test_the_status_follows_from_the_interval(history: list[list[Stratum]]) -> None:
    for finding in run(history)[1]:
        if finding.counted and not near(finding):
            decided = finding.status in {GoalStatus.WIN, GoalStatus.HARM}
            assert decided == excludes_zero(finding)


@given(histories())
@settings(max_examples=30)
def test_estimates_lie_within_their_intervals(history: list[list[Stratum]]) -> None:
    for finding in run(history)[1]:
        for value, (low, high) in (
            (finding.effect, finding.interval),
            (finding.relative_effect, finding.relative_interval),
            (finding.estimate, finding.estimate_interval),
        ):
            if value is not None:
                assert low is None or low <= value + 1e-9
                assert high is None or value - 1e-9 <= high


@given(histories())
@settings(max_examples=30)
def test_swapping_the_arms_turns_a_win_into_harm(history: list[list[Stratum]]) -> None:
    plain = replace(DESIGN, futility=None)
    swapped = [
        [Stratum(control=s.treatment, treatment=s.control) for s in strata] for strata in history
    ]
    other = {GoalStatus.WIN: GoalStatus.HARM, GoalStatus.HARM: GoalStatus.WIN}
    for one, two in zip(run(history, plain)[1], run(swapped, plain)[1], strict=True):
        assume(not near(one))
        assert two.status is other.get(one.status, one.status)
        if one.p_value is None or two.p_value is None:
            assert one.p_value is two.p_value
        else:
            assert math.isclose(one.p_value, two.p_value, rel_tol=1e-6)


@given(histories())
@settings(max_examples=30)
def test_to_want_more_failures_is_to_want_fewer_successes(
    history: list[list[Stratum]],
) -> None:
    failures = [
        [
            Stratum(control=s.control.complement(), treatment=s.treatment.complement())
            for s in strata
        ]
        for strata in history
    ]
    down = replace(DESIGN, good="down")
    for one, two in zip(run(history)[1], run(failures, down)[1], strict=True):
        assume(not near(one))
        assert two.status is one.status


@given(histories(), st.sampled_from([1e-6, 1e-3, 1e3, 1e6]))
@settings(max_examples=30)
def test_the_unit_of_measurement_does_not_matter(
    history: list[list[Stratum]], factor: float
) -> None:
    def scaled(arm: UnitTotals) -> UnitTotals:
        return replace(arm, x=arm.x * factor, x2=arm.x2 * factor**2, xn=arm.xn * factor)

    rescaled = [
        [Stratum(control=scaled(s.control), treatment=scaled(s.treatment)) for s in strata]
        for strata in history
    ]
    other = replace(DESIGN, minimum_effect=DESIGN.minimum_effect * factor)
    for one, two in zip(
        run(history, proportion=False)[1], run(rescaled, other, proportion=False)[1], strict=True
    ):
        assume(not near(one))
        assert two.status is one.status
        if one.estimate is not None and two.estimate is not None:
            assert math.isclose(two.estimate / factor, one.estimate, rel_tol=1e-5, abs_tol=1e-9)


def before_the_end(history: list[list[Stratum]]) -> tuple[GoalState, list[Stratum]]:
    """The look at which a history ends, by its findings or its data; and what was known before."""
    state = GoalState()
    for strata in history[:-1]:
        after, _ = look(DESIGN, state, strata, proportion=True, final=False)
        if after.ended:
            return state, strata
        state = after
    return state, history[-1]


@given(histories(), st.data())
@settings(max_examples=30)
def test_more_successes_never_lower_a_treatments_standing(
    history: list[list[Stratum]], data: st.DataObject
) -> None:
    """At the last of the looks, whatever was seen before."""
    state, last = before_the_end(history)
    arm = last[-1].treatment
    more = data.draw(st.integers(0, round(arm.n - arm.x)))
    better = Stratum(control=last[-1].control, treatment=counts(round(arm.x) + more, of=arm.units))
    one, two = (
        look(DESIGN, state, strata, proportion=True, final=False)[1]
        for strata in (last, [*last[:-1], better])
    )
    assume(one.counted and two.counted)

    assert STANDING[one.status] <= STANDING[two.status]


@given(histories(), st.randoms())
@settings(max_examples=30)
def test_the_order_of_strata_does_not_matter(history: list[list[Stratum]], random) -> None:
    shuffled = [random.sample(strata, len(strata)) for strata in history]
    for one, two in zip(run(history)[1], run(shuffled)[1], strict=True):
        assume(not near(one))
        assert two.status is one.status


@given(histories())
@settings(max_examples=30)
def test_looks_of_a_state_say_what_their_findings_said(history: list[list[Stratum]]) -> None:
    state, findings = run(history)
    statuses = [look.status for look in state.looks]

    assert statuses[-1:] == [finding.status for finding in findings if finding.counted][-1:]
    assert [look.fraction for look in state.looks] == sorted(look.fraction for look in state.looks)
    assert [look.spent for look in state.looks] == sorted(look.spent for look in state.looks)
