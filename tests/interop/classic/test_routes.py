from dataclasses import replace
from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import Clock
from turnout.observations import commands
from turnout.settings import Settings

PATHS = "versioning/api"


async def test_no_model_and_several_models_are_refused(client: AsyncClient, settings: Settings):
    nothing = await client.get(f"{PATHS}/models/versions")
    for name in ("churn", "fraud"):
        (await client.post("models", json={"name": name})).raise_for_status()

    several = await client.get(f"{PATHS}/models/versions")

    assert (nothing.status_code, several.status_code) == (404, 409)
    assert several.json()["models"] == ["churn", "fraud"]
    assert "TURNOUT_CLASSIC_MODEL" in several.json()["detail"]


@pytest.mark.parametrize(
    ("named", "status"),
    [pytest.param("fraud", 200, id="one of them"), pytest.param("spam", 404, id="none of them")],
)
async def test_the_setting_says_which_model_is_meant(client: AsyncClient, named: str, status: int):
    for name in ("churn", "fraud"):
        (await client.post("models", json={"name": name})).raise_for_status()
    transport = client._transport
    assert isinstance(transport, ASGITransport)
    state = transport.app.state  # type: ignore[attr-defined]
    meant = state.resources.settings.model_copy(update={"classic_model": named})
    state.resources = replace(state.resources, settings=meant)

    response = await client.get(f"{PATHS}/models/versions")

    assert response.status_code == status
    assert response.json()["model"] == named


async def test_a_quick_start_beside_it_does_not_make_a_model_unclear(classic: AsyncClient):
    tried = await classic.post("http://test/models", json={"name": "sentiment", "version": "v1"})
    assert tried.status_code == 201

    assert (await classic.get("models/versions")).json()["model"] == "churn"


async def test_versions_are_listed_with_the_current_one(classic: AsyncClient):
    listed = (await classic.get("models/versions")).json()
    current = (await classic.get("models/versions/current")).json()
    following = (await classic.get("models/versions/next")).json()

    assert [one["version"] for one in listed["versions"]] == ["3.0.0", "2.0.0", "1.0.0"]
    assert (listed["current"], current["version"]) == ("1.0.0", "1.0.0")
    assert (current["is_current"], current["is_serving"], current["accuracy"]) == (True, True, 0.9)
    assert following == {"major": "4.0.0", "minor": "3.1.0", "patch": "3.0.1"}


async def test_a_promotion_keeps_the_previous_version_for_a_rollback(classic: AsyncClient):
    promoted = await classic.post("models/versions/2.0.0/promote", json={"backup_current": True})
    stages = {
        one["version"]: one["stage"]
        for one in (await classic.get("models/versions")).json()["versions"]
    }
    back = await classic.post("models/rollback", json={"details": "customers complain"})
    events = (await classic.get("models/rollback/history")).json()["events"]

    assert promoted.json()["backup_version"] == "1.0.0"
    assert stages == {"1.0.0": "archived", "2.0.0": "production", "3.0.0": "development"}
    assert events == [back.json()]
    assert {name: events[0][name] for name in ("from_version", "to_version", "automatic")} == {
        "from_version": "2.0.0",
        "to_version": "1.0.0",
        "automatic": False,
    }
    assert (events[0]["reason"], events[0]["details"]) == ("manual", "customers complain")
    assert (await classic.get("models/versions/current")).json()["version"] == "1.0.0"


async def test_what_was_rolled_back_is_promoted_again_only_with_a_reason(classic: AsyncClient):
    await classic.post("models/versions/2.0.0/promote")
    await classic.post("models/rollback", json={"to_version": "1.0.0"})
    again = "models/versions/2.0.0/promote"

    quarantined = await classic.post(again)
    silent = await classic.post(again, json={"override_quarantine": True})
    said = await classic.post(again, json={"override_quarantine": True, "reason": "mended"})

    assert (quarantined.status_code, silent.status_code, said.status_code) == (409, 422, 200)


