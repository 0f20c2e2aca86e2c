"""The database goes away under live traffic and comes back."""

import asyncio
from pathlib import Path

from httpx2 import AsyncClient, Client

from tests.gateway import onnx_models
from tests.processes import listening, start, status, stop, wait_until
from turnout import db, embedded, migrations

MODEL = "house-prices"


def register(url: str, directory: Path) -> None:
    model = onnx_models.identity(directory / "model.onnx")
    with Client(base_url=f"{url}/api/v1/models/{MODEL}/", timeout=30) as client:
        made = client.post("versions", json={"version": "1.0.0", "runtime": {"kind": "onnx"}})
        made.raise_for_status()
        client.put("versions/1.0.0/artifact", content=model.read_bytes()).raise_for_status()
        client.post(
            "rollouts", json={"candidate": "1.0.0", "strategy": "replace"}
        ).raise_for_status()


async def predict(url: str, times: int) -> list[int]:
    async with AsyncClient(base_url=f"{url}/api/v1/models/{MODEL}/", timeout=30) as client:
        answers = await asyncio.gather(
            *(
                client.post("predict", json={"inputs": [1, 2, 3], "unit": f"u{i}"})
                for i in range(times)
            )
        )
    return [answer.status_code for answer in answers]


async def test_predictions_go_on_and_what_they_saw_is_written_when_it_is_back(tmp_path: Path):
    database, files = tmp_path / "database", tmp_path / "files"
    async with embedded.running(database, durable=False) as address:
        engine = db.create_engine(address)
        await migrations.upgrade(engine)
        await engine.dispose()
    settings = {"TURNOUT_DATABASE_URL": address, "TURNOUT_LOG_LEVEL": "error"}

    async with embedded.running(database, durable=False):
        served = listening("api", files, **settings)
        url, _ = served.__enter__()
        register(url, tmp_path)
        wait_until(lambda: status(f"{url}/readyz") == 200, "ready")
        before = await predict(url, 20)
    try:
        wait_until(lambda: status(f"{url}/readyz") == 503, "readiness says that it is away")
        during = await predict(url, 30)
        refused = status(f"{url}/api/v1/models")
        async with embedded.running(database, durable=False):
            wait_until(lambda: status(f"{url}/readyz") == 200, "ready again by itself")
            after = await predict(url, 10)
            worker = start("worker", data_dir=files, **settings)
            try:
                wait_until(lambda: recorded(url) == 60, "all that was predicted is counted")
            finally:
                stop(worker)
    finally:
        served.__exit__(None, None, None)

    assert set(before + during + after) == {200}
    assert refused == 503


def recorded(url: str) -> int:
    with Client(base_url=f"{url}/api/v1/models/{MODEL}/", timeout=30) as client:
        versions = client.get("performance", params={"window": "1h"}).json()["versions"]
    return sum(version["predictions"] for version in versions)
