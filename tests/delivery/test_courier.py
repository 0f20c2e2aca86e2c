"""What receivers get, whatever happens to them and to the workers."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from standardwebhooks import Webhook as Verifier

from tests.conftest import Clock
from tests.delivery.receivers import Receiver
from tests.factories import NOON
from turnout.db import Sessions, transaction
from turnout.delivery import commands, queries
from turnout.delivery.claims import claim
from turnout.delivery.courier import Courier
from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.webhook import Format, NewWebhook
from turnout.delivery.outbox import hand_out
from turnout.delivery.tables import Delivery, DeliveryAttempt, Webhook
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.outgoing import Calls


async def hook(sessions: Sessions, receiver: Receiver, **given: Any) -> Webhook:
    async with transaction(sessions) as session:
        new = NewWebhook(url=receiver.url, **{"events": ("*",), **given})
        return await commands.create(session, new, actor="ada", now=NOON, reason=None)


async def happen(
    sessions: Sessions,
    *subjects: str,
    kind: EventType = EventType.ROLLOUT_ADVANCED,
    model: str = "checkup",
) -> None:
    async with transaction(sessions) as session:
        for subject in subjects:
            emit(session, kind, subject=subject, model=model, data={"n": 1}, now=NOON)
            await session.flush()


async def beat(courier: Courier) -> None:
    async with asyncio.timeout(60):
        await courier.beat()
        await courier.settled()


async def states(sessions: Sessions) -> list[State]:
    async with sessions() as session:
        rows = await session.scalars(select(Delivery).order_by(Delivery.event_id))
        return [row.state for row in rows]


def subjects(receiver: Receiver) -> list[str]:
    return [json.loads(got.body)["data"]["subject"] for got in receiver.got]


async def test_the_library_of_the_standard_verifies_what_is_sent(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    clock.now = datetime.now(UTC)
    webhook = await hook(sessions, receiver)
    await happen(sessions, "rollouts/1")
    await beat(courier)

    [got] = receiver.got
    body = Verifier(webhook.secret).verify(got.body, got.headers)
    assert body == {
        "type": "rollout.advanced",
        "timestamp": "2026-03-02T12:00:00Z",
        "data": {"subject": "rollouts/1", "model": "checkup", "n": 1},
    }
    assert await states(sessions) == [State.DELIVERED]


async def test_both_secrets_sign_while_one_takes_the_place_of_the_other(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    clock.now = datetime.now(UTC)
    webhook = await hook(sessions, receiver)
    before = webhook.secret
    async with transaction(sessions) as session:
        changed = await commands.edit(
            session, webhook.id, {"secret": None}, actor="ada", now=clock.now, reason=None
        )
        after = changed.secret
    await happen(sessions, "rollouts/1")
    await beat(courier)
    for secret in (before, after):
        Verifier(secret).verify(receiver.got[0].body, receiver.got[0].headers)

    clock.advance(timedelta(hours=25))
    await happen(sessions, "rollouts/2")
    await beat(courier)
    assert receiver.got[1].headers["webhook-signature"].count("v1,") == 1


async def test_webhook_receiver_down(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver, other: Receiver
):
    """An hour of errors loses nothing, and holds up nobody else."""
    await hook(sessions, receiver)
    await hook(sessions, other)
    receiver.answer = lambda _: 500
    await happen(sessions, "rollouts/1", "rollouts/2", "rollouts/1")
    while clock.now < NOON + timedelta(hours=1):
        await beat(courier)
        clock.advance(timedelta(minutes=2))
    assert sorted(subjects(other)) == ["rollouts/1", "rollouts/1", "rollouts/2"]
    tried_in_vain = len(receiver.got)
    assert tried_in_vain == 8  # two subjects, at once and after 5 s, 5 min and 30 min

    receiver.answer = lambda _: 200
    clock.advance(timedelta(hours=3))
    await beat(courier)

    after = receiver.got[tried_in_vain:]
    assert len(after) == 3
    assert {got.id for got in receiver.got[:tried_in_vain]} < {got.id for got in after}
    assert await states(sessions) == [State.DELIVERED] * 6


async def test_a_receiver_that_hangs_holds_up_nobody_else(
    courier: Courier, sessions: Sessions, receiver: Receiver, other: Receiver
):
    receiver.hold = asyncio.Event()
    await hook(sessions, receiver)
    await hook(sessions, other)
    await happen(sessions, *(f"rollouts/{n}" for n in range(20)))
    async with asyncio.timeout(60):
        while len(other.got) < 20 or len(receiver.got) < 4:
            await courier.beat()
            await asyncio.sleep(0.05)

    assert len(receiver.got) == 4  # no more at once to one
    receiver.hold.set()
    await beat(courier)
    assert len(receiver.got) == 20


async def test_who_claims_twice_at_once_sends_no_more_to_one(
    courier: Courier, sessions: Sessions, receiver: Receiver
):
    receiver.hold = asyncio.Event()
    await hook(sessions, receiver)
    await happen(sessions, *(f"rollouts/{n}" for n in range(20)))
    await hand_out(sessions, now=NOON)
    await asyncio.gather(*(courier.beat() for _ in range(3)))
    async with sessions() as session:
        under_way = select(func.count()).where(Delivery.tried > 0)
        assert await session.scalar(under_way) == 4
    receiver.hold.set()
    await beat(courier)
    assert len(receiver.got) == 20


async def test_events_about_one_subject_keep_their_order(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    await hook(sessions, receiver)
    await happen(sessions, "rollouts/1", kind=EventType.ROLLOUT_STARTED)
    await happen(sessions, "rollouts/1", kind=EventType.ROLLOUT_ROLLED_BACK)
    receiver.answer = lambda got: 200 if len(receiver.got) > 1 else 503
    await beat(courier)
    assert len(receiver.got) == 1
    clock.advance(timedelta(seconds=10))
    await beat(courier)

    types = [json.loads(got.body)["type"] for got in receiver.got]
    assert types == ["rollout.started", "rollout.started", "rollout.rolled_back"]


async def test_after_the_last_attempt_the_next_event_has_its_turn(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    await hook(sessions, receiver)
    await happen(sessions, "rollouts/1", "rollouts/1")
    receiver.answer = lambda _: 500
    while clock.now < NOON + timedelta(hours=42):
        await beat(courier)
        clock.advance(timedelta(hours=1))

    ids = [got.id for got in receiver.got]
    first = ids[0]
    assert ids.count(first) == 8
    assert ids[8] != first
    assert (await states(sessions))[0] is State.FAILED


async def test_what_was_sent_and_not_written_down_is_sent_again_under_the_same_id(
    courier: Courier, sessions: Sessions, receiver: Receiver, clock: Clock
):
    """So a worker leaves it that is killed in between; no process is killed here."""
    await hook(sessions, receiver)
    await happen(sessions, "rollouts/1")
    await hand_out(sessions, now=clock.now)
    async with transaction(sessions) as session:
        [claimed] = await claim(session, now=clock.now, limit=10)
    await courier._attempt(claimed)
    await beat(courier)
    assert len(receiver.got) == 1  # the lease is not over
    async with transaction(sessions) as session:
        await session.execute(
            update(Delivery).values(lease_until=func.now() - text("interval '1s'"))
        )
    await beat(courier)

    assert len(receiver.got) == 2
    assert receiver.got[0].id == receiver.got[1].id
    assert await states(sessions) == [State.DELIVERED]


async def test_two_workers_deliver_each_event_once(
    courier: Courier, sessions: Sessions, receiver: Receiver, calls: Calls, clock: Clock
):
    second = Courier(sessions, calls, clock=clock, delays=(timedelta(seconds=5),), public_url=None)
    await hook(sessions, receiver)
    for n in range(5):
        await happen(sessions, *(f"rollouts/{m}" for m in range(n, n + 4)))
        await asyncio.gather(courier.beat(), second.beat())
    await asyncio.gather(beat(courier), beat(second))
    await beat(courier)

    assert len(receiver.got) == 20
    assert len({got.id for got in receiver.got}) == 20


async def test_only_what_it_asked_for_and_only_from_then_on(
    courier: Courier, sessions: Sessions, receiver: Receiver
):
    await happen(sessions, "too early")
    await hook(sessions, receiver, events=("rollout.*",), models=("checkup",))
    await happen(sessions, "of another model", model="other")
    await happen(sessions, "of another kind", kind=EventType.VERSION_REGISTERED)
    await happen(sessions, "wanted")
    await beat(courier)

    assert subjects(receiver) == ["wanted"]


async def test_a_receiver_that_is_gone_is_not_asked_again(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver, other: Receiver
):
    webhook = await hook(sessions, receiver)
    await hook(sessions, other, events=("webhook.disabled",))
    receiver.answer = lambda _: 410
    await happen(sessions, "rollouts/1", "rollouts/1")
    await beat(courier)
    clock.advance(timedelta(days=2))
    await beat(courier)

    assert len(receiver.got) == 1
    assert subjects(other) == [f"webhooks/{webhook.id}"]
    async with sessions() as session:
        found = await queries.webhook(session, webhook.id)
        assert (found.active, found.inactive_because) == (False, "its receiver answered 410 Gone")


async def test_a_receiver_that_asks_for_quiet_gets_it(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    await hook(sessions, receiver)
    receiver.answer = lambda _: 429
    receiver.headers = {"Retry-After": "120"}
    await happen(sessions, "rollouts/1")
    await beat(courier)
    receiver.answer = lambda _: 200
    clock.advance(timedelta(seconds=60))
    await happen(sessions, "rollouts/2")
    await beat(courier)
    assert len(receiver.got) == 1
    clock.advance(timedelta(seconds=61))
    await beat(courier)
    assert len(receiver.got) == 3


async def test_what_another_format_has_no_word_for_is_not_tried_for_ever(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    """On-call is told how a rollout ends, and nothing of its start, which waited until then."""
    webhook = await hook(sessions, receiver)
    receiver.answer = lambda _: 500
    await happen(sessions, "rollouts/1", kind=EventType.ROLLOUT_STARTED)
    await beat(courier)
    async with transaction(sessions) as session:
        changes = {"format": Format.PAGERDUTY, "secret": "0123456789abcdef" * 2}
        await commands.edit(session, webhook.id, changes, actor="ada", now=clock.now, reason=None)
    receiver.answer = lambda _: 202
    await happen(sessions, "rollouts/1", kind=EventType.ROLLOUT_FAILED)
    clock.advance(timedelta(minutes=1))
    await beat(courier)

    assert await states(sessions) == [State.CANCELLED, State.DELIVERED]
    assert json.loads(receiver.got[1].body)["payload"]["class"] == "rollout.failed"


async def test_a_routing_key_never_signs(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    clock.now = datetime.now(UTC)
    webhook = await hook(sessions, receiver, format=Format.PAGERDUTY, secret="no base64!")
    async with transaction(sessions) as session:
        changes = {"format": Format.STANDARD}
        found = await commands.edit(
            session, webhook.id, changes, actor="ada", now=clock.now, reason=None
        )
    await happen(sessions, "rollouts/1")
    await beat(courier)

    [got] = receiver.got
    assert got.headers["webhook-signature"].count("v1,") == 1
    Verifier(found.secret).verify(got.body, got.headers)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("deactivate", id="deactivated"),
        pytest.param("delete", id="deleted"),
    ],
)
async def test_nothing_more_goes_where_nothing_is_wanted(
    change: str, courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    webhook = await hook(sessions, receiver)
    receiver.answer = lambda _: 500
    await happen(sessions, "rollouts/1")
    await beat(courier)
    async with transaction(sessions) as session:
        if change == "delete":
            await commands.remove(session, webhook.id, actor="ada", now=clock.now, reason=None)
        else:
            await commands.edit(
                session, webhook.id, {"active": False}, actor="ada", now=clock.now, reason=None
            )
    await happen(sessions, "rollouts/2")
    clock.advance(timedelta(hours=1))
    await beat(courier)

    assert len(receiver.got) == 1
    assert await states(sessions) == ([] if change == "delete" else [State.CANCELLED])


async def test_what_is_old_and_sent_is_forgotten_and_what_waits_is_not(
    courier: Courier, clock: Clock, sessions: Sessions, receiver: Receiver
):
    await hook(sessions, receiver, format=Format.STANDARD)
    await happen(sessions, "sent")
    await beat(courier)
    receiver.answer = lambda _: 500
    await happen(sessions, "waiting")
    await beat(courier)
    async with transaction(sessions) as session:
        await commands.forget(session, now=NOON + timedelta(days=31), days=30)

    assert await states(sessions) == [State.PENDING]
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(DeliveryAttempt)) == 1
