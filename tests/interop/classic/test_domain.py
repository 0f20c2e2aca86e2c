from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from turnout.experiments.domain.state import Status
from turnout.interop.classic.domain import ABTest, canary_status, launch, plan
from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Strategy
from turnout.traffic.domain.split import Spread

AB_TEST: TypeAdapter[ABTest] = TypeAdapter(ABTest)


def asked(**wanted: Any) -> ABTest:
    body = {"control_version": "1.0.0", "treatment_version": "2.0.0", **wanted}
    return AB_TEST.validate_python(body)


@pytest.mark.parametrize("strategy", ["RANDOM", "ROUND_ROBIN", "STICKY"])
def test_a_test_is_an_experiment_on_accuracy(strategy: str) -> None:
    found = plan(asked(strategy=strategy, traffic_split=0.2), "a-test")

    assert found.weights == {"1.0.0": 8_000, "2.0.0": 2_000}
    assert found.strategy is Spread(strategy.lower())
    assert (found.key, found.goal.metric) == ("a-test", "accuracy")


@pytest.mark.parametrize(
    ("target", "fewest"),
    [
        pytest.param(1000, 100, id="nothing is concluded below 100"),
        pytest.param(40, 40, id="unless the whole test is smaller"),
    ],
)
def test_a_test_is_not_concluded_below_a_fewest_number(target: int, fewest: int) -> None:
    found = plan(asked(target_sample_size=target), "a-test")

    assert (found.target_sample_size, found.min_sample_size) == (target, fewest)


def test_a_canary_grows_by_ten_points_a_phase() -> None:
    wish = launch(asked(strategy="CANARY", traffic_split=0.2), "ramp-up")

    assert wish.strategy is Strategy.CANARY
    assert [stage.weight for stage in wish.plan().stages] == list(
        range(1_000, BASIS_POINTS + 1, 1_000)
    )
    assert (wish.baseline, wish.candidate) == ("1.0.0", "2.0.0")


def test_a_test_is_kept_as_it_was_asked_for() -> None:
    one = asked(traffic_split=0.3333, strategy="RANDOM", name="n", description="d")

    assert AB_TEST.validate_json(AB_TEST.dump_json(one)) == one


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"traffic_split": 20}, "between 0 and 1", id="a share in percent"),
        pytest.param({"traffic_split": 0}, "between 0 and 1", id="nothing"),
        pytest.param({"traffic_split": 1}, "between 0 and 1", id="everything"),
        pytest.param({"traffic_split": 0.33333}, "at most four decimals", id="too exact"),
        pytest.param({"traffic_split": float("nan")}, "between 0 and 1", id="no number"),
        pytest.param({"traffic_split": float("inf")}, "between 0 and 1", id="infinite"),
        pytest.param({"traffic_split": "0.2"}, "a share is a number", id="text"),
        pytest.param({"treatment_version": "v1.0"}, "two different versions", id="itself"),
        pytest.param({"strategy": "sticky"}, "'STICKY'", id="in small letters"),
        pytest.param({"test_id": "a/b"}, "a test_id has", id="an id that is no part of a path"),
        pytest.param({"target_sample_size": 0}, "greater than or equal to 1", id="no sample"),
    ],
)
def test_what_is_wrong_with_a_test_is_said(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        asked(**body)


@pytest.mark.parametrize(
    ("phase", "concluded", "status"),
    [
        pytest.param(Phase.RUNNING, False, Status.RUNNING, id="under way"),
        pytest.param(Phase.BAKING, False, Status.RUNNING, id="in its last phase"),
        pytest.param(Phase.PAUSED, False, Status.PAUSED, id="paused"),
        pytest.param(Phase.SUCCEEDED, False, Status.CONCLUDED, id="all the way by itself"),
        pytest.param(Phase.ROLLED_BACK, False, Status.STOPPED, id="it did harm"),
        pytest.param(Phase.ABORTED, False, Status.STOPPED, id="ended elsewhere"),
        pytest.param(Phase.ABORTED, True, Status.CONCLUDED, id="concluded without a winner"),
    ],
)
def test_a_canary_stands_where_its_rollout_stands(
    phase: Phase, concluded: bool, status: Status
) -> None:
    assert canary_status(phase, concluded=concluded) is status
