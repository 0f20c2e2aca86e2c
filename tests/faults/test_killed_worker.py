"""A worker is killed in the middle of a rollout; another one takes it to its end."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from httpx2 import Client

from tests.faults.conftest import Start
from tests.faults.forks import end, kill, serving
from tests.processes import wait_until

MODEL = "churn-predictor"
STAGES = [{"weight": weight, "bake": "0.2s", "guardrails": []} for weight in range(5, 101, 5)]


@pytest.fixture
def api(environment: Mapping[str, str], tmp_path: Path) -> Iterator[Client]:
    with (
        serving(tmp_path, environment) as url,
        Client(base_url=f"{url}/api/v1/", timeout=30) as client,
    ):
        for version in ("1.0.0", "2.0.0"):
            client.post(f"models/{MODEL}/versions", json={"version": version}).raise_for_status()
        client.post(
            f"models/{MODEL}/rollouts", json={"candidate": "1.0.0", "strategy": "replace"}
        ).raise_for_status()
        yield client


async def test_another_worker_goes_on_and_no_step_is_taken_twice(api: Client, worker: Start):
    rollout = api.post(
        f"models/{MODEL}/rollouts",
        json={"candidate": "2.0.0", "strategy": "canary", "stages": STAGES},
    ).json()["id"]
    workers = [worker(), worker()]
    for reached in (3, 9):
        wait_until(partial(is_past, api, rollout, reached), f"stage {reached} reached")
        kill(workers.pop(0))
        workers.append(worker())
    wait_until(lambda: phase(api, rollout) == "succeeded", "the rollout succeeded")

    history = api.get(f"rollouts/{rollout}/history", params={"limit": 500}).json()["items"]
    steps = sorted(step["step"] for step in history)
    assert steps == list(range(steps[0], steps[0] + len(STAGES) + 1))
    entered = [step["stage"] for step in sorted(history, key=lambda step: step["step"])]
    assert entered == [*range(len(STAGES)), len(STAGES) - 1]
    variants = api.get(f"models/{MODEL}/split").json()["variants"]
    assert [variant["version"] for variant in variants] == ["2.0.0"]


async def test_a_worker_that_is_asked_to_stop_stops_in_order(api: Client, worker: Start):
    rollout = api.post(
        f"models/{MODEL}/rollouts",
        json={"candidate": "2.0.0", "strategy": "canary", "stages": STAGES},
    ).json()["id"]
    process = worker()
    wait_until(lambda: stage(api, rollout) >= 1, "the worker works")

    assert end(process) == 0


def is_past(api: Client, rollout: str, reached: int) -> bool:
    return stage(api, rollout) >= reached


def stage(api: Client, rollout: str) -> int:
    found: int = api.get(f"rollouts/{rollout}").json()["stage"]["index"]
    return found


def phase(api: Client, rollout: str) -> str:
    found: str = api.get(f"rollouts/{rollout}").json()["phase"]
    return found
