"""Versions side by side over HTTP."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, add_minute
from tests.registry.requests import VERSIONS, refused, register

COMPARE = "models/fraud-detection/compare"


@pytest.fixture
async def registered(client: AsyncClient) -> dict[str, int]:
    """Three versions; the second is in production and has an alias."""
    ids = {}
    for version, accuracy in (("1.0.0", 0.9), ("2.0.0+b1", 0.92), ("3.0.0", 0.85)):
        metrics = {"accuracy": accuracy, "glow": accuracy}
        groups = {"young": {"accuracy": accuracy - 0.1}} if version != "3.0.0" else {}
        answer = await register(client, version, metrics=metrics, group_metrics=groups)
        ids[version] = answer["id"]
    for stage in ("staging", "production"):
        await client.post(f"{VERSIONS}/2.0.0+b1/transitions", json={"to": stage})
    await client.put("models/fraud-detection/aliases/champion", json={"version": "2.0.0+b1"})
    return ids


async def test_registered_and_live_figures_stand_side_by_side(
    client: AsyncClient, session: AsyncSession, registered: dict[str, int]
) -> None:
    model = (await client.get("models/fraud-detection")).json()["id"]
    await add_minute(session, model, registered["3.0.0"], minute=NOON, predictions=50)

    answer = (await client.get(COMPARE, params={"versions": "1.0.0,@champion,3.0.0"})).json()

    assert answer["against"] == "1.0.0"
    assert [(each["version"], each["predictions"]) for each in answer["versions"]] == [
        ("1.0.0", 0),
        ("2.0.0+b1", 0),
        ("3.0.0", 50),
    ]
    judged = {
        row["metric"]: [cell["judgement"] for cell in row["values"].values()]
        for row in answer["metrics"]
    }
    assert judged == {"accuracy": ["same", "better", "worse"], "glow": ["same", None, None]}
    [young] = answer["group_metrics"]["young"]
    assert young["values"]["2.0.0+b1"]["judgement"] == "better"
    live = {row["metric"]: row["values"]["3.0.0"]["value"] for row in answer["live"]}
    assert live["error_rate"] == 0
    assert all(row["values"]["1.0.0"]["value"] is None for row in answer["live"])


@pytest.mark.parametrize(
    ("query", "order", "against"),
    [
        pytest.param("versions=1.0.0&against=production", "2.0.0+b1 1.0.0", "2.0.0+b1", id="one"),
        pytest.param("versions=3.0.0,1.0.0&against=1.0.0", "3.0.0 1.0.0", "1.0.0", id="named"),
        pytest.param("versions=2.0.0+b1,1.0.0", "2.0.0+b1 1.0.0", "2.0.0+b1", id="plus sign"),
        pytest.param("versions=1.0.0,v1.0,3.0.0", "1.0.0 3.0.0", "1.0.0", id="named twice"),
    ],
)
async def test_what_is_compared_with_what(
    client: AsyncClient, registered: dict[str, int], query: str, order: str, against: str
) -> None:
    answer = (await client.get(f"{COMPARE}?{query}")).json()

    assert [each["version"] for each in answer["versions"]] == order.split()
    assert answer["against"] == against


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        pytest.param("versions=1.0.0", 422, "name 2 to 10", id="one version"),
        pytest.param("versions=,", 422, "name 2 to 10", id="none"),
        pytest.param(f"versions={','.join(['1.0.0'] * 11)}", 422, "name 2 to 10", id="too many"),
        pytest.param("versions=1.0.0,9.0.0", 404, "no version 9.0.0", id="not there"),
        pytest.param("versions=1.0.0,a", 422, "not a semantic version", id="no version"),
        pytest.param("versions=1.0.0,3.0.0&window=8d", 422, "7 days", id="too far back"),
    ],
)
async def test_what_cannot_be_compared(
    client: AsyncClient, registered: dict[str, int], query: str, status: int, sentence: str
) -> None:
    assert sentence in refused(await client.get(f"{COMPARE}?{query}"), status)


async def test_no_version_in_production(client: AsyncClient) -> None:
    await register(client)

    asked = await client.get(f"{COMPARE}?versions=1.0.0&against=production")
    assert "no version in production" in refused(asked, 404)
