"""The planner, on figures."""

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import counted
from turnout.experiments.domain.aim import Aim, Past
from turnout.experiments.domain.forecast import Forecast
from turnout.experiments.domain.plan import Plan, Treatment
from turnout.experiments.domain.planner import forecast, settle
from turnout.experiments.domain.prognosis import EffectTooSmall, units
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.quantities import BASIS_POINTS
from turnout.stats.baseline import Baseline
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalState, GoalStatus, look
from turnout.stats.power import sample_size_proportions

DAY = timedelta(days=1)
TENTH = Baseline(value=0.1, variance=0.09, proportion=True)
AIM = Aim(
    effect=0.02,
    good="up",
    weights=(5_000, 5_000),
    confidence_level=0.95,
    power=0.8,
    proofs=0,
    early_stopping=True,
    futility_threshold=0.01,
    min_sample_size=1,
    max_duration=7 * DAY,
)
ONE_LOOK = replace(AIM, early_stopping=False)
PLAN = Plan(
    key="checkout",
    control="1.0.0",
    treatments=(Treatment(version="2.0.0"),),
    goal=Goal(metric="accuracy", minimum_detectable_effect=0.02),
    max_duration=14 * DAY,
)


def share(value: float) -> Baseline:
    return Baseline(value=value, variance=value * (1 - value), proportion=True)


def planned(aim: Aim = AIM, past: Past | None = None, baseline: Baseline = TENTH) -> Forecast:
    return forecast(
        aim, past or Past(), baseline, baseline_is="given", pace_is="given" if past else None
    )


def at(units_per_day: float) -> Past:
    return Past(units_per_day=units_per_day)


@pytest.mark.parametrize(
    ("aim", "baseline", "per_arm"),
    [
        # R 4: power.prop.test(p1 = 0.1, p2 = 0.12, power = 0.8) has n = 3840.847
        pytest.param(ONE_LOOK, share(0.1), 3841, id="R, shares of 10 and 12 %"),
        # R 4: power.prop.test(p1 = 0.2, p2 = 0.25, power = 0.8) has n = 1093.739
        pytest.param(replace(ONE_LOOK, effect=0.05), share(0.2), 1094, id="R, 20 and 25 %"),
        # R 4, in its documentation: power.prop.test(p1 = .50, p2 = .75, power = .90), n = 76.7
        pytest.param(
            replace(ONE_LOOK, effect=0.25, power=0.9), share(0.5), 77, id="R, 50 and 75 %"
        ),
        # Cohen 1992, table 2: a difference of half a standard deviation takes 64 a group
        pytest.param(
            replace(ONE_LOOK, effect=0.5),
            Baseline(value=0, variance=1, proportion=False),
            64,
            id="Cohen, d = 0.5",
        ),
        # Donner & Klar 2000, section 5.2: clusters of m, correlated by ρ, need 1 + (m - 1)ρ times
        # as many events; here 3840.847 × 2.8 events of 10 a unit
        pytest.param(
            ONE_LOOK,
            replace(share(0.1), variance=0.09 * 2.8 / 10),
            math.ceil(3840.847 * 2.8 / 10),
            id="Donner & Klar, clusters of 10",
        ),
    ],
)
def test_published_sizes(aim: Aim, baseline: Baseline, per_arm: int):
    size = planned(aim, baseline=baseline).sample_size

    assert (size.control, size.treatments) == (per_arm, (per_arm,))


def test_looking_often_costs_what_it_is_known_to_cost():
    """HSD -3 with futility HSD -8 at 100 looks: 1.081 times the fixed size at most, 0.683 of it
    on average where there is no effect and 0.730 where there is (by exact integration)."""
    found = planned(replace(AIM, futility_threshold=1e-9))

    most, none, effect, twice = (
        n / found.single_look
        for n in (found.sample_size.total, *(each.units for each in found.expected))
    )

    assert most == pytest.approx(1.081, abs=0.002)
    assert none == pytest.approx(0.683, abs=0.003)
    assert effect == pytest.approx(0.730, abs=0.003)
    assert twice < 0.35


@pytest.mark.parametrize(
    ("more", "aim"),
    [
        ("power", replace(AIM, power=0.9)),
        ("confidence", replace(AIM, confidence_level=0.99)),
        ("treatments", replace(AIM, weights=(3_334, 3_333, 3_333))),
        ("unequal shares", replace(AIM, weights=(9_000, 1_000))),
        ("proofs", replace(AIM, proofs=2)),
        ("a smaller effect", replace(AIM, effect=0.01)),
    ],
)
def test_what_asks_for_more_needs_more(more: str, aim: Aim):
    assert units(aim, TENTH) > units(AIM, TENTH)


