"""Whole stories through HTTP and the worker's beats, on a clock that a test moves."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import update

from tests.conftest import Clock
from turnout.db import Sessions, transaction
from turnout.rollouts.tables import Rollout
from turnout.settings import Settings
from turnout.worker import Worker

MODEL = "churn-predictor"
CANARY = {
    "candidate": "2.0.0",
    "strategy": "canary",
    "stages": [{"weight": 20, "bake": "10m"}, {"weight": 50, "bake": "10m"}],
    "guardrails": [
        {"metric": "error_rate", "max_increase": 0.02},
        {"metric": "accuracy", "max_decrease": 0.05},
    ],
}


class Story:
    """A model with a version live and a second one to release."""

    def __init__(self, client: AsyncClient, worker: Worker, clock: Clock) -> None:
        self.client, self.worker, self.clock = client, worker, clock

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        response = await self.client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    async def begin(self) -> str:
        for version in ("1.0.0", "2.0.0"):
            await self.post(f"models/{MODEL}/versions", {"version": version})
        await self.post(f"models/{MODEL}/rollouts", {"candidate": "1.0.0", "strategy": "replace"})
        identity: str = (await self.post(f"models/{MODEL}/rollouts", CANARY))["id"]
        return identity

    async def beat(self, by: timedelta = timedelta(seconds=1)) -> None:
        """Let time pass in which nothing changed for the worker that looked, and look again."""
        now = self.clock.advance(by)
        async with transaction(self.worker.sessions) as session:
            await session.execute(update(Rollout).where(Rollout.due_at < now).values(due_at=now))
        await self.worker.fold()
        await self.worker.tick()

    async def traffic(self, units: int, *, errors: float = 0.0, correct: float = 1.0) -> None:
        """Let `units` users ask; of the candidate's answers some fail, and some are right."""
        await self.routed()
        predictions, outcomes = [], []
        for n in range(units):
            unit = f"user-{n}"
            given = await self.post(f"models/{MODEL}/assign", {"unit": unit})
            candidate = given["version"] == "2.0.0"
            share = n % 100 / 100
            predictions.append(
                {
                    **{key: given[key] for key in ("prediction_id", "version", "split_id")},
                    "unit": unit,
                    "at": self.clock.now.isoformat(),
                    "latency_ms": 20,
                    "error": candidate and share < errors,
                }
            )
            right = share >= 1 - correct if candidate else n % 10 > 0
            outcomes.append({"prediction_id": given["prediction_id"], "correct": right})
        await self.post(
            f"models/{MODEL}/observations", {"predictions": predictions, "outcomes": outcomes}
        )

    async def routed(self) -> None:
        """Let the gateway hear of the split in force: nothing here leaves the process by itself."""
        split = (await self.client.get(f"models/{MODEL}/split")).json()["split_id"]
        async with asyncio.timeout(5):
            while (await self.post(f"models/{MODEL}/assign", {}))["split_id"] != split:
                await asyncio.sleep(0.01)

    async def show(self, rollout: str) -> Any:
        return (await self.client.get(f"rollouts/{rollout}")).json()

    async def serving(self) -> list[str]:
        split = (await self.client.get(f"models/{MODEL}/split")).json()
        return [variant["version"] for variant in split["variants"]]


@pytest.fixture
def story(live_client: AsyncClient, sessions: Sessions, settings: Settings, clock: Clock) -> Story:
    worker = Worker(settings=settings, sessions=sessions, clock=clock)
    return Story(live_client, worker, clock)


async def test_a_better_version_goes_to_100_percent_by_itself(story: Story):
    rollout = await story.begin()

    weights = []
    for _ in range(6):
        await story.traffic(600, correct=0.95)
        await story.beat(timedelta(minutes=5))
        weights.append((await story.show(rollout))["weight"])

    ended = await story.show(rollout)
    assert ended["phase"] == "succeeded"
    assert weights == sorted(weights)
    assert set(weights) == {20, 50, 100}
    assert await story.serving() == ["2.0.0"]
    versions = (await story.client.get(f"models/{MODEL}/versions")).json()["items"]
    assert {v["version"]: v["stage"] for v in versions} == {
        "2.0.0": "production",
        "1.0.0": "archived",
    }


@pytest.mark.parametrize(
    ("harm", "metric"),
    [({"errors": 0.3}, "error_rate"), ({"correct": 0.5}, "accuracy")],
    ids=["it fails", "it is wrong"],
)
async def test_a_worse_version_is_off_the_road_before_its_stage_ends(
    story: Story, harm: dict[str, float], metric: str
):
    rollout = await story.begin()

    await story.traffic(1500, **harm)
    await story.beat()

    ended = await story.show(rollout)
    assert ended["phase"] == "rolled_back"
    assert metric in ended["reason"]
    assert await story.serving() == ["1.0.0"]
    history = (await story.client.get(f"rollouts/{rollout}/history")).json()["items"]
    assert {step["actor"] for step in history if step["to_phase"] == "rolled_back"} == {"worker"}
    again = await story.client.post(f"models/{MODEL}/rollouts", json=CANARY)
    assert again.status_code == 409


async def test_without_traffic_it_waits_and_then_pauses(story: Story):
    rollout = await story.begin()

    await story.beat(timedelta(minutes=15))
    waiting = await story.show(rollout)
    await story.beat(timedelta(minutes=30))
    paused = await story.show(rollout)

    assert (waiting["phase"], waiting["weight"]) == ("running", 20)
    assert (paused["phase"], paused["verdict"]) == ("paused", "no_data")


async def test_labels_that_come_late_count_for_the_version_that_answered(story: Story):
    await story.begin()
    given = await story.post(f"models/{MODEL}/assign", {"unit": "user-7", "version": "1.0.0"})
    await story.post(
        f"models/{MODEL}/observations",
        {"predictions": [{key: given[key] for key in ("prediction_id", "version")}]},
    )
    rollout = (await story.client.get("rollouts", params={"model": MODEL})).json()["items"][0]
    await story.post(f"rollouts/{rollout['id']}/promote", {"full": True})
    await story.beat(timedelta(days=3))

    await story.post(
        f"models/{MODEL}/feedback", {"prediction_id": given["prediction_id"], "correct": True}
    )
    await story.beat()

    performance = await story.client.get(
        f"models/{MODEL}/performance", params={"window": "7d", "version": "1.0.0"}
    )
    [version] = performance.json()["versions"]
    assert (version["version"], version["labelled"], version["accuracy"]) == ("1.0.0", 1, 1.0)
