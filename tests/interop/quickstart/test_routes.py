import asyncio
from collections import Counter
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

ROOT = "http://test"


async def register(client: AsyncClient, version: str, **more: object) -> str:
    body = {"name": "sentiment", "version": version, **more}
    response = await client.post(f"{ROOT}/models", json=body)
    assert response.status_code == 201, response.text
    model_id: str = response.json()["model_id"]
    return model_id


async def activate(client: AsyncClient, model_id: str, percent: float) -> Response:
    body = {"traffic_percent": percent}
    return await client.post(f"{ROOT}/models/{model_id}/activate", json=body)


async def predict(client: AsyncClient, text: object = "I love it", **more: object) -> Response:
    return await client.post(f"{ROOT}/predict", json={"text": text, **more})


async def answers(client: AsyncClient, status: int, **more: object) -> dict[str, Any]:
    """What a prediction answers once this replica follows what was set."""
    async with asyncio.timeout(10):
        while (response := await predict(client, **more)).status_code != status:
            await asyncio.sleep(0.01)
    body: dict[str, Any] = response.json()
    return body


async def shares(client: AsyncClient) -> dict[str, float]:
    models = (await client.get(f"{ROOT}/models")).json()["models"]
    return {one["version"]: one["traffic_percent"] for one in models}


async def test_a_model_is_registered_without_traffic(client: AsyncClient):
    body = {"name": "sentiment", "version": "v1.0", "accuracy": 0.85, "description": "first"}

    response = await client.post(f"{ROOT}/models", json=body)

    model_id = response.json()["model_id"]
    assert response.json() == {
        "model_id": model_id,
        "name": "sentiment",
        "version": "v1.0",
        "status": "inactive",
        "traffic_percent": 0,
    }
    version = (await client.get("models/quick-start/versions/1.0.0")).json()
    assert version["runtime"] == {"kind": "demo-sentiment", "words": "full"}
    assert version["metrics"] == {"accuracy": 0.85}


async def test_shares_are_set_one_after_the_other(client: AsyncClient):
    one, two = await register(client, "v1"), await register(client, "v2")

    first = await activate(client, one, 80)
    refused = await activate(client, two, 30)
    second = await activate(client, two, 20)

    assert first.json()["traffic_percent"] == 80
    assert (refused.status_code, refused.json()["free_percent"]) == (409, 20)
    assert second.json()["status"] == "active"
    assert await shares(client) == {"v1": 80, "v2": 20}
    split = (await client.get("models/quick-start/split")).json()
    assert {arm["name"]: arm["weight"] for arm in split["variants"]} == {"v1": 80, "v2": 20}


async def test_a_share_of_zero_deactivates(client: AsyncClient):
    one, two = await register(client, "v1"), await register(client, "v2")
    for model_id, percent in ((one, 30), (two, 10), (one, 0)):
        assert (await activate(client, model_id, percent)).is_success
    assert await shares(client) == {"v1": 0, "v2": 10}

    assert (await activate(client, two, 0)).json()["status"] == "inactive"

    assert await shares(client) == {"v1": 0, "v2": 0}
    assert (await client.get("models/quick-start/split")).status_code == 404
    assert (await activate(client, one, 100)).json()["status"] == "active"


