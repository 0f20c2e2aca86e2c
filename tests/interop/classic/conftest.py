from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from tests.conftest import Clock
from turnout.db import Sessions
from turnout.observations import commands
from turnout.rollouts.commands.tick import tick

Fed = Callable[..., Awaitable[None]]


@pytest.fixture
async def classic(client: AsyncClient) -> AsyncClient:
    """The classic paths of a service with one model, of which 1.0.0 is in production."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        body = {"version": version, "metrics": {"accuracy": 0.9}}
        (await client.post("models/churn/versions", json=body)).raise_for_status()
    client.base_url = client.base_url.join("versioning/api/")
    (await client.post("models/versions/1.0.0/promote")).raise_for_status()
    return client


@pytest.fixture
def feed(classic: AsyncClient, session: AsyncSession, clock: Clock) -> Fed:
    """Has versions of the split in force answer, `right` of 10 answers being right: what as much
    feedback by variant would record, in one request. The first version answers so many `times` as
    often as the second; `after` so many minutes."""

    async def feed(
        right: Mapping[str, int], *, answers: int, times: int = 1, after: int = 0
    ) -> None:
        clock.advance(timedelta(minutes=after))
        split = (await classic.get("http://test/api/v1/models/churn/split")).json()
        control, _ = right
        ids = {
            version: [
                f"{version}-{n}" for n in range(answers * (times if version == control else 1))
            ]
            for version in right
        }
        batch = {
            "predictions": [
                {
                    "prediction_id": one,
                    "unit": one,
                    "version": version,
                    "split_id": split["split_id"],
                }
                for version, of_version in ids.items()
                for one in of_version
            ],
            "outcomes": [
                {"prediction_id": one, "correct": n % 10 < right[version]}
                for version, of_version in ids.items()
                for n, one in enumerate(of_version)
            ],
        }
        sent = await classic.post("http://test/api/v1/models/churn/observations", json=batch)
        assert sent.json()["accepted"] == 2 * answers * (times + 1), sent.text
        await count(session, clock)

    return feed


async def count(session: AsyncSession, clock: Clock) -> None:
    while await commands.fold(session, now=clock()):
        pass
    clock.advance(timedelta(seconds=10))


@pytest.fixture
def running(classic: AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Creates and starts a test of 2.0.0 against 1.0.0."""

    async def start(**wanted: object) -> dict[str, Any]:
        body = {"control_version": "1.0.0", "treatment_version": "2.0.0", **wanted}
        made = await classic.post("ab-tests", json=body)
        assert made.status_code == 201, made.text
        started = await classic.post(f"ab-tests/{made.json()['test_id']}/start")
        assert started.status_code == 200, started.text
        view: dict[str, Any] = started.json()
        return view

    return start


@pytest.fixture
def looked_at(
    classic: AsyncClient, joined: Sessions, clock: Clock
) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Where the test `ramp` stands once the worker has looked at it."""

    async def look() -> dict[str, Any]:
        await tick(joined, clock=clock, interval=timedelta(seconds=1))
        view: dict[str, Any] = (await classic.get("ab-tests/ramp")).json()
        return view

    return look
