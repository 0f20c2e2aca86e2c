"""Models that serve go bad, each in its own way and all at once, every trigger of a rollback among
them; meanwhile the receiver of what is told about it is down, one worker is killed in the middle of
acting, and two others run on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from turnout import db
from turnout.db import Sessions, transaction
from turnout.monitoring.domain.thresholds import DRIFT

KINDS = ["alert.*", "retraining.*", "rollout.rolled_back"]

ALERT = ("alert.firing",)
ROLLBACK = ("alert.firing", "rollout.rolled_back")
RETRAINING = ("alert.firing", "retraining.requested")

BASELINE = {
    "features": {"length": {"edges": [20, 100, 500], "counts": [2500] * 4}},
    "prediction": {"categories": {"yes": 5000, "no": 5000}},
}
GOOD: Mapping[str, Any] = {"latency_ms": 50, "confidence": 0.9}
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A limit, how it is broken, and what is to follow of that."""

    rule: Mapping[str, Any] | None
    bad: Mapping[str, Any] = field(default_factory=dict)
    right: bool = True
    lengths: tuple[int, ...] = (10, 60, 300, 900)
    candidate: bool = False
    """It goes bad while its rollout is under way."""
    ages: tuple[timedelta, ...] = ()
    """So long ago it answered, and not since: what is bad is that nothing comes."""
    told: tuple[str, ...] = ()

    @property
    def rollbacks(self) -> int:
        return self.told.count("rollout.rolled_back")

    @property
    def fires(self) -> tuple[str, str]:
        """The kind of alert, and which metric it names."""
        if self.rule is None:
            return "no_data", ""
        return "drift" if self.looked_at_by_the_minute else "threshold", self.rule["metric"]

    @property
    def looked_at_by_the_minute(self) -> bool:
        return self.rule is not None and self.rule["metric"] in DRIFT


ERRORS = {"metric": "error_rate", "max": 0.05, "last": 100, "action": "rollback"}
WAYS: Mapping[str, Way] = {
    "accuracy": Way(
        rule={"metric": "accuracy", "min": 0.8, "last": 100, "action": "rollback"},
        right=False,
        told=ROLLBACK,
    ),
    "error-rate": Way(rule=ERRORS, bad={"error": "timeout"}, told=ROLLBACK),
    "latency": Way(
        rule={"metric": "latency_mean", "max": 200, "last": 100, "action": "rollback"},
        bad={"latency_ms": 2000},
        candidate=True,
        told=ROLLBACK,
    ),
    "confidence": Way(
        rule={"metric": "confidence", "min": 0.6, "last": 100, "action": "rollback"},
        bad={"confidence": 0.1},
        told=ROLLBACK,
    ),
    "failures-in-a-row": Way(
        rule=ERRORS | {"consecutive": 5}, bad={"error": "timeout"}, told=ROLLBACK
    ),
    "answers-drift": Way(
        rule={"metric": "prediction_drift", "max": 0.1, "action": "rollback"},
        bad={"class": "maybe"},
        told=ROLLBACK,
    ),
    "drift": Way(
        rule={"metric": "feature_drift", "max": 0.2, "action": "retrain"},
        lengths=(900, 800, 300, 700),
        told=RETRAINING,
    ),
    "wrong-answers": Way(
        rule={"metric": "accuracy", "min": 0.8, "last": 100, "action": "retrain"},
        right=False,
        told=RETRAINING,
    ),
    "slow-tail": Way(
        rule={"metric": "latency_p99", "max": 200, "last": 100},
        bad={"latency_ms": 2000},
        told=ALERT,
    ),
    "volume": Way(
        rule={"metric": "traffic_deviation", "max": 3},
        lengths=(10, 60, 300, 900) * 10,
        # In the hour that is over, and in the next one, should it begin meanwhile.
        ages=tuple(week * WEEK + ago * MINUTE for week in (1, 2, 3, 4) for ago in (0, 60, 120)),
        told=ALERT,
    ),
    "silence": Way(rule=None, ages=(25 * MINUTE,), told=ALERT),
    "as-ever": Way(rule=ERRORS),
}
KILLED = "error-rate"
"""Of this model, one worker is killed when it has done everything and has not committed."""

