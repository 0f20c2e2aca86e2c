"""The planner over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, PERSON, prediction, version
from turnout.experiments.domain.inquiry import Inquiry
from turnout.experiments.planning import INQUIRY
from turnout.observations import commands
from turnout.observations.domain.outcome import Outcome
from turnout.registry.domain.version import VersionRef
from turnout.traffic.commands import set_split
from turnout.traffic.domain.split import Spread, Variant

MODEL = "fraud-detection"
HOUR = timedelta(hours=1)
SHARE = {"baseline": 0.12, "minimum_detectable_effect": 0.02}


async def plan(client: AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("experiments/plan", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def observed(session: AsyncSession, *, labels: int = 100, units: int = 200) -> VersionRef:
    """A version that has answered a unit every six minutes for the last hours, 80 % right."""
    found = await version(session)
    split = await set_split(
        session,
        found.model_id,
        owner=PERSON,
        strategy=Spread.STICKY,
        variants=[Variant(name="v", version_id=found.id, version=found.version, weight=10_000)],
        actor="ada",
        now=NOON - units * HOUR / 10,
    )
    rows = [
        prediction(
            version_id=found.id,
            split_id=split.id,
            unit=f"user-{n}",
            at=NOON - (n + 1) * HOUR / 10,
            latency_ms=100 + n % 2,
        )
        for n in range(units)
    ]
    await commands.record_predictions(session, found.model_id, rows, now=NOON)
    for n, row in enumerate(rows[:labels]):
        outcome = Outcome(
            prediction_id=row.prediction_id, correct=n % 5 > 0, at=min(row.at + HOUR, NOON)
        )
        await commands.feedback(
            session, found.model_id, outcome, retention=timedelta(days=30), now=NOON
        )
    await commands.fold(session, now=NOON)
    return found


@pytest.mark.parametrize("example", INQUIRY.values(), ids=INQUIRY)
async def test_the_examples_work_as_sent(client: AsyncClient, example: dict[str, Any]):
    found = await plan(client, **example["value"])

    assert found["sample_size"]["total"] > 1_000
    assert [point["power"] for point in found["power_curve"]] == sorted(
        point["power"] for point in found["power_curve"]
    )


async def test_a_plan_that_can_conclude(client: AsyncClient):
    found = await plan(client, **SHARE, units_per_day=2_000)

    assert found["can_conclude"] is True
    assert found["ways"] is None
    assert found["duration"].startswith("P4D")
    assert found["sample_size"] == {"control": 4_820, "treatments": [4_820], "total": 9_640}
    assert found["power"] == pytest.approx(0.8, abs=0.003)
    assert found["assumptions"]["units_per_day_is"] == "given"


async def test_a_plan_that_cannot_conclude_says_so_with_figures(client: AsyncClient):
    found = await plan(client, **SHARE, units_per_day=500)

    assert found["can_conclude"] is False
    assert found["reason"] == (
        "at most 9,640 units in all are needed, and within 7 days only 3,500 come"
    )
    assert found["ways"]["max_duration"] == "P19DT7H"
    assert found["ways"]["minimum_detectable_effect"] == pytest.approx(0.0337, abs=1e-3)


async def test_the_past_of_a_model_is_planned_by(client: AsyncClient, session: AsyncSession):
    await observed(session)

    found = await plan(client, model=MODEL, metric="accuracy", minimum_detectable_effect=0.1)

    assumed = found["assumptions"]
    assert assumed["baseline"] == pytest.approx(0.8, abs=0.005)
    assert assumed["baseline_is"] == assumed["units_per_day_is"] == "measured"
    assert assumed["units_per_day"] == pytest.approx(240)
    assert assumed["measured_share"] == 0.5
    assert assumed["label_delay"] == "PT1H"
    assert found["can_conclude"] is False
    assert "within 7 days only 835 come" in found["reason"]


async def test_what_is_stated_goes_before_the_past(client: AsyncClient, session: AsyncSession):
    await observed(session)
    body = {"model": MODEL, "metric": "accuracy", "baseline": 0.9, "units_per_day": 1e5}

    found = await plan(client, **body, control="1.0.0", label_delay="0s")

    assumed = found["assumptions"]
    assert (assumed["baseline"], assumed["baseline_is"]) == (0.9, "given")
    assert (assumed["units_per_day"], assumed["units_per_day_is"]) == (1e5, "given")
    assert assumed["measured_share"] == 0.5
    assert found["can_conclude"] is True


async def test_measurements_are_planned_by_their_variance(
    client: AsyncClient, session: AsyncSession
):
    await observed(session)
    body = {"model": MODEL, "metric": "latency_mean", "minimum_detectable_effect": 0.5}

    measured = await plan(client, **body)
    stated = await plan(client, **body, baseline=90)

    assert measured["assumptions"]["unit_variance"] == pytest.approx(0.25, rel=0.01)
    assert stated["sample_size"] == measured["sample_size"]
    assert stated["assumptions"]["baseline"] == 90


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        pytest.param({}, 422, "baseline is the metric's present value", id="nothing said"),
        pytest.param({"baseline": 12}, 422, "write 0.12 for 12 %", id="percent"),
        pytest.param(
            {"metric": "latency_mean", "baseline": 180}, 422, "standard_deviation", id="no spread"
        ),
        pytest.param({"model": MODEL}, 422, "which figures of the model", id="no metric"),
        pytest.param({**SHARE, "control": "1.0.0"}, 422, "name the model, too", id="whose control"),
        pytest.param({**SHARE, "standard_deviation": 0}, 422, "above 0", id="no deviation"),
        pytest.param({"baseline": 0.1, "minimum_detectable_effect": 0}, 422, "above 0", id="none"),
        pytest.param(
            {"baseline": 0.1, "minimum_detectable_effect": 1e-9}, 422, "a larger one", id="tiny"
        ),
        pytest.param({**SHARE, "power": 1}, 422, "power is at least 0.5", id="certainty"),
        pytest.param({**SHARE, "confidence_level": 0.5}, 422, "between 0.5 and 1", id="a coin"),
        pytest.param({**SHARE, "futility_threshold": 0}, 422, "null for never", id="never futile"),
        pytest.param({**SHARE, "max_duration": "0s"}, 422, "longer than 0", id="no time"),
        pytest.param({**SHARE, "units_per_day": 0}, 422, "units_per_day is above 0", id="no pace"),
        pytest.param({**SHARE, "events_per_unit": 0.5}, 422, "1 or more", id="half an event"),
        pytest.param({**SHARE, "correlation": 2}, 422, "between 0 and 1", id="too correlated"),
        pytest.param({**SHARE, "weights": [60, 40]}, 422, "so that the control", id="no control"),
        pytest.param({**SHARE, "weights": [0, 40]}, 422, "each above 0", id="a share of nothing"),
        pytest.param(
            {**SHARE, "weights": [10, 10], "treatments": 3}, 422, "leave one of them", id="at odds"
        ),
        pytest.param({**SHARE, "metric": "latency_p99"}, 422, "percentile", id="a percentile"),
        pytest.param({**SHARE, "metrics": "accuracy"}, 422, "metrics", id="an unknown field"),
        pytest.param({"model": "x", "metric": "accuracy"}, 404, "x", id="no such model"),
    ],
)
async def test_what_cannot_be_planned(
    client: AsyncClient, body: dict[str, Any], status: int, detail: str
):
    response = await client.post("experiments/plan", json=body)

    assert response.status_code == status
    assert detail in response.text


@pytest.mark.parametrize(
    ("asked", "whose"),
    [
        pytest.param({}, "any version of fraud-detection", id="nothing serves"),
        pytest.param({"control": "1.0.0"}, "version 1.0.0 of fraud-detection", id="nothing seen"),
        pytest.param({"metric": "latency_mean", "baseline": 5}, "latency_mean", id="no variance"),
    ],
)
async def test_a_model_without_a_past(
    client: AsyncClient, session: AsyncSession, asked: dict[str, Any], whose: str
):
    await version(session)

    response = await client.post(
        "experiments/plan", json={"model": MODEL, "metric": "accuracy"} | asked
    )

    assert response.status_code == 409
    assert whose in response.json()["detail"]


async def test_nothing_is_changed(client: AsyncClient, session: AsyncSession):
    await observed(session)
    count = text("SELECT count(*) FROM audit_entry")
    before = await session.scalar(count)

    await plan(client, model=MODEL, metric="accuracy")

    assert await session.scalar(count) == before


def test_an_inquiry_is_a_value():
    adapter = TypeAdapter(Inquiry)
    body = {**SHARE, "weights": [12.5, 20], "max_duration": "P14D", "model": None}

    assert adapter.dump_python(adapter.validate_python(body), mode="json").items() >= body.items()
