import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.experiments.trials import ANOTHER, CONTROL, TREATMENT, plan
from turnout.experiments.domain.plan import Plan, Treatment, plan_hash
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import KNOWN, Goal, Metric
from turnout.traffic.domain.split import Spread

plans: TypeAdapter[Plan] = TypeAdapter(Plan)

LEAST: dict[str, Any] = {
    "key": "new-model",
    "control": "1.0.0",
    "treatments": [{"version": "2.0.0"}],
    "goal": {"metric": "accuracy"},
}


def test_little_need_be_said() -> None:
    asked = plans.validate_python(LEAST)

    assert asked.goal.minimum_detectable_effect == 0.02
    assert asked.strategy is Spread.STICKY
    assert (asked.confidence_level, asked.power, asked.min_sample_size) == (0.95, 0.8, 1000)
    assert asked.max_duration == timedelta(hours=168)
    assert (asked.early_stopping, asked.futility_threshold) == (True, 0.01)
    assert not asked.auto_conclude
    assert not asked.promote_winner


def test_a_plan_reads_back_what_it_is_shown_as() -> None:
    asked = plan(
        TREATMENT,
        ANOTHER,
        secondary=(Metric(metric="latency_mean"),),
        guardrails=(Guardrail(metric="latency_p99", max_increase=20),),
        futility_threshold=None,
    )

    assert plans.validate_json(plans.dump_json(asked)) == asked


def test_a_secondary_metric_may_be_just_named() -> None:
    asked = plans.validate_python(
        LEAST | {"secondary": ["latency_mean", {"metric": "revenue", "direction": "increase"}]}
    )

    assert asked.secondary == (
        Metric(metric="latency_mean"),
        Metric(metric="revenue", direction="increase"),
    )


@pytest.mark.parametrize(("metric", "direction"), KNOWN.items())
def test_the_good_direction_of_a_known_metric_need_not_be_said(metric: str, direction: str) -> None:
    assert Metric(metric=metric).improves_by == direction


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        pytest.param({"treatments": []}, "at least 1 item", id="no treatment"),
        pytest.param(
            {"treatments": [{"version": f"2.{n}.0"} for n in range(10)]},
            "at most 9 items",
            id="ten treatments",
        ),
        pytest.param(
            {"treatments": [{"version": "2.0.0"}, {"version": "v2.0"}]},
            "treatment 2.0.0 is listed 2 times: list it once",
            id="one version twice, written differently",
        ),
        pytest.param(
            {"treatments": [{"version": "1.0"}]},
            "1.0.0 is the control and a treatment: a treatment is another version",
            id="the control as a treatment",
        ),
        pytest.param(
            {"treatments": [{"version": "2.0.0", "weight": 100}]},
            "sum to 100 percent, which leaves too little for the control 1.0.0",
            id="nothing left for the control",
        ),
        pytest.param(
            {"treatments": [{"version": f"{n}.0.0", "weight": 60} for n in (2, 3)]},
            "sum to 120 percent",
            id="more than there is",
        ),
        pytest.param(
            {"treatments": [{"version": "2.0.0", "weight": 0}]},
            "treatment 2.0.0 has weight 0 and would see no traffic",
            id="a treatment without traffic",
        ),
        pytest.param(
            {
                "treatments": [
                    {"version": "2.0.0", "weight": 99.99},
                    {"version": "3.0.0"},
                ]
            },
            "leaves too little",
            id="a share that cannot be halved",
        ),
        pytest.param(
            {"goal": {"metric": "conversion"}},
            "direction says which way conversion improves: 'increase' or 'decrease'",
            id="an unknown metric without a direction",
        ),
        pytest.param(
            {"goal": {"metric": "error_rate", "direction": "increase"}},
            "error_rate improves by a decrease: set direction to 'decrease' or leave it out",
            id="a known metric the wrong way round",
        ),
        pytest.param(
            {"goal": {"metric": "accuracy", "minimum_detectable_effect": 2}},
            "a difference of shares, below 1: write 0.02 for two points, not 2",
            id="a share in percent",
        ),
        pytest.param(
            {"goal": {"metric": "latency_mean", "minimum_detectable_effect": -5}},
            "above 0, also where a decrease is better",
            id="a negative effect",
        ),
        pytest.param(
            {"goal": {"metric": "latency_p99"}},
            "compare by latency_mean, and limit latency_p99 by a guardrail",
            id="a percentile as a goal",
        ),
        pytest.param(
            {"goal": {"metric": "accuracy", "per": "unit"}},
            "leave out per, or set it to 'outcome'",
            id="labels per exposed unit",
        ),
        pytest.param(
            {"goal": {"metric": "agreement", "direction": "increase"}},
            "agreement compares a shadow with what was served",
            id="a shadow's metric as a goal",
        ),
        pytest.param(
            {"guardrails": [{"metric": "agreement", "min": 0.9}]},
            "the guardrail agreement compares a shadow with what was served",
            id="a shadow's guardrail",
        ),
        pytest.param(
            {"secondary": ["accuracy"]},
            "accuracy is stated 2 times: a metric is the goal, or secondary, once",
            id="the goal again as a secondary metric",
        ),
        pytest.param(
            {"strategy": "canary"},
            "spreads units 'sticky' (a unit keeps its variant), 'random' (each",
            id="a ramp",
        ),
        pytest.param(
            {
                "strategy": "random",
                "goal": {"metric": "conversion", "direction": "increase", "per": "unit"},
            },
            "with the strategy 'random' a unit meets every variant: use 'sticky'",
            id="per unit where units are not kept apart",
        ),
        pytest.param({"confidence_level": 95}, "such as 0.95", id="confidence in percent"),
        pytest.param({"confidence_level": 0.5}, "such as 0.95", id="no confidence"),
        pytest.param({"power": 1}, "power is at least 0.5 and below 1", id="certain power"),
        pytest.param({"futility_threshold": 0}, "or null for never", id="futility of zero"),
        pytest.param({"max_duration": 0}, "max_duration is longer than 0", id="no time"),
        pytest.param({"min_sample_size": 0}, "greater than or equal to 1", id="no sample"),
        pytest.param(
            {"target_sample_size": 500},
            "target_sample_size 500 is below min_sample_size 1,000",
            id="an end before the first look",
        ),
        pytest.param({"metrics": []}, "Unexpected keyword argument", id="an unknown field"),
        pytest.param({"power": float("nan")}, "finite number", id="not a number"),
    ],
)
def test_a_plan_is_refused_with_what_would_be_right(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        plans.validate_python(LEAST | changed)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("stated", "shares"),
    [
        pytest.param([None], [5_000, 5_000], id="one treatment gets half"),
        pytest.param([None, None], [3_334, 3_333, 3_333], id="the control gets the remainder"),
        pytest.param([1_000], [9_000, 1_000], id="the control gets the rest"),
        pytest.param([1_000, None], [4_500, 1_000, 4_500], id="the rest is shared equally"),
    ],
)
def test_the_control_gets_what_the_treatments_leave(
    stated: list[int | None], shares: list[int]
) -> None:
    arms = tuple(Treatment(version=f"{n}.0.0", weight=w) for n, w in enumerate(stated, start=2))

    assert list(plan(treatments=arms).weights.values()) == shares


