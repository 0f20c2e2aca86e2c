"""A candidate that answers nobody: what it would have answered decides, and is shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter, ValidationError

from tests.factories import arm_evidence, counted
from tests.rollouts.conftest import SECOND, Driver
from turnout.db import transaction
from turnout.observations.commands import record, record_predictions
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.pairs import ClassPair
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.observations.wire import OutcomeLine, Submission
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Stage, Strategy
from turnout.rollouts.domain.shadow import ClassCounts, Interval, compare
from turnout.settings import Settings
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict
from turnout.worker import Worker

SHADOW = Stage(weight=0, shadow=True, bake=20 * SECOND)
AGREEMENT = Guardrail(metric="agreement", min=0.95)
UNITS = 200

launches: TypeAdapter[Launch] = TypeAdapter(Launch)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            {"guardrails": [{"metric": "agreement", "min": 0.95}]},
            "no stage of this plan has a shadow",
            id="no stage with a shadow",
        ),
        pytest.param(
            {"stages": [{"weight": 10, "bake": "1h", "guardrails": [
                {"metric": "latency_shift", "max": 20}]}]},
            'put it into a stage with "shadow": true',
            id="a stage that answers",
        ),
        pytest.param(
            {"strategy": "shadow", "guardrails": [{"metric": "agreement", "max_decrease": 0.01}]},
            "limit it by max or min, not by max_decrease",
            id="a comparison of what is compared already",
        ),
        pytest.param(
            {"strategy": "shadow", "guardrails": [{"metric": "agreement", "min": 95}]},
            "write 0.05 for 5 %",
            id="agreement in percent",
        ),
        pytest.param(
            {"strategy": "shadow", "guardrails": [{"metric": "confidence_shift", "min": -5}]},
            "write -0.05 for 5 points less",
            id="a shift of confidence in percent",
        ),
    ],
)  # fmt: skip
def test_pairs_need_a_shadow_and_a_limit_of_their_own(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        launches.validate_python({"candidate": "2.0.0"} | body)


def test_guardrails_on_pairs_are_left_out_where_the_candidate_answers() -> None:
    errors = Guardrail(metric="error_rate", max=0.05)
    launch = Launch(candidate="2.0.0", strategy=Strategy.SHADOW, guardrails=(AGREEMENT, errors))
    plan = launch.plan()

    assert [plan.limits(index) for index in range(2)] == [(AGREEMENT, errors), (errors,)]
    assert plan.gates == 3


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a version answers to everyone, as a function of the number of the request."""

    label: Callable[[int], str] = lambda _: "ok"
    error: Callable[[int], bool] = lambda _: False
    latency_ms: Callable[[int], float] = lambda number: 20.0 + number % 7

    def prediction(self, served: Prediction, number: int, *, version_id: int) -> Prediction:
        failed = self.error(number)
        return replace(
            served,
            version_id=version_id,
            label=None if failed else self.label(number),
            error=failed,
            latency_ms=self.latency_ms(number),
            shadow=True,
        )


SOUND = Answers()


async def second(driver: Driver, worker: Worker, shadow: Answers) -> None:
    """Everybody asks once; the baseline says "ok", which half of all labels say it should."""
    now, split = driver.clock.advance(SECOND), await driver.split()
    [serving] = [variant for variant in split.serving if variant.weight]
    rows, labels = [], []
    for number in range(UNITS):
        served = Prediction(
            prediction_id=uuid7(now),
            version_id=serving.version_id,
            split_id=split.id,
            unit=f"user-{number}",
            at=now,
            label="ok",
            confidence=0.9,
            latency_ms=SOUND.latency_ms(number),
        )
        rows.append(served)
        rows += [
            shadow.prediction(served, number, version_id=variant.version_id)
            for variant in split.shadows
        ]
        truth = "ok" if number % 2 else "fraud"
        labels.append(OutcomeLine(prediction_id=served.prediction_id, label=truth))
    async with transaction(driver.sessions) as session:
        await record_predictions(session, split.model_id, rows, now=now)
        said = Submission(batch_id=None, predictions=(), outcomes=labels)
        await record(
            session, split.model_id, said, atomic=True, retention=timedelta(days=1), now=now
        )
    await worker.fold()
    await worker.tick()


