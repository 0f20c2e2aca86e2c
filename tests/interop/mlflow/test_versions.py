"""Versions and stages through MLflow's door, beside those that came otherwise."""

import asyncio
from typing import Any

from httpx2 import AsyncClient, Response

DOOR = "http://test/api/2.0/mlflow"


async def create(client: AsyncClient, **body: Any) -> Response:
    sent = {"name": "fraud", "source": "s3://b/1", **body}
    return await client.post(f"{DOOR}/model-versions/create", json=sent)


async def move(client: AsyncClient, version: int, stage: str, **body: Any) -> Response:
    sent = {"name": "fraud", "version": str(version), "stage": stage, **body}
    return await client.post(f"{DOOR}/model-versions/transition-stage", json=sent)


async def stages(client: AsyncClient) -> dict[str, str]:
    found = await client.get(f"{DOOR}/model-versions/search")
    return {one["version"]: one["current_stage"] for one in found.json()["model_versions"]}


async def test_versions_that_come_at_once_get_names_and_numbers_of_their_own(
    live_client: AsyncClient,
) -> None:
    await live_client.post("models/fraud/versions", json={"version": "1.4.0"})

    answers = await asyncio.gather(*(create(live_client) for _ in range(4)))

    made = [answer.json()["model_version"] for answer in answers]
    names = {tag["value"] for one in made for tag in one["tags"] if tag["key"] == "semver"}
    assert names == {"1.5.0", "1.6.0", "1.7.0", "1.8.0"}
    assert {one["version"] for one in made} == {"2", "3", "4", "5"}


async def test_a_copy_is_served_as_its_original_is(live_client: AsyncClient) -> None:
    runtime = {"kind": "http", "url": "http://localhost:8080"}
    original = {"version": "1.0.0", "runtime": runtime, "metrics": {"auc": 0.9}}
    await live_client.post("models/fraud/versions", json=original)
    await live_client.post("models", json={"name": "fraud-eu"})

    copied = await create(live_client, name="fraud-eu", source="models:/fraud/1")
    missing = await create(live_client, name="fraud-eu", source="models:/fraud/7")

    assert copied.status_code == 200, copied.text
    found = (await live_client.get("models/fraud-eu/versions/1.0.0")).json()
    assert found["runtime"]["url"] == "http://localhost:8080"
    assert found["metrics"] == {"auc": 0.9}
    assert missing.status_code == 404
    assert missing.json()["message"] == "Model Version (name=fraud, version=7) not found"


async def test_stages_are_labels_that_lead_through_each_other(live_client: AsyncClient) -> None:
    await live_client.post("models", json={"name": "fraud"})
    for _ in range(3):
        await create(live_client)

    for version in (1, 2):
        assert (await move(live_client, version, "staging")).status_code == 200
    archiving = await move(live_client, 3, "Staging", archive_existing_versions=True)
    before = await stages(live_client)
    for version in (3, 1):
        assert (await move(live_client, version, "Production")).status_code == 200
    odd = await move(live_client, 1, "Archived", archive_existing_versions=True)
    back = await move(live_client, 1, "None")
    again = await move(live_client, 1, "None")

    assert archiving.json()["model_version"]["current_stage"] == "Staging"
    assert before == {"1": "Archived", "2": "Archived", "3": "Staging"}
    assert (odd.status_code, odd.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert (back.status_code, again.status_code) == (200, 200)
    assert await stages(live_client) == {"1": "None", "2": "Archived", "3": "Archived"}


async def test_a_refused_promotion_brings_the_report_of_the_gates(live_client: AsyncClient) -> None:
    await live_client.post("models", json={"name": "fraud"})
    await create(live_client)
    gates = {"gates": [{"kind": "metric", "metric": "auc", "min": 0.8}]}
    await live_client.put("models/fraud/gate-policy", json={"production": gates})

    refused = await move(live_client, 1, "Production")

    assert refused.status_code == 409, refused.text
    assert refused.json()["error_code"] == "RESOURCE_CONFLICT"
    assert refused.json()["report"]["verdict"] == "fail"
    assert await stages(live_client) == {"1": "Staging"}