RETRAINED = "wrong-answers"


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
        if not way.ages:
            await self.answer(model, WAYS["as-ever"])
            await until(lambda: self.drift_is(model, "pass"), f"{model} is seen")
        if way.rule is not None:
            await self.put(f"models/{model}/thresholds", {"rules": [way.rule]})
        if way.rule is not None and not way.ages:
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
        now = datetime.now(UTC)
        known = [
            {
                "prediction_id": str(uuid4()),
                "version": "2.0.0",
                "unit": f"u{k}",
                "features": {"length": length},
                "class": ("yes", "no")[k % 2],
                **({"at": (now - way.ages[k % len(way.ages)]).isoformat()} if way.ages else {}),
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
        return Counter((event["data"]["model"], event["type"]) for event in await self.log())

    async def trains(self, model: str) -> bool:
        updates = await self.every("updates", model=model)
        return [one["state"] for one in updates] == ["training"]

    async def log(self) -> list[Any]:
        """What is told of the models; on a busy machine also that rollouts were looked at late."""
        log = await self.every("events/log", type=KINDS)
        return [event for event in log if event["data"].get("kind") != "unwatched"]


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


@pytest.fixture
async def pipeline(turnout: Turnout) -> AsyncIterator[Receiver]:
    """Trains the model whose answers are wrong, when it is called."""
    await turnout.post(f"models/{RETRAINED}/versions", {"version": "0.1.0"})
    async with receiving() as pipeline:
        policy = {
            "retraining": {"url": pipeline.url},
            "on": {"performance": {"retrain": True}},
        }
        await turnout.put(f"models/{RETRAINED}/update-policy", policy)
        yield pipeline


def wanted(models: Collection[str]) -> Counter[tuple[str, str]]:
    return Counter((model, kind) for model in models for kind in WAYS[model].told)


async def test_every_way_of_going_bad_is_acted_on_and_told_once(
    turnout: Turnout,
    receiver: Receiver,
    pipeline: Receiver,
    worker: Start,
    engine: AsyncEngine,
) -> None:
    sessions = db.sessions(engine)
    receiver.answer = lambda _: 500
    webhook = await turnout.post("webhooks", {"url": receiver.url, "events": KINDS})
    victim = worker()
    await asyncio.gather(*(turnout.put_on_the_road(name, way) for name, way in WAYS.items()))
    assert await turnout.told() == Counter()

    async with closed(engine, Stop(table="alert", when=f"NEW.model = '{KILLED}'")) as gate:
        await asyncio.gather(*(turnout.answer(name, way) for name, way in WAYS.items()))
        await gate.reached()
        await until(lambda: all_is_counted(sessions), "all of it is counted")
        worker()
        worker()
        await until(lambda: turnout.drift_is("drift", "fail"), "the drift is seen")
        await a_minute_passes(sessions)
        others = WAYS.keys() - {KILLED}
        await until(lambda: told(turnout, others), "the other models are seen to")
        kill(victim)
        await gate.cut()
        assert await turnout.serves(KILLED) == {"2.0.0": 100}
    await until(lambda: told(turnout, WAYS), "another one acts in its place")
    await until(lambda: turnout.trains(RETRAINED), "the pipeline is called")
    await leases_run_out(sessions)
    in_vain = len(receiver.got)
    receiver.answer = lambda _: 200
    await until(lambda: delivered(turnout, webhook["id"]), "all of it is delivered")
    await looked_at_again(sessions, 5)

    assert await turnout.told() == wanted(WAYS)
    alerts = [one for one in await turnout.every("alerts") if one["kind"] != "unwatched"]
    assert sorted(
        (one["model"], one["kind"], one["data"].get("metric", "")) for one in alerts
    ) == sorted((name, *way.fires) for name, way in WAYS.items() if way.told)
    for model, way in WAYS.items():
        serving = "1.0.0" if way.rollbacks else "2.0.0"
        assert await turnout.serves(model) == {serving: 100}, model
        assert len(await turnout.every(f"models/{model}/rollbacks")) == way.rollbacks, model
    await check_deliveries(turnout, webhook["id"], receiver, in_vain)
    (update,) = await turnout.every("updates")
    assert (update["model"], update["trigger"]) == (RETRAINED, "performance")
    assert [got.id for got in pipeline.got] == [f"retraining_{update['id']}"]
    await invariants.check(sessions)


async def check_deliveries(
    turnout: Turnout, webhook: str, receiver: Receiver, in_vain: int
) -> None:
    """Each event under one id, however often it was tried, and none is missing."""
    events = sorted(event["id"] for event in await turnout.log())
    every = await turnout.every(f"webhooks/{webhook}/deliveries")
    deliveries = [one for one in every if one["event_id"] in events]
    ids = {one["webhook_id_header"] for one in deliveries}
    assert sorted(one["event_id"] for one in deliveries) == events
    assert len(ids) == len(events)
    assert in_vain > 0
    assert ids <= {one.id for one in receiver.got[in_vain:]}
    assert {one.id for one in receiver.got} <= {one["webhook_id_header"] for one in every}
    assert len({(one.id, one.body) for one in receiver.got if one.id in ids}) == len(events)


async def told(turnout: Turnout, models: Collection[str]) -> bool:
    return await turnout.told() >= wanted(models)


async def delivered(turnout: Turnout, webhook: str) -> bool:
    delivered = await turnout.every(f"webhooks/{webhook}/deliveries", state="delivered")
    return {one["id"] for one in await turnout.log()} <= {one["event_id"] for one in delivered}


async def all_is_counted(sessions: Sessions) -> bool:
    async with sessions() as session:
        left = await session.scalar(text("SELECT count(*) FROM batch WHERE folded_at IS NULL"))
        return not left


async def a_minute_passes(sessions: Sessions) -> None:
    """Drift is looked at once a minute."""
    async with transaction(sessions) as session:
        passed = """
            UPDATE threshold_set SET drift_looked_at = drift_looked_at - interval '1 minute'
            FROM model WHERE model.id = model_id AND name = ANY(:models)
        """
        models = [name for name, way in WAYS.items() if way.looked_at_by_the_minute]
        await session.execute(text(passed), {"models": models})


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
