"""Both clients against the service: it runs in the tests' event loop, they in their own thread."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.client.conftest import recorded, register_next, until
from tests.processes import free_port
from turnout.client import (
    AsyncTurnout,
    Choice,
    Conflict,
    Event,
    NotFound,
    Reason,
    Turnout,
    TurnoutError,
    Unavailable,
    Unreachable,
    Unsent,
)

CANARY = [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1m"}]


async def test_a_version_is_registered_compared_promoted_and_rolled_back(
    client: AsyncTurnout, model: str
):
    first = await client.register_version(model, "1.0.0", metrics={"accuracy": 0.8}, owner="ada")
    live = await client.promote(model, "1.0.0", reason="the first")
    await client.register_version(model, await client.next_version(model, "major"))
    compared = await client.compare(model, ["1.0.0", "2.0.0"])
    canary = await client.promote(model, "2.0.0", strategy="canary", stages=CANARY)
    back = await client.rollback(model, "customers complain")

    assert (first["stage"], first["owner"]) == ("development", "ada")
    assert (live["phase"], canary["phase"], back["phase"]) == (
        "succeeded",
        "running",
        "rolled_back",
    )
    assert [row["metric"] for row in compared["metrics"]] == ["accuracy"]
    assert [move["to_stage"] for move in await client.history(model, "1.0.0")] == [
        "staging",
        "production",
    ]
    assert (await client.current_version(model))["version"] == "1.0.0"
    shares = (await client.distribution(model, simulate=100))["variants"]
    assert [share["count"] for share in shares] == [100]
    report = await client.import_registry(await client.export_registry())
    assert (report["models"], report["versions"]) == (0, 0)


async def test_a_refusal_is_raised_with_its_problem(client: AsyncTurnout, served: str):
    with pytest.raises(Conflict, match="is registered already") as caught:
        await client.register_version(served, "1.0.0")
    with pytest.raises(NotFound, match="there is no model 'nobody'"):
        await client.select_version("nobody", "user-1")

    assert caught.value.problem.facts["version"] == "1.0.0"


async def test_the_blocking_client_does_the_same(url: str, served: str):
    def use() -> tuple[str, Choice]:
        with Turnout(url) as client:
            return client.next_version(served), client.select_version(served, "user-1")

    suggested, choice = await asyncio.to_thread(use)

    assert suggested == "2.0.1"
    assert (choice.version, choice.reason) == ("1.0.0", Reason.SINGLE)


async def test_a_change_of_traffic_arrives_by_itself(client: AsyncTurnout, served: str):
    before = await client.select_version(served, "user-1")
    await client.promote(served, "2.0.0", strategy="canary", stages=CANARY)

    async def moved() -> bool:
        return (await client.select_version(served, "user-1")).split_id != before.split_id

    await until(moved)
    choices = [await client.select_version(served, f"user-{n}") for n in range(100)]
    assert {choice.variant for choice in choices} == {"baseline", "candidate"}


async def test_a_model_that_nothing_serves_yet_has_a_default(client: AsyncTurnout, model: str):
    await client.register_version(model, "1.0.0")

    choice = await client.select_version(model, "user-1", default="0.9.0")

    assert (choice.version, choice.reason, choice.split_id) == ("0.9.0", Reason.DEFAULT, None)
    with pytest.raises(Unavailable, match="nothing serves"):
        await client.select_version(model, "user-1")


async def test_a_service_that_is_away_is_said_to_be():
    async with AsyncTurnout(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(Unreachable, match="no answer from"):
            await client.select_version("anything", "user-1")
        assert (await client.select_version("anything", default="1.0.0")).version == "1.0.0"


async def test_what_is_recorded_arrives_as_it_was_said(
    client: AsyncTurnout, served: str, engine: AsyncEngine
):
    choice = await client.select_version(served, "user-1", attributes={"country": "DE"})
    id_ = client.record_prediction(choice, latency_ms=3, confidence=0.9, label="billing")
    client.record_feedback(served, prediction_id=id_, label="billing")
    client.record_feedback(served, unit="user-1", metric="revenue", value=12.5)
    await client.flush()

    assert client.recordings.taken == 3
    assert await recorded(
        engine,
        served,
        "prediction_id, split_id, unit, latency_ms, label, features ->> 'country'",
    ) == [(id_, choice.split_id, "user-1", 3.0, "billing", "DE")]


async def test_what_is_left_is_sent_at_the_end(url: str, served: str, engine: AsyncEngine):
    client = AsyncTurnout(url)
    client.record_prediction(await client.select_version(served, "user-1"))

    await client.close()

    assert client.recordings.taken == 1
    assert await recorded(engine, served, "unit") == [("user-1",)]
    client.record_prediction(Choice.forced(served, "1.0.0"))
    assert client.recordings.shed == 1
    with pytest.raises(TurnoutError, match="this client is closed"):
        await client.next_version(served)


async def test_what_cannot_be_sent_in_time_is_said():
    client = AsyncTurnout(f"http://127.0.0.1:{free_port()}")
    client.record_prediction(Choice.forced("anything", "1.0.0"))

    with pytest.raises(Unsent, match="1 recordings still wait"):
        await client.flush(timeout=0.1)

    client._core.buffer = type(client._core.buffer)(0)  # or closing would try for seconds
    await client.close()


async def test_callbacks_hear_of_rollbacks_and_of_nothing_else(client: AsyncTurnout, served: str):
    heard: list[Event] = []

    async def note(event: Event) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ValueError("a callback that fails is called again")

    await client.on_rollback(note, model=served)
    for version in ("2.0.0", await register_next(client, served)):
        await client.promote(served, version, strategy="canary", stages=CANARY)
        await client.rollback(served, f"{version} is bad")

    async def both() -> bool:
        return len(heard) == 2

    await until(both)
    assert [event.data["reason"] for event in heard] == ["2.0.0 is bad", "2.0.1 is bad"]
