"""Every way in which a threshold takes a version off the road, through HTTP and the worker."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.monitoring.conftest import MINUTE, MODEL, SECOND, Watchman
from turnout.access.tables import AuditEntry
from turnout.db import Sessions, transaction
from turnout.events.tables import EventRow
from turnout.experiments.examples import PLAN
from turnout.monitoring.rollback import roll_back
from turnout.rollouts.commands import order
from turnout.rollouts.commands.restore import restore
from turnout.rollouts.domain.orders import Promotion, Restoration
from turnout.rollouts.tables import Rollout

GOOD: dict[str, Any] = {"latency_ms": 50, "confidence": 0.9, "wrong": 5, "errors": 1}

TRIGGERS = [
    pytest.param("accuracy", {"wrong": 90}, id="accuracy"),
    pytest.param("error_rate", {"errors": 30}, id="error rate"),
    pytest.param("latency_mean", {"latency_ms": 450}, id="latency"),
    pytest.param("confidence", {"confidence": 0.2}, id="confidence"),
]


async def events(session: AsyncSession) -> list[str]:
    """What others were told, but for the rollouts of the set-up."""
    told = await session.scalars(select(EventRow.type).order_by(EventRow.id))
    return [kind for kind in told if kind.startswith(("alert", "retraining"))]


@pytest.mark.parametrize(("metric", "bad"), TRIGGERS)
async def test_a_version_that_breaks_a_limit_leaves_the_road(
    watchman: Watchman, session: AsyncSession, metric: str, bad: dict[str, Any]
):
    await watchman.release("1.0.0", "2.0.0")
    await watchman.watch({"standard": {}})
    await watchman.traffic("2.0.0", **GOOD)
    await watchman.beat(5)
    assert await watchman.verdicts() == ["pass"] * 4

    watchman.clock.advance(MINUTE)
    await watchman.traffic("2.0.0", 200, **(GOOD | bad))
    await watchman.beat(2)
    before = await watchman.serving()
    await watchman.beat(5)

    assert before == {"2.0.0": 100}, "three looks in a row are needed"
    assert await watchman.serving() == {"1.0.0": 100}
    (alert,) = await watchman.alerts()
    assert (alert["data"]["metric"], alert["severity"]) == (metric, "critical")
    assert alert["subject"] == f"models/{MODEL}/versions/2.0.0"
    assert alert["summary"].endswith("rolled back")
    assert await events(session) == ["alert.firing"]
    (rollback,) = (await watchman.get(f"models/{MODEL}/rollbacks"))["items"]
    assert metric in rollback["reason"]
    assert rollback["actor"] == "worker"


async def test_a_blip_of_two_looks_is_no_reason_to_roll_back(watchman: Watchman):
    await watchman.release("1.0.0", "2.0.0")
    await watchman.watch({"standard": {"consecutive_failures": 3}})
    for _ in range(3):
        await watchman.traffic("2.0.0", 100, **(GOOD | {"errors": 40}))
        await watchman.beat(2)
        watchman.clock.advance(MINUTE)
        await watchman.traffic("2.0.0", 100, **GOOD)
        await watchman.beat(2)
        watchman.clock.advance(MINUTE)

    assert await watchman.serving() == {"2.0.0": 100}
    assert await watchman.alerts() == []


async def test_a_candidate_under_way_is_rolled_back_with_its_rollout(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.post(f"models/{MODEL}/versions", {"version": "2.0.0"})
    stages = [{"weight": 50, "bake": "1h", "guardrails": []}, {"weight": 100, "bake": "1h"}]
    started = await watchman.post(
        f"models/{MODEL}/rollouts", {"candidate": "2.0.0", "stages": stages}
    )
    await watchman.watch({"standard": {}})
    await watchman.traffic("1.0.0", **GOOD)
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(5)

    rollout = await watchman.get(f"rollouts/{started['id']}")
    assert rollout["phase"] == "rolled_back"
    assert await watchman.serving() == {"1.0.0": 100}
    assert len(await watchman.alerts()) == 1


async def test_a_candidate_on_its_way_off_the_road_keeps_the_time_it_has(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.post(f"models/{MODEL}/versions", {"version": "2.0.0"})
    stages = [{"weight": 40, "bake": "1h", "guardrails": []}, {"weight": 100, "bake": "1h"}]
    plan = {"candidate": "2.0.0", "stages": stages, "rollback_over": "1h"}
    started = await watchman.post(f"models/{MODEL}/rollouts", plan)
    await watchman.watch({"standard": {}})
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40, "latency_ms": 450}))
    await watchman.beat(5)

    rollout = await watchman.get(f"rollouts/{started['id']}")
    kinds = [alert["kind"] for alert in await watchman.alerts()]
    assert (rollout["phase"], rollout["weight"]) == ("rolling_back", 30)
    assert sorted(kinds) == ["rollback", "threshold", "threshold"]


async def test_a_baseline_under_way_is_left_to_a_person(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.post(f"models/{MODEL}/versions", {"version": "2.0.0"})
    stages = [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1h"}]
    await watchman.post(f"models/{MODEL}/rollouts", {"candidate": "2.0.0", "stages": stages})
    await watchman.watch({"standard": {}})
    await watchman.traffic("1.0.0", **(GOOD | {"errors": 40}))
    await watchman.traffic("2.0.0", **GOOD)
    await watchman.beat(5)

    assert await watchman.serving() == {"1.0.0": 50, "2.0.0": 50}
    failed, broken = await watchman.alerts()
    assert (failed["kind"], broken["kind"]) == ("action_failed", "threshold")
    assert "promote 2.0.0" in failed["summary"]


async def test_an_arm_of_an_experiment_is_left_to_a_person(watchman: Watchman):
    await watchman.release("1.0.0")
    await watchman.post(f"models/{MODEL}/versions", {"version": "2.0.0"})
    plan = PLAN["accuracy"]["value"]
    experiment = await watchman.post(f"models/{MODEL}/experiments", plan)
    await watchman.post(f"experiments/{experiment['id']}/start", {"reason": "agreed"})
    await watchman.watch({"standard": {}})
    await watchman.traffic("1.0.0", **GOOD)
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(5)

    assert await watchman.serving() == {"1.0.0": 50, "2.0.0": 50}
    failed, broken = await watchman.alerts()
    assert (failed["kind"], broken["kind"]) == ("action_failed", "threshold")
    assert "stop or conclude it first" in failed["summary"]


async def test_what_cannot_be_rolled_back_is_said_once_and_tried_again(
    watchman: Watchman, session: AsyncSession
):
    await watchman.release("1.0.0")
    await watchman.watch({"standard": {}})
    await watchman.traffic("1.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(20)
    failed, broken = await watchman.alerts()
    told = await events(session)

    assert "no other version" in failed["summary"]
    assert broken["data"]["metric"] == "error_rate"
    assert told == ["alert.firing", "alert.firing"]

    # A version that proves itself now is where the next attempt leads to.
    await watchman.post(f"models/{MODEL}/versions", {"version": "1.0.1"})
    plan = {"candidate": "1.0.1", "stages": [{"weight": 100, "bake": 0, "guardrails": []}]}
    await watchman.post(f"models/{MODEL}/rollouts", plan)
    await watchman.beat()
    await watchman.worker.tick()
    await watchman.beat(3)
    assert await watchman.serving() == {"1.0.1": 100}
    assert await watchman.alerts() == []


async def test_a_version_that_comes_back_is_judged_by_what_it_does_now(watchman: Watchman):
    await watchman.release("1.0.0", "2.0.0")
    await watchman.watch({"standard": {}})
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(4)
    assert await watchman.serving() == {"1.0.0": 100}

    watchman.clock.advance(MINUTE)
    again = {"to_version": "1.0.0", "reason": "undo"}
    assert (await watchman.client.post(f"models/{MODEL}/rollback", json=again)).status_code == 409
    await watchman.post(
        f"models/{MODEL}/rollouts",
        {
            "candidate": "2.0.0",
            "override_quarantine": True,
            "reason": "the cause was elsewhere",
            "stages": [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1h"}],
        },
    )
    await watchman.beat(10)

    assert await watchman.serving() == {"1.0.0": 50, "2.0.0": 50}


async def test_who_acknowledged_the_last_time_is_told_of_the_next(
    watchman: Watchman, session: AsyncSession
):
    await watchman.release("1.0.0", "2.0.0")
    await watchman.watch({"standard": {}})
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(4)
    (first,) = await watchman.alerts()
    await watchman.post(f"alerts/{first['id']}/acknowledge", {"reason": "a bad night"})
    mended = {"candidate": "2.0.0", "override_quarantine": True, "reason": "mended, they say"}
    stages = [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1h"}]
    await watchman.post(f"models/{MODEL}/rollouts", mended | {"stages": stages})
    watchman.clock.advance(MINUTE)
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(4)

    (second,) = await watchman.alerts()
    assert (second["state"], second["id"] > first["id"]) == ("firing", True)
    told = ["alert.firing", "alert.acknowledged", "alert.resolved", "alert.firing"]
    assert await events(session) == told
    assert await watchman.serving() == {"1.0.0": 100}


async def test_retraining_is_requested_once(watchman: Watchman, session: AsyncSession):
    await watchman.release("1.0.0")
    drop = {"metric": "accuracy", "min": 0.8, "last": 100, "action": "retrain", "judge": "bound"}
    await watchman.watch({"rules": [drop]})
    await watchman.traffic("1.0.0", **(GOOD | {"wrong": 60}))
    await watchman.beat(5)

    assert await events(session) == ["retraining.requested", "alert.firing"]
    audited = await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
    assert list(audited)[-2:] == ["retraining.requested", "alert.firing"]
    assert await watchman.serving() == {"1.0.0": 100}


async def test_two_workers_roll_back_once(live_watchman: Watchman, sessions: Sessions):
    watchman = live_watchman
    await watchman.release("1.0.0", "2.0.0")
    await watchman.watch({"standard": {}})
    await watchman.traffic("2.0.0", 200, **(GOOD | {"errors": 90}))
    other = replace(watchman.worker)
    for _ in range(6):
        watchman.clock.advance(SECOND)
        await asyncio.gather(watchman.worker.watch(), other.watch(), watchman.worker.watch())

    assert await watchman.serving() == {"1.0.0": 100}
    assert len((await watchman.get(f"models/{MODEL}/rollbacks"))["items"]) == 1
    assert len(await watchman.alerts()) == 1
    async with sessions() as session:
        assert await events(session) == ["alert.firing"]


async def test_of_several_that_answer_the_one_that_breaks_a_limit_is_quarantined(
    watchman: Watchman,
):
    await watchman.release("1.0.0", "2.0.0")
    shares = [{"version": "1.0.0", "weight": 90}, {"version": "2.0.0", "weight": 10}]
    split = await watchman.client.put(f"models/{MODEL}/split", json={"variants": shares})
    assert split.is_success, split.text
    await watchman.watch({"standard": {}})
    await watchman.traffic("1.0.0", **GOOD)
    await watchman.traffic("2.0.0", **(GOOD | {"errors": 40}))
    await watchman.beat(5)

    again = await watchman.client.post(f"models/{MODEL}/rollouts", json={"candidate": "2.0.0"})
    assert await watchman.serving() == {"1.0.0": 100}
    assert (again.status_code, "was taken off the road" in again.json()["detail"]) == (409, True)


async def test_a_candidate_that_went_live_meanwhile_leaves_the_road_all_the_same(
    live_watchman: Watchman, sessions: Sessions
):
    watchman, now = live_watchman, live_watchman.clock()
    await watchman.release("1.0.0")
    await watchman.post(f"models/{MODEL}/versions", {"version": "2.0.0"})
    stages = [{"weight": 100, "bake": "1h", "guardrails": []}]
    plan = {"candidate": "2.0.0", "stages": stages}
    rollout = UUID((await watchman.post(f"models/{MODEL}/rollouts", plan))["id"])
    async with transaction(sessions) as person, sessions() as worker, sessions() as other:
        await order.promote(person, rollout, Promotion(), actor="ada", now=now)
        candidate = (await person.get_one(Rollout, rollout)).candidate_id
        leaves = asyncio.create_task(roll_back(worker, MODEL, candidate, reason="bad", now=now))
        await blocked(other)
        await person.commit()
        await leaves
        await worker.commit()

    assert await watchman.serving() == {"1.0.0": 100}


async def test_what_somebody_took_off_the_road_meanwhile_is_no_failure(
    live_watchman: Watchman, sessions: Sessions
):
    watchman, now = live_watchman, live_watchman.clock()
    await watchman.release("1.0.0", "2.0.0")
    wish = Restoration(reason="complaints")
    async with transaction(sessions) as person, sessions() as worker, sessions() as other:
        gone = (await restore(person, MODEL, wish, actor="ada", now=now)).baseline_id
        assert gone is not None
        leaves = asyncio.create_task(roll_back(worker, MODEL, gone, reason="bad", now=now))
        await blocked(other)
        await person.commit()
        await leaves
        await worker.commit()

    assert await watchman.serving() == {"1.0.0": 100}
    assert len((await watchman.get(f"models/{MODEL}/rollbacks"))["items"]) == 1


async def test_of_two_who_set_the_first_thresholds_at_once_the_last_counts(
    live_watchman: Watchman,
):
    watchman = live_watchman
    await watchman.release("1.0.0")
    await asyncio.gather(*(watchman.watch({"standard": {}}) for _ in range(4)))
    policies = (watchman.client.put(f"models/{MODEL}/update-policy", json={}) for _ in range(4))
    answers = await asyncio.gather(*policies)

    assert [answer.status_code for answer in answers] == [200] * 4


async def blocked(session: AsyncSession) -> None:
    """Wait until some connection waits for another one's lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(60):
        while not await session.scalar(text(waiting)):
            await asyncio.sleep(0.02)