def test_the_target_is_for_the_variant_with_the_least_traffic() -> None:
    asked = plan(treatments=(Treatment(version=TREATMENT, weight=1_000),))

    assert asked.sizes(1_000) == {CONTROL: 9_000, TREATMENT: 1_000}
    design = asked.design(TREATMENT, target=1_000, against=1)
    assert (design.units, design.ratio) == (1_000, 9)


def test_treatments_share_the_error_rate() -> None:
    asked = plan(TREATMENT, ANOTHER, confidence_level=0.9)

    assert asked.design(TREATMENT, target=5_000, against=2).alpha == pytest.approx(0.025)
    assert asked.design(TREATMENT, target=5_000, against=1).alpha == pytest.approx(0.05)


def test_the_hash_is_of_the_plan_and_not_of_how_it_was_written() -> None:
    written = LEAST | {"min_sample_size": 1000, "max_duration": "7d", "confidence_level": 0.95}
    asked = plans.validate_python(written)
    stored = plans.validate_json(plans.dump_json(asked))
    exact = replace(asked, guardrails=(Guardrail(metric="cost", max=3),))
    floating = replace(asked, guardrails=(Guardrail(metric="cost", max=3.0),))

    assert plan_hash(plans.validate_python(LEAST)) == plan_hash(asked) == plan_hash(stored)
    assert plan_hash(exact) == plan_hash(floating)
    assert plan_hash(exact) != plan_hash(asked)


def test_the_hash_is_of_a_text_that_any_language_can_write() -> None:
    """Stored hashes must go on matching the plans they were made of."""
    text = (
        '{"auto_conclude":false,"confidence_level":0.95,"control":"1.0.0","description":"",'
        '"early_stopping":true,"futility_threshold":0.01,"goal":{"metric":"accuracy",'
        '"minimum_detectable_effect":0.02,"per":"outcome"},"guardrails":[],"key":"new-model",'
        '"max_duration":604800,"min_sample_size":1000,"name":"","power":0.8,'
        '"promote_winner":false,"secondary":[],"strategy":"sticky",'
        '"treatments":[{"version":"2.0.0"}]}'
    )

    assert plan_hash(plans.validate_python(LEAST)) == hashlib.sha256(text.encode()).hexdigest()


@given(st.integers(1, 9), st.data())
def test_shares_add_up_and_nobody_goes_without(count: int, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.none() | st.integers(1, 1_000), min_size=count, max_size=count))
    arms = tuple(Treatment(version=f"{n}.0.0", weight=w) for n, w in enumerate(weights, start=2))
    shares = plan(treatments=arms).weights

    assert sum(shares.values()) == 10_000
    assert min(shares.values()) > 0
    assert next(iter(shares)) == CONTROL


def test_goals_compare_shares_and_measurements() -> None:
    assert Goal(metric="accuracy").proportion
    assert not Goal(metric="conversion", direction="increase").proportion
    assert not Goal(metric="latency_mean", minimum_detectable_effect=5).share