async def test_several_that_share_the_traffic_are_all_replaced(classic: AsyncClient):
    shares = [{"version": "1.0.0", "weight": 60}, {"version": "2.0.0", "weight": 40}]
    set_by_hand = await classic.put(
        "http://test/api/v1/models/churn/split", json={"variants": shares}
    )
    assert set_by_hand.status_code == 200

    for version in ("2.0.0", "3.0.0"):
        promoted = await classic.post(f"models/versions/{version}/promote")
        assert promoted.status_code == 200, promoted.text

    split = (await classic.get("http://test/api/v1/models/churn/split")).json()
    assert [(arm["version"], arm["weight"]) for arm in split["variants"]] == [("3.0.0", 100)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("models/versions/9.9.9/promote", {}, 404, id="no such version"),
        pytest.param("models/versions/newest/promote", {}, 422, id="no version at all"),
        pytest.param("models/versions/1.0.0/promote", {}, 409, id="answers already"),
        pytest.param("models/versions/2.0.0/promote", {"backup": 1}, 422, id="unknown field"),
        pytest.param("models/rollback", {"to_version": "9.9.9"}, 404, id="back to nothing"),
        pytest.param("models/rollback", {"to_version": "1.0.0"}, 409, id="back to itself"),
        pytest.param("models/rollback", {"details": ""}, 422, id="no reason"),
        pytest.param("models/rollback", {}, 409, id="nothing else has proved itself"),
        pytest.param("models/feedback", {}, 422, id="no feedback"),
        pytest.param(
            "models/feedback", {"was_correct": "perhaps"}, 422, id="neither true nor false"
        ),
    ],
)
async def test_what_cannot_be_done_is_refused(
    classic: AsyncClient, path: str, body: dict[str, object], status: int
):
    response = await classic.post(path, json=body)

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_thresholds_are_the_four_limits_of_monitoring(classic: AsyncClient):
    own = {"rules": [{"metric": "cost", "max": 1, "last": 100}]}
    await classic.put("http://test/api/v1/models/churn/thresholds", json=own)
    before = (await classic.get("models/performance/thresholds")).json()
    limits = {
        "min_accuracy": 0.7,
        "max_error_rate": 0.02,
        "max_latency_ms": 150,
        "min_confidence": None,
        "evaluation_window": 50,
        "consecutive_failures": 2,
    }

    put = await classic.put("models/performance/thresholds", json=limits)

    after = (await classic.get("models/performance/thresholds")).json()
    watched = (await classic.get("http://test/api/v1/models/churn/thresholds")).json()["rules"]
    assert (before["active"], before["min_accuracy"]) == (False, 0.8)
    assert put.json() == after
    assert {name: after[name] for name in limits} == limits
    assert after["active"] is True
    assert [rule["metric"] for rule in watched] == [
        "cost",
        "accuracy",
        "error_rate",
        "latency_mean",
    ]


async def test_performance_is_that_of_the_version_that_serves(
    classic: AsyncClient, session: AsyncSession, clock: Clock
):
    for correct in (True, True, True, False):
        given = await classic.post("models/feedback", json={"was_correct": correct})
        assert given.json() == {"status": "recorded", "version": "1.0.0"}
    await commands.fold(session, now=clock())
    clock.advance(timedelta(minutes=5))

    found = (await classic.get("models/performance")).json()
    other = (await classic.get("models/performance?version=2.0.0")).json()
    history = (await classic.get("models/performance/history?hours=2")).json()

    assert found["version"] == "1.0.0"
    assert found["metrics"]["predictions_count"] == found["metrics"]["feedback_count"] == 4
    assert found["metrics"]["accuracy"] == 0.75
    assert (other["version"], other["metrics"]["predictions_count"]) == ("2.0.0", 0)
    assert [(one["version"], one["accuracy"]) for one in history["snapshots"]] == [("1.0.0", 0.75)]


async def test_feedback_on_a_prediction_counts_once_and_waits_for_it(
    classic: AsyncClient, session: AsyncSession
):
    seen = {"predictions": [{"prediction_id": "p-1", "version": "1.0.0"}]}
    await classic.post("http://test/api/v1/models/churn/observations", json=seen)

    answers = [
        (await classic.post("models/feedback", json={"prediction_id": one, "was_correct": True}))
        for one in ("p-1", "p-1", "p-2")
    ]

    assert [one.json()["status"] for one in answers] == ["recorded", "duplicate", "waiting"]
