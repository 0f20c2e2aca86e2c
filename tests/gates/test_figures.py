from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gates.cases import FIRST, facts, version
from turnout.gates.domain.facts import Facts
from turnout.gates.domain.judge import quick
from turnout.gates.domain.policy import Good, GroupsGate, MetricGate, QuickGate, RegressionGate
from turnout.gates.domain.report import Check, Result, verdict

AT_LEAST = MetricGate(metric="accuracy", min=0.85)
AT_MOST = MetricGate(metric="rmse", max=3)
NO_WORSE = RegressionGate(metric="accuracy")
NO_HIGHER = RegressionGate(metric="rmse", margin=0.5, good=Good.LOWER)
FAIR = GroupsGate(metric="accuracy", min=0.8)
CLOSE = GroupsGate(metric="accuracy", max_gap=0.1)


def only(gate: QuickGate, found: Facts) -> Check:
    (check,) = quick(gate, found)
    return check


@pytest.mark.parametrize(
    ("gate", "metrics", "result", "reason"),
    [
        pytest.param(AT_LEAST, {"accuracy": 0.9}, Result.PASS, "is 0.9, at least", id="above"),
        pytest.param(AT_LEAST, {"accuracy": 0.85}, Result.PASS, "at least 0.85", id="just so"),
        pytest.param(AT_LEAST, {"accuracy": 0.84}, Result.FAIL, "not at least 0.85", id="below"),
        pytest.param(AT_LEAST, {}, Result.FAIL, "not among the version's metrics", id="missing"),
        pytest.param(AT_LEAST, {"accuracy": nan}, Result.ERROR, "nan", id="not a number"),
        pytest.param(AT_LEAST, {"accuracy": inf}, Result.ERROR, "inf", id="infinite"),
        pytest.param(AT_MOST, {"rmse": 2.5}, Result.PASS, "at most 3", id="low enough"),
        pytest.param(AT_MOST, {"rmse": 3.5}, Result.FAIL, "not at most 3", id="too high"),
    ],
)
def test_a_metric_is_held_against_its_limit(
    gate: MetricGate, metrics: dict[str, float], result: Result, reason: str
) -> None:
    check = only(gate, facts(version(metrics=metrics)))

    assert check.result is result
    assert reason in check.reason
    assert check.limit == (gate.min if gate.max is None else gate.max)


def test_a_metric_with_two_limits_has_two_checks() -> None:
    gate = MetricGate(metric="positive_rate", min=0.01, max=0.1)
    checks = list(quick(gate, facts(version(metrics={"positive_rate": 0.2}))))

    assert [check.result for check in checks] == [Result.PASS, Result.FAIL]


@pytest.mark.parametrize(
    ("gate", "now", "before", "result"),
    [
        pytest.param(NO_WORSE, 0.92, 0.91, Result.PASS, id="better"),
        pytest.param(NO_WORSE, 0.92, 0.93, Result.PASS, id="worse by the margin, in binary, too"),
        pytest.param(NO_WORSE, 0.91, 0.93, Result.FAIL, id="worse by more"),
        pytest.param(NO_WORSE, None, 0.93, Result.FAIL, id="missing where production has it"),
        pytest.param(NO_WORSE, 0.92, None, Result.SKIPPED, id="production has none"),
        pytest.param(NO_WORSE, nan, 0.93, Result.ERROR, id="not a number"),
        pytest.param(NO_WORSE, 0.92, nan, Result.ERROR, id="production's is not a number"),
        pytest.param(NO_HIGHER, 3.4, 3.0, Result.PASS, id="higher by less than the margin"),
        pytest.param(NO_HIGHER, 3.6, 3.0, Result.FAIL, id="an error that is higher by more"),
        pytest.param(NO_HIGHER, 1.0, 3.0, Result.PASS, id="an error that is much lower"),
    ],
)
def test_a_metric_is_held_against_production(
    gate: RegressionGate, now: float | None, before: float | None, result: Result
) -> None:
    def said(value: float | None) -> dict[str, Any]:
        return {"metrics": {} if value is None else {gate.metric: value}}

    production = version(**said(before))
    found = facts(version(**said(now)), FIRST if before is None else _first(production.metrics))

    assert only(gate, found).result is result


