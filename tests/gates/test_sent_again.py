"""What runs slow gates is done once however often it is sent with one `Idempotency-Key`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web
from httpx2 import AsyncClient
from sqlalchemy import text

from tests.conftest import Clock
from tests.events.test_order import until_somebody_waits
from tests.gateway import model_servers
from tests.registry.requests import VERSIONS, refused, register
from turnout.db import Sessions, transaction

KEY = {"Idempotency-Key": "k-1"}
STAGING = {"to": "staging", "reason": "the nightly build"}
OTHERWISE = {"to": "staging", "reason": "another request"}
MOVE = f"{VERSIONS}/2.0.0/transitions"
TRY = f"{VERSIONS}/2.0.0/gates"
POLICY = "models/fraud-detection/gate-policy"


@dataclass
class Gate:
    """A webhook that counts how often it is asked, and may wait for others to ask it, too."""

    passed: bool = True
    together: int = 1
    asked: int = 0
    all_here: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.asked >= self.together:
            self.all_here.set()
        await self.all_here.wait()
        return web.json_response({"passed": self.passed, "reason": "it says so"})


@asynccontextmanager
async def guarding(client: AsyncClient, gate: Gate, stage: str = "staging") -> AsyncIterator[None]:
    await register(client, "2.0.0")
    async with model_servers.serving(gate) as url:
        webhook = {"kind": "webhook", "name": "says", "url": url}
        await client.put(POLICY, json={stage: {"gates": [webhook]}})
        yield


@pytest.mark.parametrize(
    ("path", "passed", "status", "outcome"),
    [
        pytest.param(MOVE, True, 200, "moved", id="a move"),
        pytest.param(MOVE, False, 409, "stayed", id="a move that the gate refused"),
        pytest.param(TRY, True, 200, "dry_run", id="a dry run"),
    ],
)
async def test_the_gates_are_asked_once(
    calling: AsyncClient, path: str, passed: bool, status: int, outcome: str
) -> None:
    gate = Gate(passed=passed)
    async with guarding(calling, gate):
        first = await calling.post(path, json=STAGING, headers=KEY)
        again = await calling.post(path, json=STAGING, headers=KEY)
        other = await calling.post(path, json=OTHERWISE, headers=KEY)

    assert (first.status_code, again.status_code) == (status, status), first.text
    assert again.json() == first.json()
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "was used for another request" in refused(other, 422)
    assert gate.asked == 1
    reports = (await calling.get(TRY)).json()["items"]
    assert [report["outcome"] for report in reports] == [outcome]


async def test_two_at_once_are_one(calling: AsyncClient) -> None:
    """Both are under way when the gate answers: one moves the version, both say so."""
    gate = Gate(together=2)
    async with guarding(calling, gate):
        one, other = await asyncio.gather(
            *(calling.post(MOVE, json=STAGING, headers=KEY) for _ in range(2))
        )

    assert (one.status_code, other.status_code) == (200, 200), one.text + other.text
    assert one.json() == other.json()
    history = (await calling.get(f"{VERSIONS}/2.0.0")).json()["history"]
    assert [entry["to_stage"] for entry in history].count("staging") == 1


async def test_the_later_of_two_is_not_refused_for_what_the_first_has_done(
    live_client: AsyncClient, sessions: Sessions
) -> None:
    """It asks whether it was answered before the first commits, and looks at the version after."""
    await register(live_client, "2.0.0")
    first = await live_client.post(MOVE, json=STAGING, headers=KEY)
    async with transaction(sessions) as session:
        await session.execute(text("UPDATE idempotency_key SET key = 'not yet'"))
        await session.execute(text("UPDATE version SET stage = 'development'"))
    async with transaction(sessions) as session:
        await session.execute(text("LOCK TABLE model"))
        later = asyncio.create_task(live_client.post(MOVE, json=STAGING, headers=KEY))
        await until_somebody_waits(sessions)
        await session.execute(text("UPDATE idempotency_key SET key = 'k-1'"))
        await session.execute(text("UPDATE version SET stage = 'staging'"))

    assert (await later).json() == first.json()


async def test_a_refusal_that_changed_nothing_leaves_the_key_free(calling: AsyncClient) -> None:
    absent = await calling.post(MOVE, json=STAGING, headers=KEY)
    await register(calling, "2.0.0")
    there = await calling.post(MOVE, json=STAGING, headers=KEY)

    assert (absent.status_code, there.status_code) == (404, 200)


async def test_a_rollout_that_is_sent_again_asks_no_gate(
    calling: AsyncClient, clock: Clock
) -> None:
    gate = Gate()
    order = {"candidate": "2.0.0", "strategy": "replace"}
    path = "models/fraud-detection/rollouts"
    async with guarding(calling, gate, "production"):
        first = await calling.post(path, json=order, headers=KEY)
        clock.advance(timedelta(hours=1))
        again = await calling.post(path, json=order, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201), first.text
    assert again.json() == first.json()
    assert gate.asked == 1


async def test_so_does_mlflows_way_of_moving_a_version(calling: AsyncClient) -> None:
    gate = Gate(passed=False)
    path = "http://test/api/2.0/mlflow/model-versions/transition-stage"
    move = {"name": "fraud-detection", "version": "1", "stage": "Staging"}
    async with guarding(calling, gate):
        first = await calling.post(path, json=move, headers=KEY)
        again = await calling.post(path, json=move, headers=KEY)

    assert (first.status_code, again.status_code) == (409, 409), first.text
    assert again.json() == first.json()
    assert first.json()["error_code"] == "RESOURCE_CONFLICT"
    assert gate.asked == 1
