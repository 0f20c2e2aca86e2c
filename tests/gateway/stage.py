"""What tests of the gateway set up over HTTP, and what they find recorded."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient, Response
from sqlalchemy import text

from turnout import db
from turnout.db import Sessions

MODEL = "fraud-detection"


async def register(
    client: AsyncClient, version: str, runtime: Mapping[str, object] | None = None
) -> None:
    body = {"version": version, "runtime": runtime or {"kind": "external"}}
    response = await client.post(f"models/{MODEL}/versions", json=body)
    assert response.status_code == 201, response.text


async def register_server(client: AsyncClient, version: str, url: str, **config: object) -> None:
    await register(client, version, {"kind": "http", "protocol": "json", "url": url, **config})


async def register_onnx(client: AsyncClient, version: str, file: Path) -> None:
    content = await asyncio.to_thread(file.read_bytes)
    await register(client, version, {"kind": "onnx"})
    response = await client.put(f"models/{MODEL}/versions/{version}/artifact", content=content)
    assert response.status_code in {200, 201}, response.text


async def split(client: AsyncClient, *variants: Mapping[str, object]) -> int:
    """Set the split and wait until it is followed; its id."""
    response = await client.put(f"models/{MODEL}/split", json={"variants": variants})
    assert response.status_code == 200, response.text
    split_id: int = response.json()["split_id"]
    async with asyncio.timeout(10):
        while (await assign(client)).json().get("split_id") != split_id:
            await asyncio.sleep(0.001)
    return split_id


async def assign(client: AsyncClient, **body: object) -> Response:
    return await client.post(f"models/{MODEL}/assign", json=body)


async def predict(client: AsyncClient, inputs: object = (1, 2), **body: object) -> Response:
    return await client.post(f"models/{MODEL}/predict", json={"inputs": inputs, **body})


@dataclass(frozen=True)
class Recorded:
    prediction_id: str
    version: str
    split_id: int
    error: str | None
    shadow: bool
    unit: str | None
    label: str | None
    country: str | None = None


async def recorded(sessions: Sessions, count: int) -> list[Recorded]:
    """Wait until that many predictions are recorded; failures first."""
    query = text(
        "SELECT prediction_id, version, split_id, error, shadow_version > 0, unit, label,"
        " features ->> 'country'"
        " FROM prediction JOIN version ON version.id = version_id"
        " ORDER BY error IS NULL, shadow_version, at, version"
    )
    rows: list[Any] = []
    async with asyncio.timeout(10):
        while len(rows) < count:
            async with db.transaction(sessions) as session:
                rows = list((await session.execute(query)).all())
    return [Recorded(*row) for row in rows]
