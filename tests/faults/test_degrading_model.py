"""Models that serve go bad, each in its own way and all at once; meanwhile the receiver of what is
told about it is down, one worker is killed in the middle of acting, and two others run on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.delivery.receivers import Receiver, receiving
from tests.faults import invariants
from tests.faults.conftest import Start
from tests.faults.forks import kill, serving
from tests.faults.stops import Stop, closed, until
from turnout.db import Sessions, transaction

KINDS = ["alert.*", "retraining.*", "rollout.rolled_back"]

ALERT = ("alert.firing",)
ROLLBACK = ("alert.firing", "rollout.rolled_back")
RETRAINING = ("alert.firing", "retraining.requested")

BASELINE = {"features": {"length": {"edges": [20, 100, 500], "counts": [2500] * 4}}}
GOOD: Mapping[str, Any] = {"latency_ms": 50, "confidence": 0.9}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A limit, how it is broken, and what is to follow of that."""

    rule: Mapping[str, Any]
    bad: Mapping[str, Any] = field(default_factory=dict)
    right: bool = True
    lengths: tuple[int, ...] = (10, 60, 300, 900)
    candidate: bool = False
    """It goes bad while its rollout is under way."""
    told: tuple[str, ...] = ()

    @property
    def rollbacks(self) -> int:
        return self.told.count("rollout.rolled_back")


ERRORS = {"metric": "error_rate", "max": 0.05, "last": 100, "action": "rollback"}
WAYS: Mapping[str, Way] = {
    "accuracy": Way(
        rule={"metric": "accuracy", "min": 0.8, "last": 100, "action": "retrain"},
        right=False,
        told=RETRAINING,
    ),
    "error-rate": Way(rule=ERRORS, bad={"error": "timeout"}, told=ROLLBACK),
    "latency": Way(
        rule={"metric": "latency_mean", "max": 200, "last": 100, "action": "rollback"},
        bad={"latency_ms": 2000},
        candidate=True,
        told=ROLLBACK,
    ),
    "confidence": Way(
        rule={"metric": "confidence", "min": 0.6, "last": 100},
        bad={"confidence": 0.1},
        told=ALERT,
    ),
    "failures-in-a-row": Way(
        rule=ERRORS | {"consecutive": 5}, bad={"error": "timeout"}, told=ROLLBACK
    ),
    "drift": Way(
        rule={"metric": "feature_drift", "max": 0.2, "action": "retrain"},
        lengths=(900, 800, 300, 700),
        told=RETRAINING,
    ),
    "as-ever": Way(rule=ERRORS),
}
KILLED = "error-rate"
"""Of this model, one worker is killed when it has done everything and has not committed."""


@dataclass(frozen=True)
class Turnout:
    """The service as its users have it, over HTTP."""

    client: AsyncClient

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self.client.put(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    async def every(self, path: str, **query: Any) -> list[Any]:
        page = await self.get(path, limit=500, **query)
        assert page["next_cursor"] is None
        items: list[Any] = page["items"]
        return items

    async def put_on_the_road(self, model: str, way: Way) -> None:
        """2.0.0 serves after 1.0.0, does well, and is watched."""
        await self.release(model, "1.0.0")
        await self.release(model, "2.0.0", at_once=not way.candidate)
        await self.put(f"models/{model}/versions/2.0.0/baseline", BASELINE)
        await self.answer(model, WAYS["as-ever"])
        await until(lambda: self.drift_is(model, "pass"), f"{model} is seen")
        await self.put(f"models/{model}/thresholds", {"rules": [way.rule]})
        await until(lambda: self.verdict_is(model, "pass"), f"{model} is well")

    async def release(self, model: str, version: str, *, at_once: bool = True) -> None:
        await self.post(f"models/{model}/versions", {"version": version})
        half = {"weight": 50, "bake": "1h", "guardrails": []}
        whole = {"weight": 100, "bake": 0, "guardrails": []}
        plan = {"candidate": version, "stages": [whole] if at_once else [half, whole]}
        rollout = (await self.post(f"models/{model}/rollouts", plan))["id"]

        async def released() -> bool:
            return bool((await self.get(f"rollouts/{rollout}"))["phase"] == "succeeded")

        if at_once:
            await until(released, f"{version} of {model} serves")

    async def answer(self, model: str, way: Way) -> None:
        """So many requests, which 2.0.0 answers in this way."""
        known = [
            {
                "prediction_id": str(uuid4()),
                "version": "2.0.0",
                "unit": f"u{k}",
                "features": {"length": length},
                **GOOD,
                **way.bad,
            }
            for k, length in enumerate(way.lengths * 100)
        ]
        right = [{"prediction_id": one["prediction_id"], "correct": way.right} for one in known]
        await self.post(f"models/{model}/observations", {"predictions": known, "outcomes": right})

    async def drift_is(self, model: str, verdict: str) -> bool:
        found = await self.get(f"models/{model}/drift")
        (version,) = [one for one in found["versions"] if one["version"] == "2.0.0"]
        return [one["verdict"] for one in version["features"]] == [verdict]

    async def verdict_is(self, model: str, verdict: str) -> bool:
        watches = (await self.get(f"models/{model}/thresholds"))["watches"]
        return [one["verdict"] for one in watches if one["version"] == "2.0.0"] == [verdict]

    async def serves(self, model: str) -> Mapping[str, float]:
        split = await self.get(f"models/{model}/split")
        return {one["version"]: one["weight"] for one in split["variants"] if one["weight"]}

    async def told(self) -> Counter[tuple[str, str]]:
        log = await self.every("events/log", type=KINDS)
        return Counter((event["data"]["model"], event["type"]) for event in log)


@pytest.fixture
def environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **environment,
        "TURNOUT_TICK_SECONDS": "0.2",
        "TURNOUT_ALLOW_PRIVATE_NETWORKS": "true",
        "TURNOUT_WEBHOOK_RETRY_SECONDS": ",".join(["0.5"] * 1000),
    }


