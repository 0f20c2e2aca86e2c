"""Updates from what called for them to their end, over HTTP and through the worker's own jobs."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.automation.conftest import AT_ONCE, MODEL, SLOWLY, Dispatcher
from tests.delivery.receivers import Receiver
from turnout.worker import Worker

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def test_an_update_goes_to_the_newest_release_and_tells_its_story(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    for version in ("1.2.0", "1.10.0", "2.0.0-rc.1+build.5", "1.9.0"):
        await dispatcher.register(version)

    update = await dispatcher.ask(notes="quarterly refresh")
    await dispatcher.beat(3)

    story = await dispatcher.show(update)
    assert [step["state"] for step in story["history"]] == [
        "queued",
        "validating",
        "rolling_out",
        "succeeded",
    ]
    assert (story["version"], await dispatcher.serving()) == ("1.10.0", ["1.10.0"])
    rollout = await dispatcher.call("GET", f"rollouts/{story['rollout']}")
    assert (rollout["phase"], rollout["created_by"]) == ("succeeded", story["requested_by"])
    assert [found["result"] for found in story["findings"]] == ["pass", "pass", "pass"]
    told = (await dispatcher.call("GET", f"audit?subject=updates/{update}"))["items"]
    assert {entry["action"] for entry in told} == {
        "update.requested",
        "update.validating",
        "update.rolling_out",
        "update.succeeded",
    }


@pytest.mark.parametrize(
    ("wish", "serving"),
    [
        pytest.param({}, "2.0.0", id="the newest answers"),
        pytest.param({}, "3.0.0-rc.1", id="a newer one answers"),
        pytest.param({"target": "2.0.0"}, "2.0.0", id="the version that was named answers"),
        pytest.param({"target": "@champion"}, "2.0.0", id="what the alias means answers"),
    ],
)
async def test_what_answers_already_is_not_rolled_out(
    dispatcher: Dispatcher, wish: dict[str, Any], serving: str
):
    for version in {"1.0.0", "2.0.0"} - {serving}:
        await dispatcher.register(version)
    await dispatcher.release(serving)
    await dispatcher.call("PUT", f"models/{MODEL}/aliases/champion", {"version": "2.0.0"})

    update = await dispatcher.ask(**wish)
    await dispatcher.beat()

    assert (await dispatcher.states(update))[-1] == "unneeded"


async def test_what_breaks_a_rule_does_not_begin(dispatcher: Dispatcher, receiver: Receiver):
    await dispatcher.release("1.0.0", metrics={"accuracy": 0.95})
    await dispatcher.register("2.0.0", metrics={"accuracy": 0.90})
    receiver.answer = lambda _: 500
    hook = {"kind": "webhook", "name": "calendar", "url": receiver.url}
    worse = {"kind": "performance_baseline"}

    async def outcome(*rules: dict[str, Any]) -> tuple[str, list[bool]]:
        await dispatcher.policy(rules=list(rules))
        update = await dispatcher.ask(**SLOWLY)
        await dispatcher.beat()
        story = await dispatcher.show(update)
        if story["state"] == "rolling_out":
            await dispatcher.call("POST", f"updates/{update}/cancel", {"reason": "seen enough"})
        return story["state"], [found["obstacle"] for found in story["findings"]]

    assert await outcome({"check": worse}) == ("refused", [True])
    assert await outcome({"check": worse, "severity": "warning"}) == ("rolling_out", [False])
    assert await outcome({"check": hook}) == ("refused", [True])
    assert await outcome({"check": hook, "required": False}) == ("rolling_out", [False])
    security = {"kind": "security", "tags": ["security-reviewed"]}
    assert await outcome({"check": {"kind": "configuration"}}, {"check": security}) == (
        "refused",
        [False, True],
    )


async def test_gates_stand_before_an_update_as_before_any_rollout(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    await dispatcher.register("2.0.0", metrics={"accuracy": 0.7})
    gate = {"kind": "metric", "metric": "accuracy", "min": 0.8}
    await dispatcher.call("PUT", f"models/{MODEL}/gate-policy", {"production": {"gates": [gate]}})

    update = await dispatcher.ask()
    await dispatcher.beat()

    story = await dispatcher.show(update)
    assert (story["state"], story["version"]) == ("refused", "2.0.0")
    assert "accuracy is 0.7, not at least 0.8" in story["reason"]


async def test_an_update_waits_for_a_rollout_and_says_so(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    await dispatcher.register("2.0.0")
    await dispatcher.register("3.0.0")
    rollout = await dispatcher.call(
        "POST", f"models/{MODEL}/rollouts", {"candidate": "2.0.0", **SLOWLY}
    )

    update = await dispatcher.ask()
    await dispatcher.beat(2)

    story = await dispatcher.show(update)
    assert (story["state"], len(story["history"])) == ("queued", 1)
    assert rollout["id"] in story["reason"]

    await dispatcher.call("POST", f"rollouts/{rollout['id']}/abort", {})
    await dispatcher.beat(3, every=timedelta(minutes=1))

    assert (await dispatcher.states(update))[-1] == "succeeded"


async def test_an_update_ends_as_its_rollout_does(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    await dispatcher.register("2.0.0")
    update = await dispatcher.ask(**SLOWLY)
    await dispatcher.beat()
    rollout = (await dispatcher.show(update))["rollout"]

    await dispatcher.call("POST", f"rollouts/{rollout}/rollback", {"reason": "customers complain"})
    await dispatcher.beat()

    story = await dispatcher.show(update)
    assert (story["state"], story["reason"]) == ("rolled_back", "rolled_back: customers complain")
    again = await dispatcher.ask()
    await dispatcher.beat()
    assert "customers complain" in (await dispatcher.show(again))["reason"]
    statistics = await dispatcher.call("GET", f"updates/statistics?model={MODEL}")
    assert statistics["ended"]["by_state"] == {"rolled_back": 1, "refused": 1}
    assert (statistics["ended"]["success_rate"], statistics["at_once"]) == (0, 3)


async def test_who_cancels_an_update_aborts_its_rollout(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    await dispatcher.register("2.0.0")
    update = await dispatcher.ask(**SLOWLY)
    await dispatcher.beat()
    rollout = (await dispatcher.show(update))["rollout"]

    await dispatcher.call("POST", f"updates/{update}/cancel", {"reason": "wrong data"})

    assert (await dispatcher.states(update))[-1] == "cancelled"
    assert (await dispatcher.call("GET", f"rollouts/{rollout}"))["phase"] == "aborted"
    assert await dispatcher.serving() == ["1.0.0"]
    answer = await dispatcher.refused("POST", f"updates/{update}/cancel", {"reason": "again"})
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")


async def test_a_schedule_starts_each_run_once_and_makes_up_for_missed_ones_by_one(
    dispatcher: Dispatcher,
):
    await dispatcher.release("1.0.0")
    plan = {"cron": "30 2 * * *", "zone": "Europe/Berlin", "update": AT_ONCE}
    made = await dispatcher.call("POST", f"models/{MODEL}/update-schedules", plan)
    assert made["next_at"] == "2026-03-03T01:30:00Z"
    await dispatcher.register("2.0.0")

    await dispatcher.beat(1, every=12 * HOUR)
    assert (await dispatcher.call("GET", "updates"))["items"] == []
    await dispatcher.beat(4, every=2 * HOUR)

    update = await dispatcher.only()
    assert (update["state"], update["trigger"]) == ("succeeded", "scheduled")
    assert (update["schedule"], update["due"]) == (made["id"], "2026-03-03T01:30:00Z")

    await dispatcher.beat(1, every=5 * DAY)
    await dispatcher.beat(2)
    due = [one["due"] for one in (await dispatcher.call("GET", "updates"))["items"]]
    assert due == ["2026-03-04T01:30:00Z", "2026-03-03T01:30:00Z"]
    [left] = (await dispatcher.call("GET", f"models/{MODEL}/update-schedules"))["items"]
    assert left["next_at"] > dispatcher.clock().isoformat()

    await dispatcher.call("DELETE", f"update-schedules/{made['id']}?reason=no+more")
    await dispatcher.beat(2, every=3 * DAY)
    assert len((await dispatcher.call("GET", "updates"))["items"]) == 2


async def test_a_run_is_left_out_while_the_one_before_goes_on(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    await dispatcher.register("2.0.0")
    slow = {"stages": [{"weight": 10, "bake": "3d", "guardrails": []}]}
    await dispatcher.call(
        "POST", f"models/{MODEL}/update-schedules", {"cron": "@hourly", "update": slow}
    )

    await dispatcher.beat(6, every=HOUR)

    assert (await dispatcher.only())["state"] == "rolling_out"


async def test_retraining_comes_back_through_the_gates(dispatcher: Dispatcher, receiver: Receiver):
    await dispatcher.release("1.0.0")
    await dispatcher.policy(
        retraining={"url": receiver.url}, on={"performance": {"retrain": True, **AT_ONCE}}
    )
    rule = {"metric": "error_rate", "max": 0.1, "last": 100, "action": "retrain"}
    await dispatcher.call("PUT", f"models/{MODEL}/thresholds", {"rules": [rule]})
    at = dispatcher.clock().isoformat()
    rows = [
        {"prediction_id": f"p{n}", "version": "1.0.0", "at": at, "error": True} for n in range(100)
    ]
    await dispatcher.call("POST", f"models/{MODEL}/observations", {"predictions": rows})
    await dispatcher.worker.fold()
    dispatcher.clock.advance(timedelta(seconds=1))
    await dispatcher.worker.watch()
    await dispatcher.worker.deliver()  # which numbers what is told

    await dispatcher.beat()
    update = await dispatcher.only()

    assert (update["trigger"], update["state"]) == ("performance", "training")
    [got] = receiver.got
    assert got.id == f"retraining_{update['id']}"
    assert f'"register_with":{{"metadata":{{"update":"{update["id"]}"}}}}' in got.body

    await dispatcher.register("1.1.0")
    await dispatcher.register("2.0.0-retrained", metadata={"update": update["id"]})
    await dispatcher.beat(3)

    story = await dispatcher.only()
    assert [step["state"] for step in story["history"]] == [
        "requesting",
        "training",
        "queued",
        "validating",
        "rolling_out",
        "succeeded",
    ]
    assert "error_rate" in story["cause"]
    assert await dispatcher.serving() == ["2.0.0-retrained"]


async def test_a_pipeline_that_is_down_is_called_again_and_then_given_up(
    dispatcher: Dispatcher, receiver: Receiver
):
    await dispatcher.release("1.0.0")
    answer = await dispatcher.refused("POST", f"models/{MODEL}/updates", {"retrain": True})
    assert (answer.status_code, "training pipeline" in answer.json()["detail"]) == (409, True)
    await dispatcher.policy(retraining={"url": receiver.url, "wait": "1h"})
    receiver.answer = lambda _: 503

    failed = await dispatcher.ask(retrain=True, trigger="new_data", dataset_version="2026-03")
    await dispatcher.beat(8, every=2 * HOUR)

    assert await dispatcher.states(failed) == [*["requesting"] * 5, "failed"]
    assert {got.id for got in receiver.got} == {f"retraining_{failed}"}
    assert all('"dataset_version":"2026-03"' in got.body for got in receiver.got)

    receiver.answer = lambda _: 202
    waited = await dispatcher.ask(retrain=True)
    await dispatcher.beat(3, every=HOUR)

    assert (await dispatcher.show(waited))["reason"] == "no version was registered for it in time"


async def test_the_first_version_on_new_data_starts_an_update(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0", dataset_version="2026-01")
    await dispatcher.worker.deliver()  # which numbers what is told
    await dispatcher.beat()
    await dispatcher.policy(on={"new_data": AT_ONCE})
    await dispatcher.register("1.0.1", dataset_version="2026-01")
    await dispatcher.register("1.1.0", dataset_version="2026-02")
    await dispatcher.register("1.1.1", dataset_version="2026-02")
    await dispatcher.worker.deliver()

    await dispatcher.beat(3)

    update = await dispatcher.only()
    assert (update["trigger"], update["version"]) == ("new_data", "1.1.0")
    assert (update["dataset_version"], update["state"]) == ("2026-02", "succeeded")


async def test_two_workers_start_a_run_once_and_no_more_than_three_updates_at_once(
    live_dispatcher: Dispatcher,
):
    models = [f"model-{n}" for n in range(5)]
    for model in models:
        await live_dispatcher.register("1.0.0", model=model)
        await live_dispatcher.call(
            "POST", f"models/{model}/rollouts", {"candidate": "1.0.0", **AT_ONCE}
        )
        await live_dispatcher.register("2.0.0", model=model)
        await live_dispatcher.call(
            "POST", f"models/{model}/update-schedules", {"cron": "@hourly", "update": SLOWLY}
        )
    first = live_dispatcher.worker
    second = Worker(settings=first.settings, sessions=first.sessions, clock=first.clock)
    live_dispatcher.clock.advance(HOUR)

    await asyncio.gather(first.start_updates(), second.start_updates())
    await asyncio.gather(first.carry_updates(), second.carry_updates())

    found = (await live_dispatcher.call("GET", "updates"))["items"]
    assert sorted(one["model"] for one in found) == models
    assert sorted(one["state"] for one in found) == ["queued"] * 2 + ["rolling_out"] * 3


async def test_updates_that_are_over_are_kept_as_long_as_predictions(dispatcher: Dispatcher):
    await dispatcher.release("1.0.0")
    hourly = {"cron": "@monthly", "update": AT_ONCE}
    schedule = await dispatcher.call("POST", f"models/{MODEL}/update-schedules", hourly)
    await dispatcher.register("2.0.0")
    over = await dispatcher.ask()
    await dispatcher.beat(2)
    await dispatcher.register("3.0.0")
    going_on = await dispatcher.ask(**SLOWLY)
    await dispatcher.beat()
    await dispatcher.call("DELETE", f"update-schedules/{schedule['id']}")

    async def kept(days: int) -> list[str]:
        dispatcher.clock.advance(days * DAY)
        await dispatcher.worker.retain()
        return [one["id"] for one in (await dispatcher.call("GET", "updates"))["items"]]

    assert await kept(days=29) == [going_on, over]
    assert await kept(days=2) == [going_on]
    told = (await dispatcher.call("GET", f"audit?subject=updates/{over}"))["items"]
    assert told[0]["action"] == "update.succeeded"
    assert (await dispatcher.call("GET", "updates/statistics?days=365"))["days"] == 30


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "newest"}, "body.target"),
        ({"retrain": True, "target": "1.0.0"}, "body"),
        ({"strategy": "ab_test"}, "body"),
        ({"trigger": "scheduled"}, "body.trigger"),
    ],
)
async def test_a_malformed_wish_is_refused(
    dispatcher: Dispatcher, body: dict[str, Any], field: str
):
    await dispatcher.register("1.0.0")

    answer = await dispatcher.refused("POST", f"models/{MODEL}/updates", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
