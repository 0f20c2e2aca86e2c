"""From a candidate's first bad answer until it is rolled back, with settings that nobody set."""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator

import uvloop
from aiohttp import web
from httpx2 import AsyncClient

from benchmarks.database import BASELINE, CANDIDATE
from benchmarks.load import request, run
from benchmarks.result import Result, note
from benchmarks.service import Service, scratch, turnout

ROUNDS = 5
RATE = 200
CONNECTIONS = 20
HEALTHY_SECONDS = 10.0
WITHIN_SECONDS = 60.0
POLL_SECONDS = 0.05
SECONDS = 10.0


class ModelServer:
    """Both versions of every model: the candidate's answers turn to errors when it is told so."""

    def __init__(self) -> None:
        self.failing = False
        self.first_bad: float | None = None

    async def start(self) -> int:
        app = web.Application()
        app.router.add_post("/{version}", self._predict)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _predict(self, asked: web.Request) -> web.Response:
        if self.failing and asked.match_info["version"] == CANDIDATE:
            self.first_bad = self.first_bad or time.perf_counter()
            return web.json_response({"error": "out of memory"}, status=500)
        return web.json_response({"prediction": "ok", "confidence": 0.9})


def measure() -> Iterator[Result]:
    with scratch() as directory, turnout("serve", directory) as service:
        yield uvloop.run(_measure(service))


async def _measure(service: Service) -> Result:
    seconds = []
    async with AsyncClient(base_url=f"{service.url}/api/v1/", timeout=30) as client:
        for number in range(ROUNDS):
            seconds.append(await _round(service, client, f"model-{number}"))
            note(f"rolled back {seconds[-1]:.1f} s after the first bad answer")
    median = statistics.median(seconds)
    return Result(
        what=f"bad candidate's first bad second → rolled back, at {RATE} requests/s, 10 % weight",
        reach=f"median ≤ {SECONDS:g} s",
        measured=f"median {median:.1f} s ({min(seconds):.1f} to {max(seconds):.1f} s in"
        f" {ROUNDS} runs)",
        reached=median <= SECONDS,
    )


async def _round(service: Service, client: AsyncClient, model: str) -> float:
    server = ModelServer()
    port = await server.start()
    for version in (BASELINE, CANDIDATE):
        runtime = {"kind": "http", "protocol": "json", "url": f"http://127.0.0.1:{port}/{version}"}
        await _post(client, f"models/{model}/versions", version=version, runtime=runtime)
    await _post(client, f"models/{model}/rollouts", candidate=BASELINE)
    over = asyncio.Event()
    load = asyncio.create_task(
        run(service.port, _requests(model, over), connections=CONNECTIONS, rate=RATE)
    )
    rollout = await _post(client, f"models/{model}/rollouts", candidate=CANDIDATE)
    # Not in step with the worker's beat.
    await asyncio.sleep(HEALTHY_SECONDS + random.random())
    server.failing = True
    await _rolled_back(client, rollout["id"])
    end = time.perf_counter()
    over.set()
    sent = await load
    await server.stop()
    assert server.first_bad is not None
    if sent.failed or sent.per_second < 0.95 * RATE:
        raise RuntimeError(f"{sent.failed} requests failed, at {sent.per_second:.0f} requests/s")
    return end - server.first_bad


def _requests(model: str, over: asyncio.Event) -> Iterator[bytes]:
    for n in itertools.count():
        if over.is_set():
            return
        body = f'{{"unit": "user-{n}", "inputs": [5.1, 3.5, 1.4, 0.2]}}'
        yield request(f"/api/v1/models/{model}/predict", body.encode())


async def _post(client: AsyncClient, path: str, **body: object) -> dict[str, str]:
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found


async def _rolled_back(client: AsyncClient, rollout_id: str) -> None:
    async with asyncio.timeout(WITHIN_SECONDS):
        while await _phase(client, rollout_id) != "rolled_back":  # noqa: ASYNC110  (no event tells)
            await asyncio.sleep(POLL_SECONDS)


async def _phase(client: AsyncClient, rollout_id: str) -> str:
    phase: str = (await client.get(f"rollouts/{rollout_id}")).json()["phase"]
    return phase