async def test_two_who_set_shares_at_once_do_not_give_away_more_than_everything(
    live_client: AsyncClient,
):
    one, two = await register(live_client, "v1"), await register(live_client, "v2")

    answers = await asyncio.gather(*(activate(live_client, each, 70) for each in (one, two)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert sorted((await shares(live_client)).values()) == [0, 70]


async def test_what_a_rollout_has_done_since_is_what_shares_go_by(client: AsyncClient):
    one = await register(client, "v1")
    two = await register(client, "v2")
    await activate(client, one, 80)
    launch = {
        "candidate": "2.0.0",
        "strategy": "replace",
        "stages": [{"weight": 100, "bake": "1h"}],
    }
    rollout = (await client.post("models/quick-start/rollouts", json=launch)).json()["id"]

    refused = await activate(client, one, 10)
    tested = (await client.get(f"{ROOT}/models?status=testing")).json()["models"]
    await client.post(f"rollouts/{rollout}/promote", json={})
    overbooked = await activate(client, one, 10)

    assert refused.json()["owner"]["kind"] == "rollout"
    assert [model["model_id"] for model in tested] == [two]
    assert overbooked.json()["taken"] == {"v2": 100}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"version": "1.0.0"}, "body.name", id="no name"),
        pytest.param({"name": "a", "version": "newest"}, "body.version", id="no version"),
        pytest.param({"name": "a", "version": "1", "accuracy": 85}, "body.accuracy", id="percent"),
        pytest.param({"name": "a", "version": "1", "colour": 1}, "body.colour", id="unknown"),
    ],
)
async def test_a_malformed_registration_says_where(
    client: AsyncClient, body: dict[str, object], field: str
):
    response = await client.post(f"{ROOT}/models", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


async def test_the_same_version_twice_is_refused(client: AsyncClient):
    await register(client, "v1")

    response = await client.post(f"{ROOT}/models", json={"name": "b", "version": "1.0.0"})

    assert response.status_code == 409


@pytest.mark.parametrize("model_id", ["model-0fffff", "model-1", "sentiment"])
async def test_an_unknown_model_cannot_be_activated(client: AsyncClient, model_id: str):
    assert (await activate(client, model_id, 10)).status_code == 404
    await register(client, "v1")
    assert (await activate(client, model_id, 10)).status_code == 404


async def test_predictions_go_by_the_shares(live_client: AsyncClient):
    nothing = await predict(live_client)
    one, two = await register(live_client, "v1"), await register(live_client, "v2")
    await activate(live_client, one, 80)
    await activate(live_client, two, 20)
    async with asyncio.timeout(10):
        while (await answers(live_client, 200))["metadata"]["reason"] != "split":
            await asyncio.sleep(0.01)

    found = [(await predict(live_client, user_id=n)).json() for n in range(100)]
    again = [(await predict(live_client, user_id=str(n))).json() for n in range(100)]

    assert nothing.status_code == 503
    counts = Counter(answer["model_version"] for answer in found)
    assert counts["v1"] + counts["v2"] == 100
    assert 55 <= counts["v1"] <= 97  # six standard deviations below, four above
    assert [answer["model_id"] for answer in again] == [answer["model_id"] for answer in found]
    assert {answer["metadata"]["answered_by"] for answer in found} == {"demo-sentiment"}
    assert {answer["prediction"] for answer in found} == {"positive"}


async def test_a_version_can_be_forced(live_client: AsyncClient):
    one = await register(live_client, "v1")
    two = await register(live_client, "v2", runtime={"kind": "demo-sentiment", "words": "small"})
    unknown = await predict(live_client, model_version="v3")
    nothing = await predict(live_client, model_version="v2")
    await activate(live_client, one, 100)

    forced = await answers(live_client, 200, text="A splendid day", model_version="v2")

    assert (unknown.status_code, nothing.status_code) == (404, 503)
    assert (forced["model_id"], forced["model_version"]) == (two, "v2")
    assert (forced["prediction"], forced["metadata"]["reason"]) == ("neutral", "forced")
    for nonsense in ("v9", "newest", "@champion"):
        assert (await predict(live_client, model_version=nonsense)).status_code == 404
    await activate(live_client, one, 0)
    assert "no model is active" in (await answers(live_client, 503))["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "body.text", id="nothing"),
        pytest.param({"text": " \n"}, "body.text", id="only space"),
        pytest.param({"text": ["good"]}, "body.text", id="a list"),
        pytest.param({"text": "good", "user_id": ""}, "body.user_id", id="an empty user"),
        pytest.param({"text": "good", "user_id": True}, "body.user_id", id="a user that is true"),
        pytest.param({"text": "good", "version": "v1"}, "body.version", id="unknown field"),
    ],
)
async def test_a_malformed_question_says_where(
    client: AsyncClient, body: dict[str, object], field: str
):
    response = await client.post(f"{ROOT}/predict", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


async def test_before_anything_is_registered_the_lists_are_empty(client: AsyncClient):
    performance = (await client.get(f"{ROOT}/models/performance")).json()

    assert (await client.get(f"{ROOT}/models")).json() == {"models": []}
    assert performance["models"] == []
    assert performance["recommendation"].startswith("nothing to compare yet")
