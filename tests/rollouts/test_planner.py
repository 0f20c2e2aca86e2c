"""The planner of rollouts, on figures."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.factories import counted
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.goal_outlook import GoalPast
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.outlook import History, Known, LimitForecast, outlook
from turnout.rollouts.domain.plan import Launch, Stage, Strategy
from turnout.rollouts.domain.planner import RolloutForecast, forecast
from turnout.stats.baseline import Baseline
from turnout.stats.guardrail import judge_difference
from turnout.stats.harm import detectable_drift, detectable_share
from turnout.stats.spent_guardrail import Spending
from turnout.stats.verdict import Verdict
from turnout.stats.waves import Waves

HOUR = timedelta(hours=1)
ERRORS = Known(per_prediction=1, baseline=Baseline(value=0.02, variance=0.0196, proportion=True))
LABELS = Known(
    per_prediction=0.5,
    baseline=Baseline(value=0.9, variance=0.09, proportion=True),
    delay=timedelta(hours=2),
)
PAST = History(
    predictions_per_day=240_000,
    metrics={
        "error_rate": ERRORS,
        "accuracy": LABELS,
        "latency_p99": Known(per_prediction=1),
        "latency_mean": Known(
            per_prediction=1, baseline=Baseline(value=50, variance=400, proportion=False)
        ),
    },
)
TENTH = Stage(weight=1_000, bake=HOUR)
MORE_ERRORS = Guardrail(metric="error_rate", max_increase=0.005)
AB_PAST = GoalPast(
    units_per_day=4_800,
    baseline=Baseline(value=0.1, variance=0.09, proportion=True),
    delay=2 * HOUR,
)


def seen(limit: Guardrail, *, stage: Stage = TENTH, past: History = PAST) -> LimitForecast:
    return outlook(stage, limit, past, alpha=0.01)


def planned(launch: Launch, past: History = PAST) -> RolloutForecast:
    return forecast(launch.plan(), past, candidate="2.0.0", baseline="1.0.0", refusal=None)


@pytest.mark.parametrize(
    ("limit", "after", "in_time"),
    [
        pytest.param(MORE_ERRORS, timedelta(minutes=6), True, id="a hundredth of what comes"),
        pytest.param(
            replace(MORE_ERRORS, min_samples=3_000), 3 * HOUR, True, id="just before it is too late"
        ),
        pytest.param(
            replace(MORE_ERRORS, min_samples=3_001),
            timedelta(seconds=10_804),
            False,
            id="just too late",
        ),
        pytest.param(
            Guardrail(metric="accuracy", max_decrease=0.01, min_samples=500),
            3 * HOUR,
            True,
            id="half are labelled, two hours later",
        ),
        pytest.param(
            Guardrail(metric="accuracy", max_decrease=0.01, min_samples=501),
            timedelta(seconds=10_808),
            False,
            id="labels come too late",
        ),
    ],
)
def test_a_pass_takes_its_samples(limit: Guardrail, after: timedelta, in_time: bool):
    found = seen(limit)

    assert found.in_time is in_time
    assert found.decides_after is not None
    assert abs(found.decides_after - after) <= timedelta(seconds=2)
    assert ("come in time" in found.reason) is in_time


def test_the_smaller_arm_says_when():
    most = Stage(weight=9_000, bake=HOUR)

    found = seen(replace(MORE_ERRORS, min_samples=1_000), stage=most)
    absolute = seen(Guardrail(metric="error_rate", max=0.1, min_samples=1_000), stage=most)

    assert found.decides_after == HOUR
    assert absolute.decides_after == timedelta(seconds=400)


@pytest.mark.parametrize(
    ("limit", "shows", "shows_as"),
    [
        pytest.param(Guardrail(metric="error_rate", max=0.10), 0.135, "value", id="a rate"),
        pytest.param(MORE_ERRORS, 0.0253, "difference", id="a difference of rates"),
        pytest.param(
            Guardrail(metric="success_rate", min=0.95), None, "value", id="nothing is known"
        ),
        pytest.param(Guardrail(metric="latency_mean", max=60), 62.2, "value", id="a mean"),
        pytest.param(Guardrail(metric="latency_p99", max=200), 0.0279, "slow_requests", id="p99"),
        pytest.param(
            Guardrail(metric="latency_p99", max_increase=20), 0.0290, "slow_requests", id="p99 more"
        ),
        pytest.param(
            replace(MORE_ERRORS, min_samples=1_001), None, "difference", id="too few to say"
        ),
        pytest.param(
            Guardrail(metric="accuracy", min=0.8), None, "value", id="labels come after the bake"
        ),
    ],
)
def test_the_least_harm_that_is_shown(limit: Guardrail, shows: float | None, shows_as: str):
    found = seen(limit)

    assert found.shows_as == shows_as
    assert found.shows == (None if shows is None else pytest.approx(shows, rel=0.02))


def test_waves_hide_harm_that_is_no_greater_than_they_are():
    mean, slow = Guardrail(metric="latency_mean", max=60), Guardrail(metric="latency_p99", max=200)
    waves = {
        mean: Waves(variances=(4.0,) * 6),  # of a mean over half an hour: ±2 ms, over an hour ±1.4
        slow: Waves(variances=(2e-5,) * 6),
    }
    before, after = (
        [seen(limit, past=past) for limit in waves] for past in (PAST, replace(PAST, waves=waves))
    )

    drift = detectable_drift(0.01, 0.8)
    quiet, swaying = (found[0].shows for found in (before, after))
    assert quiet is not None
    assert swaying is not None
    assert (swaying - 60) ** 2 == pytest.approx((quiet - 60) ** 2 + drift**2 * 4 * 32 / 60)
    apart = 1_000 / (1 + 1_000 * 2e-5 * 32 / 60 / 0.0099)
    assert after[1].shows == detectable_share(int(apart), 0.01, alpha=0.01, power=0.8)


def test_longer_stages_show_smaller_harm():
    found = [seen(MORE_ERRORS, stage=replace(TENTH, bake=n * HOUR)).shows for n in (1, 2, 8, 24)]

    harms = [shows for shows in found if shows is not None]
    assert len(harms) == 4
    assert all(a > b > 0.005 for a, b in pairwise(harms))


def shown(harm: float, source: np.random.Generator) -> bool:
    """Whether a guardrail that is looked at 25 times finds a candidate with this harm."""
    events, alpha = 1_000, 0.01
    looks = np.linspace(0, events, 26).round().astype(int)
    candidate = source.binomial(np.diff(looks), 0.02 + harm).cumsum()
    baseline = source.binomial(9 * np.diff(looks), 0.02).cumsum()
    spending = Spending()
    for n, bad, usual in zip(looks[1:], candidate, baseline, strict=True):
        arms = [counted(int(n), float(bad)), counted(9 * int(n), float(usual))]
        spending, bound = spending.look(*arms, share=float(n / events), alpha=alpha)
        found = judge_difference(
            *arms,
            margin=MORE_ERRORS.limit,
            harm="above",
            proportion=True,
            alpha=alpha,
            min_samples=MORE_ERRORS.min_samples,
            tuned_at=MORE_ERRORS.min_samples,
            proof="no_harm",
            critical=bound,
        )
        if found.verdict is Verdict.FAIL:
            return True
    return False


def test_harm_that_is_named_is_shown_four_times_in_five():
    """The guardrail itself, on simulated errors: 400 times, so three standard errors are 0.06."""
    harm = seen(MORE_ERRORS).shows
    assert harm is not None
    source = np.random.default_rng(5)

    found = sum(shown(harm, source) for _ in range(400))

    assert 0.72 < found / 400 < 0.88


def test_a_proof_takes_more_than_samples():
    proof = replace(MORE_ERRORS, proof="not_worse")
    day = Stage(weight=5_000, bake=24 * HOUR)

    quick, proved = seen(MORE_ERRORS, stage=day), seen(proof, stage=day)
    never = seen(Guardrail(metric="error_rate", max=0.02, proof="not_worse"), stage=day)
    slow = seen(Guardrail(metric="latency_p99", max=200, proof="not_worse"), stage=day)

    assert quick.decides_after is not None
    assert proved.decides_after is not None
    assert slow.decides_after is not None
    assert quick.decides_after < slow.decides_after < proved.decides_after < 24 * HOUR
    assert never.in_time is False
    assert never.reason == "no number of events proves it, as the baseline is now"


@pytest.mark.parametrize(
    ("past", "reason"),
    [
        pytest.param(History(), "nothing is known of error_rate of late", id="nothing"),
        pytest.param(
            History(metrics=PAST.metrics), "the model has had no traffic of late", id="no pace"
        ),
    ],
)
def test_what_is_not_known_is_not_said(past: History, reason: str):
    found = seen(MORE_ERRORS, past=past)

    assert (found.in_time, found.decides_after, found.shows) == (None, None, None)
    assert found.reason == reason


def test_stages_follow_each_other():
    launch = Launch(
        candidate="2.0.0",
        guardrails=(MORE_ERRORS,),
        stages=(
            Stage(weight=500, bake=HOUR, warm_up=timedelta(minutes=10)),
            Stage(
                weight=5_000,
                bake=HOUR,
                guardrails=(replace(MORE_ERRORS, min_samples=6_000),),
                approval=True,
            ),
            Stage(weight=10_000, bake=2 * HOUR, guardrails=()),
        ),
    )

    found = planned(launch)

    assert found.can_conclude is True
    minutes = [stage.starts_after / timedelta(minutes=1) for stage in found.stages]
    assert minutes == [0, 70, 70 + 72]
    assert [stage.samples and stage.samples.candidate for stage in found.stages] == [
        500,
        5_000,
        20_000,
    ]
    assert [stage.samples and stage.samples.baseline for stage in found.stages] == [9_500, 5_000, 0]
    assert found.duration == timedelta(minutes=70 + 72 + 120)
    assert found.max_duration == timedelta(minutes=10 + 3 * 60 + 3 * 60 + 6 * 60)


def test_a_shadow_sees_all_traffic():
    launch = Launch(
        candidate="2.0.0",
        promote=False,
        stages=(Stage(weight=0, shadow=True, bake=HOUR),),
        guardrails=(Guardrail(metric="error_rate", max=0.1),),
    )

    [stage] = planned(launch).stages

    assert stage.samples is not None
    assert (stage.samples.candidate, stage.samples.baseline) == (10_000, 10_000)


def test_a_stage_that_cannot_conclude_says_which_guardrail_and_why():
    launch = Launch(
        candidate="2.0.0",
        stages=(Stage(weight=100, bake=timedelta(minutes=1), max_duration=timedelta(minutes=2)),),
        guardrails=(MORE_ERRORS, replace(MORE_ERRORS, min_samples=9_999, dry_run=True)),
    )

    found = planned(launch)

    assert found.can_conclude is False
    assert found.reason == (
        "stages[0], error_rate at most 0.005 above the baseline: a pass takes 100 events of an"
        " arm, and before the stage's time is up at most 3 come"
    )
    assert found.stages[0].can_conclude is False


@pytest.mark.parametrize(
    ("stated", "past", "size", "after", "in_time"),
    [
        pytest.param(
            {"minimum_detectable_effect": 0.02},
            AB_PAST,
            # R 4: power.prop.test(p1 = 0.1, p2 = 0.12, power = 0.8) has n = 3840.847; 9 % more
            4_187,
            timedelta(hours=2 + 41.87),
            True,
            id="ten in a hundred, two points more",
        ),
        pytest.param(
            {"target_sample_size": 20_000},
            AB_PAST,
            20_000,
            timedelta(hours=202),
            False,
            id="stated",
        ),
        pytest.param({}, replace(AB_PAST, units_per_day=None), 4_187, None, None, id="no traffic"),
        pytest.param({}, GoalPast(units_per_day=4_800), None, None, None, id="nothing known"),
    ],
)
def test_an_ab_stage_takes_the_units_of_its_goal(
    stated: dict[str, Any],
    past: GoalPast,
    size: int | None,
    after: timedelta | None,
    in_time: bool | None,
):
    goal = StageGoal(metric="revenue", direction="increase", **stated)
    launch = Launch(candidate="2.0.0", strategy=Strategy.AB_TEST, goal=goal, guardrails=())

    found = planned(launch, replace(PAST, goals={goal: past}))

    stage = next(stage for stage in found.stages if stage.goal is not None)
    assert stage.goal is not None
    assert stage.goal.sample_size == size
    assert stage.goal.in_time is found.can_conclude is in_time
    assert stage.goal.decides_after == (
        None if after is None else pytest.approx(after, abs=timedelta(minutes=1))
    )


def test_a_first_version_and_a_refusal():
    plan = Launch(candidate="1.0.0").plan()

    first = forecast(plan, History(), candidate="1.0.0", baseline=None, refusal=None)
    refused = forecast(plan, PAST, candidate="2.0.0", baseline="1.0.0", refusal="frozen")

    assert (first.can_conclude, first.first_version, first.stages) == (True, True, ())
    assert refused.can_conclude is False
    assert refused.reason == "it could not be started now: frozen"
    assert len(refused.stages) == 10


def test_the_least_share_is_shown_with_its_chance():
    found = detectable_share(1_000, 0.01, alpha=0.01, power=0.8)

    assert found is not None
    assert 0.01 < found < 0.05
    assert detectable_share(3, 0.9, alpha=0.01, power=0.8) is None


def test_more_confidence_takes_more_harm():
    assert detectable_drift(0.001, 0.8) > detectable_drift(0.05, 0.8) > 2
