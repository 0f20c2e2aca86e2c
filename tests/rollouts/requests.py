"""What tests of the routes send before they look at something."""

from datetime import timedelta
from typing import Any

from httpx2 import AsyncClient

from tests.rollouts.conftest import Driver

MINUTE = timedelta(minutes=1)
START = "models/fraud-detection/rollouts"


async def started(client: AsyncClient, driver: Driver, **fields: Any) -> dict[str, Any]:
    await driver.register("1.0.0", "2.0.0")
    await client.post(START, json={"candidate": "1.0.0"})
    answer = await client.post(START, json={"candidate": "2.0.0"} | fields)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def started_anew(client: AsyncClient, driver: Driver) -> dict[str, Any]:
    model = f"model-{driver.clock.advance(MINUTE):%H-%M}"
    await driver.register("1.0.0", "2.0.0", model=model)
    await driver.start("1.0.0", model=model)
    answer = await client.post(f"models/{model}/rollouts", json={"candidate": "2.0.0"})
    view: dict[str, Any] = answer.json()
    return view