def _first(metrics: Any) -> Any:
    return replace(FIRST, metrics=metrics)


def test_without_a_version_in_production_there_is_nothing_to_regress_from() -> None:
    check = only(NO_WORSE, facts(version(metrics={"accuracy": 0.1})))

    assert check.result is Result.SKIPPED
    assert "no other version is in production" in check.reason


def test_the_reason_names_the_version_it_was_compared_with() -> None:
    found = facts(version(metrics={"accuracy": 0.9}), _first({"accuracy": 0.95}))

    assert "0.05 worse than 0.95 of 1.0.0 in production" in only(NO_WORSE, found).reason


def groups(**values: float) -> dict[str, Any]:
    return {"group_metrics": {name: {"accuracy": value} for name, value in values.items()}}


@pytest.mark.parametrize(
    ("gate", "said", "result", "reason"),
    [
        pytest.param(FAIR, groups(young=0.9, old=0.8), Result.PASS, "old with 0.8", id="all"),
        pytest.param(
            FAIR, groups(young=0.9, old=0.7), Result.FAIL, "of old is 0.7", id="one below"
        ),
        pytest.param(FAIR, {}, Result.SKIPPED, "name those that must be there", id="no groups"),
        pytest.param(FAIR, groups(young=nan), Result.ERROR, "young is no number", id="NaN"),
        pytest.param(
            FAIR,
            {"group_metrics": {"young": {"auc": 0.9}}},
            Result.FAIL,
            "not reported for young",
            id="a group without the metric",
        ),
        pytest.param(
            GroupsGate(metric="accuracy", min=0.8, groups=("old",)),
            groups(young=0.9),
            Result.FAIL,
            "not reported for old",
            id="a group that must be there is not",
        ),
        pytest.param(CLOSE, groups(young=0.9, old=0.8), Result.PASS, "old has 0.8", id="close"),
        pytest.param(CLOSE, groups(young=0.9, old=0.7), Result.FAIL, "old has 0.7", id="apart"),
        pytest.param(CLOSE, groups(young=0.9), Result.PASS, "young", id="one is not apart"),
    ],
)
def test_protected_groups(
    gate: GroupsGate, said: dict[str, Any], result: Result, reason: str
) -> None:
    check = only(gate, facts(version(**said)))

    assert check.result is result
    assert reason in check.reason


def test_a_version_cannot_pass_by_leaving_out_a_group_that_production_reports() -> None:
    production = replace(FIRST, **groups(young=0.9, old=0.9))
    check = only(FAIR, facts(version(**groups(young=0.9)), production))

    assert check.result is Result.FAIL
    assert "not reported for old" in check.reason


ORDER = [Result.PASS, Result.FAIL]
NUMBERS = st.floats(-1e6, 1e6)


@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(Good), st.floats(0, 10))
def test_a_better_metric_never_turns_a_pass_into_a_failure(
    a: float, b: float, before: float, good: Good, margin: float
) -> None:
    worse, better = sorted((a, b), reverse=good is Good.LOWER)
    gates: list[QuickGate] = [
        RegressionGate(metric="m", margin=margin, good=good),
        MetricGate(metric="m", min=before)
        if good is Good.HIGHER
        else MetricGate(metric="m", max=before),
    ]
    for gate in gates:
        first, second = (
            verdict(quick(gate, facts(version(metrics={"m": value}), _first({"m": before}))))
            for value in (worse, better)
        )
        assert ORDER.index(second) <= ORDER.index(first)


@given(st.dictionaries(st.sampled_from("abc"), NUMBERS, min_size=1), NUMBERS, st.floats(0, 1e6))
def test_a_group_that_does_better_never_fails_a_version(
    values: dict[str, float], least: float, gain: float
) -> None:
    gate = GroupsGate(metric="accuracy", min=least)
    one = next(iter(values))
    improved = values | {one: values[one] + gain}
    before, after = (
        only(gate, facts(version(**groups(**found)))).result for found in (values, improved)
    )

    assert ORDER.index(after) <= ORDER.index(before)