def test_error_rates_are_shared():
    aim = replace(ONE_LOOK, weights=(4_000, 3_000, 3_000), proofs=3)

    expected = sample_size_proportions(
        0.1, 0.02, confidence=1 - 0.05 / 2 / 2, power=1 - 0.2 / 4, ratio=0.75, alternative="greater"
    )

    assert units(aim, TENTH) == pytest.approx(expected / 0.4)


aims = st.builds(
    replace,
    st.sampled_from([AIM, ONE_LOOK]),
    effect=st.floats(0.005, 0.05),
    good=st.sampled_from(["up", "down"]),
    weights=st.sampled_from([(5_000, 5_000), (9_000, 1_000), (5_000, 3_000, 2_000)]),
    power=st.sampled_from([0.8, 0.9]),
)


@settings(max_examples=15)
@given(aims, st.floats(0.06, 0.9), st.floats(1, 8))
def test_sizes_are_what_they_are_said_to_be(aim: Aim, value: float, clustering: float):
    baseline = replace(share(value), variance=value * (1 - value) * clustering)

    found = planned(aim, at(1e9), baseline)

    assert found.can_conclude is True
    arms = (found.sample_size.control, *found.sample_size.treatments)
    assert found.sample_size.total == sum(arms)
    for arm, weight in zip(arms, aim.weights, strict=True):
        assert arm / found.sample_size.total == pytest.approx(weight / BASIS_POINTS, abs=0.01)
    assert found.power == pytest.approx(1 - aim.beta, abs=0.001)
    curve = found.power_curve
    assert curve[0].power == pytest.approx(aim.alpha, abs=0.001)
    assert all(a.power <= b.power and a.effect < b.effect for a, b in pairwise(curve))
    least = aim.min_sample_size * BASIS_POINTS / min(aim.weights)
    for each in found.expected:
        assert math.floor(least) <= each.units <= found.sample_size.total


@settings(max_examples=8)
@given(aims, st.floats(100, 20_000))
def test_what_is_detectable_takes_the_time_there_is(aim: Aim, pace: float):
    effect = planned(aim, at(pace), share(0.3)).detectable_effect

    assert effect is not None
    again = planned(replace(aim, effect=effect), at(pace), share(0.3))
    assert again.duration is not None
    assert again.duration / aim.max_duration == pytest.approx(1, rel=1e-3)


def test_a_plan_that_can_conclude_says_when():
    found = planned(AIM, Past(units_per_day=2_000, measured_share=0.8, label_delay=DAY))

    assert found.can_conclude is True
    assert found.ways is None
    assert found.duration is not None
    assert found.duration / DAY == pytest.approx(found.sample_size.total / 1_600 + 1, rel=1e-3)
    assert "come within 6.21 days" in found.reason
    assert found.expected[0].duration is not None
    assert found.expected[0].duration < found.duration


def test_a_plan_that_cannot_conclude_says_what_would_help():
    found = planned(replace(AIM, weights=(8_000, 2_000)), at(1_400))

    assert found.can_conclude is False
    assert found.reason.startswith("at most 12,")
    assert found.reason.endswith("and within 7 days only 9,800 come")
    assert 0.4 < found.power < 0.8
    assert found.ways is not None
    assert found.ways.max_duration is not None
    assert planned(
        replace(AIM, weights=(8_000, 2_000), max_duration=found.ways.max_duration), at(1_400)
    ).can_conclude
    assert found.ways.minimum_detectable_effect is not None
    larger = replace(
        AIM, weights=(8_000, 2_000), effect=1.001 * found.ways.minimum_detectable_effect
    )
    assert planned(larger, at(1_400)).can_conclude
    assert found.ways.weights == (5_000, 5_000)
    assert planned(AIM, at(1_400)).can_conclude


