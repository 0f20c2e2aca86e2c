"""A model that is updated, and a worker on a movable clock."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from tests.conftest import Clock
from tests.delivery.receivers import Receiver, receiving
from turnout.db import Sessions
from turnout.settings import Settings
from turnout.worker import Worker

MODEL = "fraud-detection"
SECOND = timedelta(seconds=1)
AT_ONCE: Mapping[str, Any] = {"stages": [{"weight": 100, "bake": 0, "guardrails": []}]}
SLOWLY: Mapping[str, Any] = {"stages": [{"weight": 10, "bake": "1h", "guardrails": []}]}


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """Asks for updates over HTTP, moves the clock, and lets a worker have its turn."""

    client: AsyncClient
    worker: Worker
    clock: Clock

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = await self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Mapping[str, Any]) -> Response:
        answer = await self.client.request(method, path, json=body)
        assert not answer.is_success
        return answer

    async def register(self, version: str, *, model: str = MODEL, **said: Any) -> None:
        await self.call("POST", f"models/{model}/versions", {"version": version, **said})

    async def release(self, version: str, *, model: str = MODEL, **said: Any) -> None:
        await self.register(version, model=model, **said)
        await self.call("POST", f"models/{model}/rollouts", {"candidate": version, **AT_ONCE})
        await self.beat()

    async def ask(self, **wish: Any) -> str:
        found: str = (await self.call("POST", f"models/{MODEL}/updates", {**AT_ONCE, **wish}))["id"]
        return found

    async def policy(self, **said: Any) -> None:
        await self.call("PUT", f"models/{MODEL}/update-policy", said)

    async def show(self, update_id: str) -> Any:
        return await self.call("GET", f"updates/{update_id}")

    async def only(self) -> Any:
        [found] = (await self.call("GET", "updates"))["items"]
        return await self.show(found["id"])

    async def states(self, update_id: str) -> list[str]:
        return [step["state"] for step in (await self.show(update_id))["history"]]

    async def serving(self, *, model: str = MODEL) -> list[str]:
        split = await self.call("GET", f"models/{model}/split")
        return [each["version"] for each in split["variants"] if each["weight"]]

    async def beat(self, times: int = 1, *, every: timedelta = SECOND) -> None:
        for _ in range(times):
            self.clock.advance(every)
            await self.worker.start_updates()
            await self.worker.carry_updates()
            await self.worker.tick()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Receivers of the tests are on this machine."""
    return settings.model_copy(update={"allow_private_networks": True})


@pytest.fixture
async def dispatcher(
    client: AsyncClient, joined: Sessions, settings: Settings, clock: Clock
) -> AsyncIterator[Dispatcher]:
    worker = Worker(settings=settings, sessions=joined, clock=clock)
    yield Dispatcher(client=client, worker=worker, clock=clock)
    await worker.calls.close()


@pytest.fixture
async def live_dispatcher(
    live_client: AsyncClient, sessions: Sessions, settings: Settings, clock: Clock
) -> AsyncIterator[Dispatcher]:
    """On a database of its own, for several workers at once."""
    worker = Worker(settings=settings, sessions=sessions, clock=clock)
    yield Dispatcher(client=live_client, worker=worker, clock=clock)
    await worker.calls.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found
