from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.plan import DEFAULT_GUARDRAILS, Launch, Plan, Stage, Strategy

MINUTE = timedelta(minutes=1)
GOAL = StageGoal(metric="accuracy")
RELATIVE = Guardrail(metric="error_rate", max_increase=0.01)
ABSOLUTE = Guardrail(metric="error_rate", max=0.05)

requests: TypeAdapter[Launch] = TypeAdapter(Launch)
plans: TypeAdapter[Plan] = TypeAdapter(Plan)


def shape(plan: Plan) -> list[tuple[float, bool]]:
    return [(stage.weight / 100, stage.shadow) for stage in plan.stages]


@pytest.mark.parametrize(
    ("strategy", "stages"),
    [
        (Strategy.REPLACE, [(100, False)]),
        (Strategy.CANARY, [(weight, False) for weight in range(10, 101, 10)]),
        (Strategy.BLUE_GREEN, [(0, True), (100, False)]),
        (Strategy.SHADOW, [(0, True), (100, False)]),
    ],
)
def test_a_strategy_is_a_list_of_stages(
    strategy: Strategy, stages: list[tuple[float, bool]]
) -> None:
    assert shape(Launch(candidate="2.0.0", strategy=strategy).plan()) == stages


def test_an_ab_test_is_half_and_half_until_its_goal_decides() -> None:
    plan = Launch(candidate="2.0.0", strategy=Strategy.AB_TEST, goal=GOAL).plan()

    assert shape(plan) == [(50, False), (100, False)]
    assert [stage.goal for stage in plan.stages] == [GOAL, None]
    assert plan.stages[0].longest == timedelta(days=7)


def test_a_plan_that_promotes_ends_at_100_percent() -> None:
    launch = Launch(candidate="2.0.0", stages=(Stage(weight=500, bake=MINUTE),))

    assert shape(launch.plan()) == [(5, False), (100, False)]
    assert launch.plan().stages[-1].bake == timedelta()


def test_a_shadow_that_promotes_nothing_ends_with_the_shadow() -> None:
    launch = Launch(candidate="2.0.0", strategy=Strategy.SHADOW, promote=False)

    assert shape(launch.plan()) == [(0, True)]


def test_without_guardrails_the_default_limits_apply_in_every_stage_that_has_traffic() -> None:
    plan = Launch(candidate="2.0.0").plan()

    assert all(plan.limits(index) == DEFAULT_GUARDRAILS for index in range(len(plan.stages)))


def test_guardrails_against_the_baseline_are_left_out_where_none_runs() -> None:
    stages = (
        Stage(weight=0, bake=MINUTE, approval=True),
        Stage(weight=5_000, bake=MINUTE),
        Stage(weight=10_000, bake=MINUTE),
    )
    plan = Launch(candidate="2.0.0", stages=stages, guardrails=(RELATIVE, ABSOLUTE)).plan()

    assert plan.limits(0) == ()
    assert plan.limits(1) == (RELATIVE, ABSOLUTE)
    assert plan.limits(2) == (ABSOLUTE,)


def test_only_what_may_roll_back_counts_as_a_gate() -> None:
    watched = Guardrail(metric="cost", max=3, dry_run=True)
    stages = (Stage(weight=1_000, bake=MINUTE), Stage(weight=10_000, bake=MINUTE))
    plan = Launch(candidate="2.0.0", stages=stages, guardrails=(ABSOLUTE, watched)).plan()

    assert plan.gates == 2


@pytest.mark.parametrize(
    ("stage", "longest"),
    [
        pytest.param(Stage(weight=100, bake=timedelta(hours=1)), timedelta(hours=3), id="3 x bake"),
        pytest.param(Stage(weight=100, bake=MINUTE), 11 * MINUTE, id="at least ten minutes more"),
        pytest.param(
            Stage(weight=100, bake=MINUTE, max_duration=2 * MINUTE), 2 * MINUTE, id="as stated"
        ),
    ],
)
def test_a_stage_has_a_longest_duration(stage: Stage, longest: timedelta) -> None:
    assert stage.longest == longest