@pytest.mark.parametrize(
    ("aim", "past", "can", "reason"),
    [
        pytest.param(AIM, Past(), None, "at which pace they come is not known", id="no pace"),
        pytest.param(
            replace(AIM, good="down", effect=0.2),
            at(1e6),
            False,
            "a share cannot fall by 0.2 from there",
            id="no share goes below 0",
        ),
        pytest.param(
            AIM,
            Past(units_per_day=1e6, label_delay=8 * DAY),
            False,
            "within 7 days only 0 come",
            id="labels come too late",
        ),
        pytest.param(
            replace(AIM, min_sample_size=50_000),
            at(10_000),
            False,
            "at most 100,000 units in all are needed",
            id="the least that is asked for does not come",
        ),
        pytest.param(AIM, at(1e-3), False, "only 0 come", id="hardly any traffic"),
        pytest.param(AIM, at(1e12), True, "they come within", id="all the traffic there is"),
    ],
)
def test_why_it_cannot_be_said_or_done(aim: Aim, past: Past, can: bool | None, reason: str):
    found = planned(aim, past)

    assert found.can_conclude is can
    assert reason in found.reason


def test_a_start_settles_the_size_by_the_past():
    past = Past(baseline=Baseline.of(counted(10_000, 9_000), proportion=True), units_per_day=10)

    found = settle(PLAN, past)

    assert (
        found.target_sample_size
        == planned(Aim.of(PLAN), past, past.baseline or TENTH).sample_size.control
    )
    assert found.reason == (
        f"accuracy has been 0.9: {found.target_sample_size:,} units in the smallest variant find an"
        f" effect of 0.02 with a chance of 80%"
    )


@pytest.mark.parametrize(
    ("plan", "target", "reason"),
    [
        pytest.param(
            replace(PLAN, target_sample_size=5_000), 5_000, "as planned", id="it is stated"
        ),
        pytest.param(
            replace(PLAN, min_sample_size=90_000), 90_000, "is not known", id="no less than asked"
        ),
        pytest.param(
            replace(PLAN, goal=Goal(metric="revenue", direction="increase")),
            10**12,
            "max_duration ends the search",
            id="nothing is known that could vary how much",
        ),
    ],
)
def test_a_start_settles_the_size_without_a_past(plan: Plan, target: int, reason: str):
    found = settle(plan, Past())

    assert found.target_sample_size == target
    assert reason in found.reason


def test_an_effect_that_no_number_of_units_finds_is_refused():
    goal = Goal(metric="accuracy", minimum_detectable_effect=1e-9)

    with pytest.raises(EffectTooSmall, match="plan for a larger one"):
        settle(replace(PLAN, goal=goal), Past())
    with pytest.raises(EffectTooSmall):
        planned(replace(AIM, effect=1e-9))


def test_a_share_of_which_nothing_is_known_varies_the_most():
    known = Past(baseline=share(0.5))

    assert settle(PLAN, Past()).target_sample_size == settle(PLAN, known).target_sample_size


def test_only_guardrails_that_must_be_proved_take_from_the_power():
    limit = Guardrail(metric="error_rate", max_increase=0.01)
    proof = replace(limit, proof="not_worse")

    aim = Aim.of(replace(PLAN, guardrails=(limit, proof, replace(proof, dry_run=True))))

    assert aim.proofs == 1


def concluded(
    design: GoalDesign, source: np.random.Generator, *, control: float, treatment: float
) -> GoalStatus:
    """How a test of units with these rates ends that is looked at five times."""
    looks = np.linspace(0, design.units, 6).round().astype(int)
    seen = [source.binomial(np.diff(looks), rate).cumsum() for rate in (control, treatment)]
    state, status = GoalState(), GoalStatus.CONTINUE
    for n, *counts in zip(looks[1:], *seen, strict=True):
        one, other = (counted(int(n), float(count)) for count in counts)
        stratum = Stratum(control=one, treatment=other)
        final = bool(n == design.units)
        state, found = look(design, state, [stratum], proportion=True, final=final)
        status = found.status
        if status is not GoalStatus.CONTINUE:
            break
    return status


def test_the_test_keeps_what_the_plan_promised():
    """The goal test itself, on simulated units: 300 times, so three standard errors are 0.07."""
    plan = replace(PLAN, goal=Goal(metric="accuracy", minimum_detectable_effect=0.03))
    target = settle(plan, Past(baseline=TENTH)).target_sample_size
    design = plan.design("2.0.0", target=target, against=1)
    source = np.random.default_rng(20_260_302)

    wins = sum(
        concluded(design, source, control=0.1, treatment=0.13) is GoalStatus.WIN for _ in range(300)
    )

    assert 0.73 < wins / 300 < 0.9