@pytest.fixture
async def turnout(environment: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Turnout]:
    with serving(tmp_path, environment) as url:
        async with AsyncClient(base_url=f"{url}/api/v1/", timeout=60) as client:
            yield Turnout(client)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def wanted(models: Collection[str]) -> Counter[tuple[str, str]]:
    return Counter((model, kind) for model in models for kind in WAYS[model].told)


async def test_every_way_of_going_bad_is_acted_on_and_told_once(
    turnout: Turnout, receiver: Receiver, worker: Start, engine: AsyncEngine, sessions: Sessions
) -> None:
    receiver.answer = lambda _: 500
    webhook = await turnout.post("webhooks", {"url": receiver.url, "events": KINDS})
    victim = worker()
    await asyncio.gather(*(turnout.put_on_the_road(name, way) for name, way in WAYS.items()))
    assert await turnout.told() == Counter()

    async with closed(engine, Stop(table="alert", when=f"NEW.model = '{KILLED}'")) as gate:
        await asyncio.gather(*(turnout.answer(name, way) for name, way in WAYS.items()))
        await gate.reached()
        worker()
        worker()
        await until(lambda: turnout.drift_is("drift", "fail"), "the drift is seen")
        await a_minute_passes(sessions, "drift")
        others = WAYS.keys() - {KILLED}
        await until(lambda: told(turnout, others), "the other models are seen to")
        kill(victim)
        await gate.cut()
        assert await turnout.serves(KILLED) == {"2.0.0": 100}
    await until(lambda: told(turnout, WAYS), "another one acts in its place")
    await leases_run_out(sessions)
    in_vain = len(receiver.got)
    receiver.answer = lambda _: 200
    await until(lambda: delivered(turnout, webhook["id"]), "all of it is delivered")
    await looked_at_again(sessions, 5)

    assert await turnout.told() == wanted(WAYS)
    alerts = await turnout.every("alerts")
    rules = {name: way.rule["metric"] for name, way in WAYS.items() if way.told}
    assert sorted((one["model"], one["data"]["metric"]) for one in alerts) == sorted(rules.items())
    for model, way in WAYS.items():
        serving = "1.0.0" if way.rollbacks else "2.0.0"
        assert await turnout.serves(model) == {serving: 100}, model
        assert len(await turnout.every(f"models/{model}/rollbacks")) == way.rollbacks, model
    await check_deliveries(turnout, webhook["id"], receiver, in_vain)
    await invariants.check(sessions)


async def check_deliveries(
    turnout: Turnout, webhook: str, receiver: Receiver, in_vain: int
) -> None:
    """Each event under one id, however often it was tried, and none is missing."""
    deliveries = await turnout.every(f"webhooks/{webhook}/deliveries")
    log = await turnout.every("events/log", type=KINDS)
    ids = [one["webhook_id_header"] for one in deliveries]
    assert sorted(one["event_id"] for one in deliveries) == sorted(one["id"] for one in log)
    assert len(set(ids)) == len(log)
    assert {one.id for one in receiver.got[in_vain:]} == set(ids)
    assert in_vain > 0
    assert {one.id for one in receiver.got[:in_vain]} <= set(ids)
    assert len({(one.id, one.body) for one in receiver.got}) == len(log)


async def told(turnout: Turnout, models: Collection[str]) -> bool:
    return await turnout.told() >= wanted(models)


async def delivered(turnout: Turnout, webhook: str) -> bool:
    deliveries = await turnout.every(f"webhooks/{webhook}/deliveries", state="delivered")
    return len(deliveries) >= wanted(WAYS).total()


async def a_minute_passes(sessions: Sessions, model: str) -> None:
    """Drift is looked at once a minute."""
    async with transaction(sessions) as session:
        passed = """
            UPDATE threshold_set SET drift_looked_at = drift_looked_at - interval '1 minute'
            FROM model WHERE model.id = model_id AND name = :model
        """
        await session.execute(text(passed), {"model": model})


async def leases_run_out(sessions: Sessions) -> None:
    """What the one that was killed had begun to send is sent by others."""
    async with transaction(sessions) as session:
        await session.execute(
            text("UPDATE webhook_delivery SET lease_until = now() WHERE lease_until > now()")
        )


async def looked_at_again(sessions: Sessions, times: int) -> None:
    """Whatever were done twice would have been done by then."""

    async def fences() -> dict[int, int]:
        async with sessions() as session:
            found = await session.execute(text("SELECT model_id, fence FROM threshold_set"))
            return {row.model_id: row.fence for row in found}

    before = await fences()

    async def passed() -> bool:
        return all(fence >= before[model] + times for model, fence in (await fences()).items())

    await until(passed, "more looks at every model")
