"""Workers that die while they carry an update, and those that take longer than a lease."""

import asyncio

import pytest
from sqlalchemy import text

import turnout.worker
from tests.automation.conftest import SLOWLY, Dispatcher
from tests.delivery.receivers import Receiver
from turnout.automation.commands import carry
from turnout.db import Sessions, transaction
from turnout.settings import Settings
from turnout.worker import Worker


@pytest.fixture
async def slow_rule(live_dispatcher: Dispatcher, receiver: Receiver) -> Receiver:
    """A rule before any update, whose answer is held back."""
    await live_dispatcher.release("1.0.0")
    await live_dispatcher.register("2.0.0")
    hook = {"kind": "webhook", "name": "calendar", "url": receiver.url, "timeout": "5m"}
    await live_dispatcher.policy(rules=[{"check": hook, "required": False}])
    receiver.hold = asyncio.Event()
    return receiver


async def asked(receiver: Receiver, times: int) -> None:
    async with asyncio.timeout(30):
        while len(receiver.got) < times:
            await asyncio.sleep(0.01)


async def dies_while_it_checks(worker: Worker, receiver: Receiver) -> None:
    """It has asked, and ends before it is answered."""
    dying = asyncio.create_task(worker.carry_updates())
    await asked(receiver, len(receiver.got) + 1)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)


async def leases_run_out(sessions: Sessions) -> None:
    await leases_end(sessions, "now()")


async def leases_end(sessions: Sessions, at: str) -> None:
    async with transaction(sessions) as session:
        ended = f"UPDATE model_update SET lease_until = {at} WHERE lease_until IS NOT NULL"
        await session.execute(text(ended))


async def test_what_a_worker_left_when_it_died_is_taken_up_once_its_lease_is_over(
    live_dispatcher: Dispatcher, slow_rule: Receiver, sessions: Sessions
):
    update = await live_dispatcher.ask(**SLOWLY)
    await dies_while_it_checks(live_dispatcher.worker, slow_rule)
    assert slow_rule.hold is not None
    slow_rule.hold.set()

    await leases_end(sessions, "now() + interval '1 hour'")
    await live_dispatcher.beat()
    assert (await live_dispatcher.show(update))["state"] == "validating"
    await leases_run_out(sessions)
    await live_dispatcher.beat()

    story = await live_dispatcher.show(update)
    states = [step["state"] for step in story["history"]]
    assert states == ["queued", "validating", "validating", "rolling_out"]
    assert "taken up again" in story["history"][2]["reason"]


async def test_an_update_that_ends_every_worker_is_given_up(
    live_dispatcher: Dispatcher, slow_rule: Receiver, sessions: Sessions
):
    update = await live_dispatcher.ask(**SLOWLY)
    for _ in range(4):
        await dies_while_it_checks(live_dispatcher.worker, slow_rule)
        await leases_run_out(sessions)

    await live_dispatcher.beat()

    story = await live_dispatcher.show(update)
    assert [step["state"] for step in story["history"]] == [
        "queued",
        *["validating"] * 4,
        "failed",
    ]
    assert (len(slow_rule.got), "given up: 4 times" in story["reason"]) == (4, True)


async def test_a_lease_is_renewed_while_its_worker_works(
    live_dispatcher: Dispatcher, slow_rule: Receiver, sessions: Sessions
):
    update = await live_dispatcher.ask(**SLOWLY)
    working = asyncio.create_task(live_dispatcher.worker.carry_updates())
    await asked(slow_rule, 1)
    await leases_run_out(sessions)

    async with asyncio.timeout(30):
        while not await leased(sessions):
            await asyncio.sleep(0.05)
    await live_dispatcher.worker.carry_updates()
    assert len(slow_rule.got) == 1

    await live_dispatcher.call("POST", f"updates/{update}/cancel", {"reason": "wrong data"})
    await working  # though the rule has not answered yet
    assert await live_dispatcher.states(update) == ["queued", "validating", "cancelled"]


async def test_a_long_check_holds_up_no_other_update_and_no_end(
    live_dispatcher: Dispatcher,
    slow_rule: Receiver,
    settings: Settings,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(turnout.worker, "GRACE_SECONDS", 0.2)
    await live_dispatcher.release("1.0.0", model="other")
    await live_dispatcher.register("2.0.0", model="other")
    idle = live_dispatcher.worker
    worker = Worker(
        settings=settings.model_copy(update={"tick_seconds": 0.05}),
        sessions=idle.sessions,
        clock=idle.clock,
    )
    stop = asyncio.Event()
    slow = await live_dispatcher.ask(**SLOWLY)
    running = asyncio.create_task(worker.run(stop))
    await asked(slow_rule, 1)

    other = (await live_dispatcher.call("POST", "models/other/updates", SLOWLY))["id"]
    async with asyncio.timeout(30):
        while (await live_dispatcher.states(other))[-1] != "rolling_out":
            await asyncio.sleep(0.05)

    stop.set()
    await running
    assert (await live_dispatcher.states(slow))[-1] == "validating"
    assert slow_rule.hold is not None
    slow_rule.hold.set()
    await leases_run_out(sessions)
    await live_dispatcher.beat()
    assert (await live_dispatcher.states(slow))[-1] == "rolling_out"
    assert len(slow_rule.got) == 2, "it was asked again"


async def test_beats_do_not_queue_up_behind_one_that_cannot_claim(
    live_dispatcher: Dispatcher, sessions: Sessions
):
    worker = live_dispatcher.worker
    async with transaction(sessions) as session:
        await session.execute(text(f"SELECT pg_advisory_xact_lock({carry.LOCK})"))
        waiting = asyncio.create_task(worker.carry_updates())
        while not worker.claiming.locked():
            await asyncio.sleep(0)
        await worker.carry_updates()
        assert not waiting.done()
    await waiting


async def leased(sessions: Sessions) -> bool:
    async with sessions() as session:
        held = await session.scalar(
            text("SELECT count(*) FROM model_update WHERE lease_until > now()")
        )
    return bool(held)
