"""From the outbox to the deliveries: each event to each webhook that wants it, exactly once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from turnout.db import Sessions, transaction
from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.formats import sends
from turnout.delivery.domain.webhook import is_for
from turnout.delivery.tables import Delivery, Webhook, WebhookCursor
from turnout.events import queries as events
from turnout.events.commands import number
from turnout.events.domain import Event

BATCH: Final = 200


async def hand_out(sessions: Sessions, *, now: datetime) -> None:
    """Go on where the last one stopped. Another worker that is at it already does it for us."""
    async with transaction(sessions) as session:
        await number(session)
    while await _hand_out(sessions, now):
        pass


async def _hand_out(sessions: Sessions, now: datetime) -> bool:
    async with transaction(sessions) as session:
        cursor = await session.scalar(select(WebhookCursor).with_for_update(skip_locked=True))
        if cursor is None:
            return False
        found = await events.events(session, after=cursor.position, limit=BATCH)
        if not found:
            return False
        # Locked, so that none is deactivated between this look at it and its delivery.
        webhooks = (
            await session.scalars(
                select(Webhook)
                .where(Webhook.active)
                .order_by(Webhook.id)
                .with_for_update(read=True)
            )
        ).all()
        rows = [
            _row(event, webhook, now)
            for event in found
            for webhook in webhooks
            if event.position > webhook.since
            and is_for(event, events=webhook.events, models=webhook.models)
            and sends(webhook.format, event.type)
        ]
        for begin in range(0, len(rows), 1000):
            await session.execute(
                insert(Delivery).values(rows[begin : begin + 1000]).on_conflict_do_nothing()
            )
        cursor.position = found[-1].position
    return len(found) == BATCH


def _row(event: Event, webhook: Webhook, now: datetime) -> Mapping[str, Any]:
    return {
        "id": uuid4(),
        "webhook_id": webhook.id,
        "event_id": event.id,
        "subject": event.subject,
        "in_order": True,
        "state": State.PENDING,
        "tried": 0,
        "due_at": now,
        "fence": 0,
        "created_at": now,
    }