@pytest.fixture
async def worker(live_driver: Driver, settings: Settings) -> Worker:
    worker = Worker(settings=settings, sessions=live_driver.sessions, clock=live_driver.clock)
    await worker.retain()
    return worker


@pytest.mark.parametrize(
    ("shadow", "guardrail"),
    [
        pytest.param(
            Answers(label=lambda number: "fraud" if number % 5 == 0 else "ok"),
            AGREEMENT,
            id="says another class for one of five",
        ),
        pytest.param(
            Answers(latency_ms=lambda number: 60.0 + number % 11),
            Guardrail(metric="latency_shift", max=20),
            id="takes longer for the same inputs",
        ),
        pytest.param(
            Answers(latency_ms=lambda number: 500.0 if number % 20 == 0 else 20.0),
            Guardrail(metric="latency_p99", max_increase=50),
            id="takes long now and then",
        ),
        pytest.param(
            Answers(error=lambda number: number % 3 == 0),
            Guardrail(metric="error_rate", max_increase=0.01),
            id="fails",
        ),
        pytest.param(
            Answers(label=lambda number: "fraud" if number % 2 else "ok"),
            Guardrail(metric="accuracy", max_decrease=0.05),
            id="is wrong more often",
        ),
    ],
)
async def test_a_shadow_that_would_do_harm_never_answers(
    live_driver: Driver, worker: Worker, shadow: Answers, guardrail: Guardrail
) -> None:
    stages = (replace(SHADOW, guardrails=(guardrail,)),)
    rollout_id = await live_driver.under_way(strategy=Strategy.SHADOW, stages=stages)

    while (await live_driver.rollout(rollout_id)).finished_at is None:
        await second(live_driver, worker, shadow)

    assert (await live_driver.rollout(rollout_id)).phase is Phase.ROLLED_BACK
    assert str(guardrail) in (await live_driver.steps(rollout_id))[-1].reason
    assert await live_driver.shares() == {"1.0.0": 100}


async def test_a_shadow_that_agrees_comes_to_answer(live_driver: Driver, worker: Worker) -> None:
    limits = (
        AGREEMENT,
        Guardrail(metric="latency_shift", max=5, proof="not_worse"),
        Guardrail(metric="error_rate", max_increase=0.01),
        Guardrail(metric="accuracy", max_decrease=0.05),
    )
    slower = Answers(latency_ms=lambda number: 20.0 + number % 7 + number % 3)
    stages = (replace(SHADOW, guardrails=limits),)
    rollout_id = await live_driver.under_way(strategy=Strategy.SHADOW, stages=stages)

    for _ in range(20):
        await second(live_driver, worker, slower)

    [*_, advanced, _] = await live_driver.steps(rollout_id)
    assert advanced.verdict is Verdict.PASS
    assert await live_driver.shares() == {"2.0.0": 100}


async def test_shadow_excluded_from_user_metrics(live_driver: Driver, worker: Worker) -> None:
    """It fails for everyone: what users saw has no errors, and their latency is that of 1.0.0."""
    watched = Guardrail(metric="error_rate", max=0.01, dry_run=True)
    stages = (replace(SHADOW, guardrails=(watched,)),)
    rollout_id = await live_driver.under_way(strategy=Strategy.SHADOW, stages=stages)
    failing = Answers(error=lambda _: True, latency_ms=lambda _: 9_000.0)

    for _ in range(5):
        await second(live_driver, worker, failing)

    look = (await live_driver.looks(rollout_id))[-1]
    served, shadow = look.evidence.baseline, look.evidence.candidate
    assert served is not None
    assert shadow is not None
    assert (served.metrics["error_rate"].rate, shadow.metrics["error_rate"].rate) == (0, 1)
    assert not served.latency.count_above(1_000)


