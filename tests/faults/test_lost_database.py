"""The database goes away under live traffic and comes back."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Client

from tests.faults import invariants
from tests.faults.forks import end, fork, serving
from tests.gateway import onnx_models
from tests.processes import status, wait_until
from turnout import db, embedded, migrations
from turnout.http import system_clock

MODEL = "house-prices"
CANARY = [
    {
        "weight": 50,
        "bake": 0,
        "guardrails": [{"metric": "error_rate", "max": 0.5, "min_samples": 100}],
    },
    {"weight": 75, "bake": "1h", "guardrails": []},
]
"""Its first stage ends with the hundredth answer of the candidate."""


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """The directory of a migrated database that is switched off."""
    directory = tmp_path / "database"
    async with embedded.running(directory, durable=False) as address:
        engine = db.create_engine(address)
        await migrations.upgrade(engine)
        await engine.dispose()
    return directory


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """What is entered here is left at the end, whichever database is up then."""
    with ExitStack() as stack:
        yield stack


def settings(address: str) -> Mapping[str, str]:
    return {
        "TURNOUT_DATABASE_URL": address,
        "TURNOUT_LOG_LEVEL": "error",
        "TURNOUT_TICK_SECONDS": "0.05",
        "TURNOUT_FOLD_SECONDS": "0.1",
    }


def register(url: str, directory: Path, *versions: str) -> None:
    model = onnx_models.identity(directory / "model.onnx").read_bytes()
    for version in versions:
        call(url, "POST", "versions", json={"version": version, "runtime": {"kind": "onnx"}})
        call(url, "PUT", f"versions/{version}/artifact", content=model)
    call(url, "POST", "rollouts", json={"candidate": versions[0], "strategy": "replace"})
    wait_until(lambda: status(f"{url}/readyz") == 200, "ready")


def call(url: str, method: str, path: str, **request: Any) -> Any:
    with Client(base_url=f"{url}/api/v1/models/{MODEL}/", timeout=30) as client:
        response = client.request(method, path, **request)
        response.raise_for_status()
        return response.json()


async def predict(url: str, units: Iterable[int]) -> list[str]:
    """The versions that answered these users."""
    async with AsyncClient(base_url=f"{url}/api/v1/models/{MODEL}/", timeout=30) as client:
        answers = await asyncio.gather(
            *(
                client.post("predict", json={"inputs": [1, 2, 3], "unit": f"u{unit}"})
                for unit in units
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json()["version"] for answer in answers]


def recorded(url: str) -> int:
    versions = call(url, "GET", "performance", params={"window": "1h"})["versions"]
    return sum(version["predictions"] for version in versions)


async def test_predictions_go_on_and_what_they_saw_is_written_when_it_is_back(
    database: Path, tmp_path: Path, processes: ExitStack
):
    async with embedded.running(database, durable=False) as address:
        url = processes.enter_context(serving(tmp_path, settings(address)))
        register(url, tmp_path, "1.0.0")
        await predict(url, range(20))
    wait_until(lambda: status(f"{url}/readyz") == 503, "readiness says that it is away")
    await predict(url, range(30))
    refused = status(f"{url}/api/v1/models")
    async with embedded.running(database, durable=False):
        wait_until(lambda: status(f"{url}/readyz") == 200, "ready again by itself")
        await predict(url, range(10))
        processes.callback(end, fork(tmp_path, settings(address)))
        wait_until(lambda: recorded(url) == 60, "all that was predicted is counted")
        processes.close()

    assert refused == 503


async def test_db_outage_during_canary(database: Path, tmp_path: Path, processes: ExitStack):
    """The gateway goes on with the weights it knows and nothing advances. Afterwards worker and
    gateway recover by themselves, and what was answered meanwhile leads to the next stage."""
    async with embedded.running(database, durable=False) as address:
        url = processes.enter_context(serving(tmp_path, settings(address)))
        processes.callback(end, fork(tmp_path, settings(address)))
        register(url, tmp_path, "1.0.0", "2.0.0")
        body = {"candidate": "2.0.0", "strategy": "canary", "stages": CANARY}
        rollout = call(url, "POST", "rollouts", json=body)["id"]
        split = call(url, "GET", "split")["split_id"]
        wait_until(
            lambda: call(url, "POST", "assign", json={"unit": "u"})["split_id"] == split,
            "the canary is routed",
        )
        before = await predict(url, range(60))
        wait_until(lambda: recorded(url) == 60, "the worker works")
    wait_until(lambda: status(f"{url}/readyz") == 503, "readiness says that it is away")
    during = await predict(url, range(400))
    until = system_clock()
    async with embedded.running(database, durable=False):
        wait_until(lambda: recorded(url) == 460, "all that was predicted is counted")
        wait_until(lambda: shares(url)["2.0.0"] == 75, "the canary goes on")
        wait_until(lambda: call(url, "POST", "assign", json={})["split_id"] != split, "routed")
        after = await predict(url, range(400))
        engine = db.create_engine(address)
        await invariants.check(db.sessions(engine))
        await engine.dispose()
        with Client(base_url=f"{url}/api/v1/") as client:
            steps = client.get(f"rollouts/{rollout}/history").json()["items"]
        processes.close()

    assert during[:60] == before
    assert 100 < during.count("2.0.0") < 300
    assert [step["event"] for step in steps] == ["started", "advanced"]
    assert steps[-1]["at"] > until.isoformat()
    assert all(now == "2.0.0" for was, now in zip(during, after, strict=True) if was == "2.0.0")


def shares(url: str) -> dict[str, float]:
    variants = call(url, "GET", "split")["variants"]
    return {variant["version"]: variant["weight"] for variant in variants}
