"""The planner of rollouts over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, PERSON, prediction, version
from turnout.observations import commands
from turnout.rollouts.examples import LAUNCH
from turnout.traffic.commands import set_split
from turnout.traffic.domain.split import Owner, OwnerKind, Spread, Variant

MODEL = "fraud-detection"
MINUTE = timedelta(minutes=1)


async def plan(client: AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(
        f"models/{MODEL}/rollouts/plan", json={"candidate": "2.0.0"} | body
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture
async def serving(session: AsyncSession) -> None:
    """1.0.0 has answered once a second for ten minutes, one in fifty with an error."""
    one = await version(session, "1.0.0")
    await version(session, "2.0.0")
    split = await set_split(
        session,
        one.model_id,
        owner=PERSON,
        strategy=Spread.STICKY,
        variants=[Variant(name="v", version_id=one.id, version="1.0.0", weight=10_000)],
        actor="ada",
        now=NOON - 10 * MINUTE,
    )
    rows = [
        prediction(
            version_id=one.id,
            split_id=split.id,
            unit=f"user-{n}",
            at=NOON - timedelta(seconds=n + 1),
            latency_ms=20 + n % 9,
            error=n % 50 == 0,
        )
        for n in range(600)
    ]
    await commands.record_predictions(session, one.model_id, rows, now=NOON)
    await commands.fold(session, now=NOON)


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("example", LAUNCH.values(), ids=LAUNCH)
async def test_the_examples_work_as_sent(client: AsyncClient, example: dict[str, Any]):
    found = await plan(client, **example["value"])

    assert found["refusal"] is None
    assert (found["candidate"], found["baseline"]) == ("2.0.0", "1.0.0")
    assert found["predictions_per_day"] == pytest.approx(86_400)
    assert found["stages"]


@pytest.mark.usefixtures("serving")
async def test_stages_at_todays_pace(client: AsyncClient):
    limits = [
        {"metric": "error_rate", "max_increase": 0.005},
        {"metric": "latency_p99", "max": 100},
        {"metric": "churn", "max": 0.1},
    ]
    stages = [{"weight": 5, "bake": "1h", "guardrails": limits}, {"weight": 100, "bake": "2h"}]

    found = await plan(client, stages=stages)

    first, last = found["stages"]
    assert first["samples"] == {"candidate": 180, "baseline": 3_420}
    errors, latency, churn = first["guardrails"]
    assert errors["guardrail"]["max_increase"] == 0.005
    assert (errors["decides_after"], errors["in_time"]) == ("PT33M20S", True)
    assert 0.05 < errors["shows"] < 0.15
    assert (latency["shows_as"], latency["in_time"]) == ("slow_requests", True)
    assert (churn["in_time"], churn["reason"]) == (None, "nothing is known of churn of late")
    assert found["can_conclude"] is None
    assert "stages[0], churn" in found["reason"]
    assert (last["starts_after"], found["duration"]) == ("PT1H", "PT3H")


@pytest.mark.usefixtures("serving")
async def test_a_stage_that_cannot_conclude(client: AsyncClient):
    stages = [{"weight": 0.01, "bake": "10m"}, {"weight": 100, "bake": "1h"}]

    found = await plan(client, stages=stages)

    assert found["can_conclude"] is False
    assert found["stages"][0]["can_conclude"] is False
    assert "at most 0 come" in found["reason"]


@pytest.mark.usefixtures("serving")
async def test_the_goal_of_an_ab_stage(client: AsyncClient):
    goal = {"metric": "latency_mean", "minimum_detectable_effect": 0.5}

    found = await plan(client, strategy="ab_test", goal=goal)

    asked = next(stage["goal"] for stage in found["stages"] if stage["goal"])
    assert asked["goal"]["metric"] == "latency_mean"
    assert 400 < asked["sample_size"] < 700
    assert asked["in_time"] is True


@pytest.mark.usefixtures("serving")
async def test_nothing_is_started(client: AsyncClient, session: AsyncSession):
    counts = text(
        "SELECT (SELECT count(*) FROM rollout), (SELECT count(*) FROM split),"
        " (SELECT count(*) FROM audit_entry)"
    )
    before = (await session.execute(counts)).one()

    await plan(client)
    await plan(client, candidate="1.0.0")

    assert (await session.execute(counts)).one() == before


@pytest.mark.usefixtures("serving")
async def test_what_would_refuse_the_start(client: AsyncClient, session: AsyncSession):
    same = await plan(client, candidate="1.0.0")
    await client.post(f"models/{MODEL}/rollouts", json={"candidate": "2.0.0"})
    await version(session, "3.0.0")
    busy = await plan(client, candidate="3.0.0")
    queued = await plan(client, candidate="3.0.0", on_conflict="queue")

    assert same["can_conclude"] is busy["can_conclude"] is False
    assert same["refusal"] in same["reason"]
    assert "rollout" in busy["refusal"]
    assert busy["stages"]
    assert (queued["refusal"], queued["baseline"]) == (None, "1.0.0")


@pytest.mark.usefixtures("serving")
async def test_traffic_that_another_owns_and_versions_that_cannot_serve(
    client: AsyncClient, session: AsyncSession
):
    await version(session, "3.0.0")
    await client.post(f"models/{MODEL}/versions/3.0.0/transitions", json={"to": "rejected"})
    rejected = await plan(client, candidate="3.0.0")
    one = await version(session, "4.0.0")
    await set_split(
        session,
        one.model_id,
        owner=Owner(kind=OwnerKind.EXPERIMENT, id="e1"),
        strategy=Spread.STICKY,
        variants=[Variant(name="v", version_id=one.id, version="4.0.0", weight=10_000)],
        actor="ada",
        now=NOON,
    )
    owned = await plan(client)

    assert "rejected" in rejected["refusal"]
    assert "experiment e1" in owned["refusal"]


async def test_a_first_version_goes_live_at_once(client: AsyncClient, session: AsyncSession):
    await version(session, "1.0.0")

    found = await plan(client, candidate="1.0.0")

    assert found["first_version"] is found["can_conclude"] is True
    assert (found["stages"], found["baseline"]) == ([], None)


async def test_a_model_without_traffic(client: AsyncClient, session: AsyncSession):
    await version(session, "1.0.0")
    await version(session, "2.0.0")
    await client.post(f"models/{MODEL}/rollouts", json={"candidate": "1.0.0"})

    found = await plan(client)

    assert found["can_conclude"] is None
    assert found["stages"][0]["samples"] is None
    assert "no traffic" in found["reason"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"candidate": "9.0.0"}, 404, id="no such version"),
        pytest.param({"candidate": "2.0.0", "baseline": "9.0.0"}, 404, id="no such baseline"),
        pytest.param({"candidate": "2.0.0", "stages": []}, 422, id="no stages"),
    ],
)
async def test_what_cannot_be_planned(
    client: AsyncClient, session: AsyncSession, body: dict[str, Any], status: int
):
    await version(session, "2.0.0")

    response = await client.post(f"models/{MODEL}/rollouts/plan", json=body)

    assert response.status_code == status