@pytest.mark.parametrize(
    ("body", "where", "sentence"),
    [
        pytest.param(
            {"stages": [{"weight": 50, "bake": "1h"}, {"weight": 25, "bake": "1h"}]},
            (),
            "weights must rise from stage to stage: stages[1] has 25 % after 50 %",
            id="falling weights",
        ),
        pytest.param(
            {"stages": [{"weight": 10, "bake": "1h"}, {"weight": 10, "bake": "1h"}]},
            (),
            "stages[1] has 10 % after 10 %",
            id="the same weight twice",
        ),
        pytest.param(
            {"stages": [{"weight": 100, "bake": 5, "guardrails": [
                {"metric": "error_rate", "max_increase": 0.01}]}]},
            ("stages", 0),
            "no baseline runs beside a candidate at 100 %",
            id="a comparison without a baseline",
        ),
        pytest.param(
            {"stages": [{"weight": 0, "bake": 5, "guardrails": [
                {"metric": "error_rate", "max": 0.01}]}]},
            ("stages", 0),
            'set "shadow": true',
            id="guardrails without traffic",
        ),
        pytest.param(
            {"stages": [{"weight": 5, "bake": "1h", "shadow": True}]},
            ("stages", 0),
            "a shadow stage answers nobody",
            id="a shadow that answers",
        ),
        pytest.param(
            {"stages": [{"weight": 5, "bake": "1h", "max_duration": "30m"}]},
            ("stages", 0),
            "max_duration is shorter than bake",
            id="a stage that can never end",
        ),
        pytest.param({"stages": []}, ("stages",), "at least 1", id="no stage at all"),
        pytest.param(
            {"strategy": "canary", "promote": False},
            (),
            "stages[0] answers 10 % of the traffic",
            id="a canary that promotes nothing",
        ),
        pytest.param(
            {"override_quarantine": True},
            (),
            "override_quarantine needs a reason",
            id="an override without a reason",
        ),
        pytest.param(
            {"strategy": "ab_test"}, (), "what is the candidate to improve?", id="no goal"
        ),
        pytest.param(
            {"strategy": "canary", "goal": {"metric": "accuracy"}},
            (),
            'a goal is for the strategy "ab_test"',
            id="a goal for a canary",
        ),
        pytest.param(
            {
                "strategy": "ab_test",
                "goal": {"metric": "accuracy"},
                "stages": [{"weight": 50, "bake": "1h"}],
            },
            (),
            "write the goal into the stage that decides",
            id="a goal beside stages",
        ),
        pytest.param(
            {"stages": [{"weight": 100, "bake": "1h", "goal": {"metric": "accuracy"}}]},
            ("stages", 0),
            "so both must answer",
            id="a goal without a baseline",
        ),
        pytest.param(
            {"strategy": "ab_test", "goal": {"metric": "conversion"}},
            ("goal",),
            "which way conversion improves",
            id="a goal of no known direction",
        ),
        pytest.param(
            {"strategy": "ab_test", "goal": {"metric": "accuracy", "target_sample_size": 10}},
            ("goal", "target_sample_size"),
            "100",
            id="a search of ten units",
        ),
        pytest.param({"strategy": "yolo"}, ("strategy",), "'canary'", id="unknown strategy"),
        pytest.param({"candidate": "two"}, ("candidate",), "two", id="not a version"),
        pytest.param(
            {"guardrails": [{"metric": "error_rate", "max": 5}]},
            ("guardrails", 0),
            "write 0.05 for 5 %",
            id="a share in percent",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost"}]},
            ("guardrails", 0),
            "this one on cost states none",
            id="a guardrail without a limit",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost", "max": 1, "min": 0}]},
            ("guardrails", 0),
            "states max and min",
            id="a guardrail with two limits",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost", "max": float("nan")}]},
            ("guardrails", 0, "max"),
            "finite",
            id="NaN",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost", "max_increase": -1}]},
            ("guardrails", 0),
            "max_increase is how much worse is accepted: 0 or more",
            id="a negative margin",
        ),
        pytest.param(
            {"guardrails": [{"metric": "latency_q99", "max": 20}]},
            ("guardrails", 0),
            "latency_p99",
            id="a latency nobody measures",
        ),
        pytest.param(
            {"guardrails": [{"metric": "latency_p99", "min": 20}]},
            ("guardrails", 0),
            "max or max_increase, not min",
            id="a latency that must be high",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost", "max": 1, "confidence": 95}]},
            ("guardrails", 0),
            "confidence lies between 0.5 and 1",
            id="confidence in percent",
        ),
        pytest.param(
            {"guardrails": [{"metric": "cost", "max": 1, "min_samples": 0}]},
            ("guardrails", 0),
            "min_samples is 1 or more",
            id="no sample",
        ),
        pytest.param(
            {"guardrails": [{"metric": "no way", "max": 1}]},
            ("guardrails", 0),
            "is not the name of a metric",
            id="not a metric",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_work_is_refused_where_it_is_wrong(
    body: dict[str, Any], where: tuple[str | int, ...], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        requests.validate_python({"candidate": "2.0.0"} | body)

    error = refused.value.errors()[0]
    assert error["loc"] == where
    assert sentence in error["msg"]


@given(
    weights=st.lists(st.integers(1, 10_000), min_size=1, max_size=8, unique=True).map(sorted),
    bake=st.timedeltas(timedelta(), timedelta(days=30)),
    strategy=st.sampled_from(Strategy),
)
def test_a_plan_is_the_same_after_it_was_stored(
    weights: list[int], bake: timedelta, strategy: Strategy
) -> None:
    stages = tuple(Stage(weight=weight, bake=bake) for weight in weights)
    plan = Launch(candidate="2.0.0", strategy=strategy, stages=stages).plan()

    assert plans.validate_json(plans.dump_json(plan)) == plan
    assert plan.stages[-1].weight == 10_000
