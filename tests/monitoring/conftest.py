"""A model with versions that were released one after the other, and a worker on a movable clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.conftest import Clock
from turnout.db import Sessions
from turnout.settings import Settings
from turnout.worker import Worker

MODEL = "fraud-detection"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Watchman:
    """Sends traffic over HTTP, moves the clock, and lets workers have their turn."""

    client: AsyncClient
    worker: Worker
    clock: Clock

    async def release(self, *versions: str, model: str = MODEL) -> None:
        """Each goes live in its turn and proves itself."""
        for version in versions:
            await self.post(f"models/{model}/versions", {"version": version})
            plan = {"candidate": version, "stages": [{"weight": 100, "bake": 0, "guardrails": []}]}
            await self.post(f"models/{model}/rollouts", plan)
            self.clock.advance(SECOND)
            await self.worker.tick()

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.client.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    async def watch(self, body: Mapping[str, Any], *, model: str = MODEL) -> Any:
        answer = await self.client.put(f"models/{model}/thresholds", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def traffic(
        self,
        version: str,
        n: int = 100,
        *,
        model: str = MODEL,
        errors: int = 0,
        wrong: int | None = None,
        **seen: float,
    ) -> None:
        """So many predictions, the first of them errors; with `wrong`, all labelled."""
        at = self.clock().isoformat()
        serial = f"{version}-{at}"
        rows = [
            {"prediction_id": f"{serial}-{k}", "version": version, "unit": f"u{k}", "at": at}
            | seen
            | ({"error": "timeout"} if k < errors else {})
            for k in range(n)
        ]
        outcomes = [
            {"prediction_id": f"{serial}-{k}", "correct": k >= wrong}
            for k in range(n if wrong is not None else 0)
            if wrong is not None
        ]
        body = {"predictions": rows, "outcomes": outcomes}
        await self.post(f"models/{model}/observations", body)
        await self.worker.fold()

    async def beat(self, times: int = 1, *, every: timedelta = SECOND) -> None:
        for _ in range(times):
            self.clock.advance(every)
            await self.worker.watch()

    async def alerts(self, state: str = "open") -> list[Any]:
        found: list[Any] = (await self.get(f"alerts?state={state}"))["items"]
        return found

    async def serving(self, *, model: str = MODEL) -> Mapping[str, float]:
        split = await self.get(f"models/{model}/split")
        return {each["version"]: each["weight"] for each in split["variants"] if each["weight"]}

    async def verdicts(self) -> Sequence[str]:
        view = await self.get(f"models/{MODEL}/thresholds")
        return [watch["verdict"] for watch in view["watches"]]


@pytest.fixture
def watchman(client: AsyncClient, joined: Sessions, settings: Settings, clock: Clock) -> Watchman:
    worker = Worker(settings=settings, sessions=joined, clock=clock)
    return Watchman(client=client, worker=worker, clock=clock)


@pytest.fixture
def live_watchman(
    live_client: AsyncClient, sessions: Sessions, settings: Settings, clock: Clock
) -> Watchman:
    """On a database of its own, for several workers at once."""
    worker = Worker(settings=settings, sessions=sessions, clock=clock)
    return Watchman(client=live_client, worker=worker, clock=clock)
