"""A service with something to evaluate."""

import asyncio

import pytest
from httpx2 import AsyncClient

HALVES = [{"version": "1.0.0", "weight": 50}, {"version": "2.0.0", "weight": 50}]
TURNS = {"strategy": "round_robin", "variants": HALVES}
RULES = {"rules": [{"attribute": "country", "values": ["DE"], "version": "2.0.0"}]}
EXPERIMENT = {
    "key": "ranking-test",
    "control": "1.0.0",
    "treatments": [{"version": "2.0.0"}],
    "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.05},
}


async def put_in_place(api: AsyncClient) -> None:
    """Models that are split by unit, by turns and by an experiment, one that is not split, and one
    that nothing serves."""
    for model in ("fraud-detection", "churn", "turns", "ranking", "idle"):
        for version in ("1.0.0", "2.0.0"):
            await sent(api, "POST", f"models/{model}/versions", {"version": version})
    await sent(api, "PUT", "models/fraud-detection/split", {"variants": HALVES})
    await sent(api, "PUT", "models/fraud-detection/overrides", RULES)
    await sent(api, "PUT", "models/turns/split", TURNS)
    alone = {"variants": [{"version": "1.0.0", "weight": 100}]}
    await sent(api, "PUT", "models/churn/split", alone)
    made = await sent(api, "POST", "models/ranking/experiments", EXPERIMENT)
    await sent(api, "POST", f"experiments/{made['id']}/start", {"reason": "agreed"})
    async with asyncio.timeout(60):
        for model in ("fraud-detection", "turns", "churn", "ranking"):
            while (await api.post(f"models/{model}/assign", json={})).status_code != 200:
                await asyncio.sleep(0.01)


async def sent(api: AsyncClient, method: str, path: str, body: object) -> dict[str, str]:
    response = await api.request(method, path, json=body)
    assert response.is_success, response.text
    answer: dict[str, str] = response.json()
    return answer


@pytest.fixture
async def flags(live_client: AsyncClient) -> AsyncClient:
    await put_in_place(live_client)
    return live_client


@pytest.fixture
async def serving(address: str) -> str:
    async with AsyncClient(base_url=f"{address}/api/v1/", timeout=60) as api:
        await put_in_place(api)
    return address