async def test_the_comparison_is_shown(
    live_driver: Driver, live_client: AsyncClient, worker: Worker
) -> None:
    rollout_id = await live_driver.under_way(strategy=Strategy.SHADOW, stages=(SHADOW,))
    before = (await live_client.get(f"rollouts/{rollout_id}/shadow")).json()
    flipping = Answers(
        label=lambda number: "fraud" if number < 2 else "ok",
        latency_ms=lambda number: SOUND.latency_ms(number) + 5 + number % 2,
    )

    await second(live_driver, worker, flipping)
    response = await live_client.get(f"rollouts/{rollout_id}/shadow")

    assert response.status_code == 200
    view = response.json()
    found = view["comparison"]
    assert (view["served"], view["shadow"], view["stage"]) == ("1.0.0", "2.0.0", 0)
    assert before["comparison"]["agreement"] == {
        "pairs": 0, "value": None, "low": None, "high": None,
    }  # fmt: skip
    assert (found["agreement"]["pairs"], found["agreement"]["value"]) == (UNITS, 0.99)
    assert found["agreement"]["low"] < 0.99 < found["agreement"]["high"]
    assert found["latency_shift"]["low"] < 5.5 < found["latency_shift"]["high"]
    assert found["confidence_shift"]["value"] == 0
    assert found["flips"] == [{"served": "ok", "shadow": "fraud", "n": 2}]
    assert found["classes"] == [
        {"label": "ok", "served": 200, "shadow": 198},
        {"label": "fraud", "served": 0, "shadow": 2},
    ]
    assert found["latency_p99"]["difference"] == pytest.approx(6, abs=1)
    assert found["error_rate"]["difference"] == 0


async def test_the_comparison_outlives_the_stage(
    live_driver: Driver, live_client: AsyncClient, worker: Worker
) -> None:
    rollout_id = await live_driver.under_way(strategy=Strategy.SHADOW, stages=(SHADOW,))
    await second(live_driver, worker, SOUND)
    during = (await live_client.get(f"rollouts/{rollout_id}/shadow")).json()

    await live_client.post(f"rollouts/{rollout_id}/abort", json={"reason": "seen enough"})

    assert (await live_client.get(f"rollouts/{rollout_id}/shadow")).json() == during


async def test_a_rollout_without_a_shadow_says_so(driver: Driver, client: AsyncClient) -> None:
    rollout_id = await driver.under_way()

    response = await client.get(f"rollouts/{rollout_id}/shadow")

    assert response.status_code == 404
    assert '"shadow": true' in response.json()["detail"]


def test_a_comparison_of_nothing_claims_nothing() -> None:
    found = compare(None, None, [])

    assert (found.agreement.value, found.agreement.low, found.agreement.pairs) == (None, None, 0)
    assert (found.latency_p99.served, found.latency_p99.difference) == (None, None)
    assert (found.classes, found.flips) == ((), ())


@pytest.mark.parametrize(
    ("agreeing", "interval"),
    [
        pytest.param(counted(9, 9), (None, None), id="too few pairs"),
        pytest.param(counted(2_000, 2_000), (0.99, 1.0), id="all agree"),
        pytest.param(counted(2_000, 1_000), (0.466, 0.534), id="half agree"),
    ],
)
def test_agreement_lies_in_an_interval(agreeing: UnitTotals, interval: Interval) -> None:
    shadow = arm_evidence(2_000, outcomes={"agreement": agreeing})

    found = compare(arm_evidence(2_000), shadow, []).agreement

    assert (found.low, found.high) == pytest.approx(interval, abs=0.01)


def test_classes_are_counted_on_both_sides() -> None:
    pairs = [
        ClassPair(served="a", shadow="a", n=7),
        ClassPair(served="a", shadow="b", n=2),
        ClassPair(served="b", shadow="b", n=1),
    ]

    found = compare(None, None, pairs)

    assert found.classes == (
        ClassCounts(label="a", served=9, shadow=7),
        ClassCounts(label="b", served=1, shadow=3),
    )
    assert found.flips == (pairs[1],)
