"""Making and changing webhooks, and sending something to one by hand."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.delivery import queries
from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.webhook import (
    SECRET_BYTES,
    SECRET_PREFIX,
    Format,
    NewWebhook,
    StillPending,
    WebhookInactive,
    WrongSecret,
    shown_url,
)
from turnout.delivery.tables import Delivery, Webhook, WebhookCursor
from turnout.events import commands as events
from turnout.events.domain import EventType
from turnout.events.queries import newest


async def create(
    session: AsyncSession, new: NewWebhook, *, actor: str, now: datetime, reason: str | None
) -> Webhook:
    made = Webhook(
        id=uuid4(),
        url=new.url,
        events=new.events,
        models=new.models,
        format=new.format,
        secret=_secret(new.secret, new.format),
        description=new.description,
        active=new.active,
        inactive_because=None if new.active else "it was made so",
        since=await _present(session),
        created_by=actor,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    audit(
        session,
        actor=actor,
        action="webhook.created",
        subject=_path(made.id),
        after=_noted(made),
        reason=reason,
        now=now,
    )
    return made


async def edit(
    session: AsyncSession,
    webhook_id: UUID,
    changes: Mapping[str, Any],
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Webhook:
    """Change some fields. A new secret signs beside the old one for a day, if that signed, too."""
    found = await queries.webhook(session, webhook_id, lock=True)
    before, active, form = _noted(found), found.active, found.format
    for name, value in changes.items():
        if name != "secret":
            setattr(found, name, value)
    if "secret" in changes or found.format is not form:
        found.secret_before = found.secret if form.signed else None
        found.rotated_at = now
        found.secret = _secret(changes.get("secret"), found.format)
    if found.active and not active:
        found.since, found.inactive_because = await _present(session), None
    elif active and not found.active:
        await deactivate(session, found, because=f"{actor} deactivated it", now=now)
    await session.flush()
    audit(
        session,
        actor=actor,
        action="webhook.edited",
        subject=_path(webhook_id),
        before=before,
        after=_noted(found),
        reason=reason,
        now=now,
    )
    return found


async def deactivate(
    session: AsyncSession, webhook: Webhook, *, because: str, now: datetime
) -> None:
    """Nothing more is sent, and what waited is not sent later either."""
    webhook.active, webhook.inactive_because = False, because
    await session.execute(
        update(Delivery)
        .where(Delivery.webhook_id == webhook.id, Delivery.state == State.PENDING)
        .values(state=State.CANCELLED, finished_at=now, fence=Delivery.fence + 1)
    )


async def remove(
    session: AsyncSession, webhook_id: UUID, *, actor: str, now: datetime, reason: str | None
) -> None:
    found = await queries.webhook(session, webhook_id, lock=True)
    audit(
        session,
        actor=actor,
        action="webhook.deleted",
        subject=_path(webhook_id),
        before=_noted(found),
        reason=reason,
        now=now,
    )
    await session.delete(found)


async def test(
    session: AsyncSession, webhook_id: UUID, *, actor: str, now: datetime, reason: str | None
) -> Delivery:
    """Send a test, the way that everything else is sent."""
    found = await queries.webhook(session, webhook_id, lock=True)
    if not found.active:
        raise WebhookInactive(webhook_id)
    event_id = await events.emit_now(
        session,
        EventType.WEBHOOK_TEST,
        subject=_path(webhook_id),
        model=None,
        data={"webhook": webhook_id, "actor": actor},
        now=now,
    )
    made = Delivery(
        id=uuid4(),
        webhook_id=webhook_id,
        event_id=event_id,
        subject=_path(webhook_id),
        in_order=False,
        state=State.PENDING,
        tried=0,
        due_at=now,
        fence=0,
        created_at=now,
    )
    session.add(made)
    await session.flush()
    await events.number(session)
    audit(
        session,
        actor=actor,
        action="webhook.tested",
        subject=_path(webhook_id),
        after={"delivery": str(made.id)},
        reason=reason,
        now=now,
    )
    await session.flush()
    return made


async def redeliver(
    session: AsyncSession,
    webhook_id: UUID,
    delivery_id: UUID,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> Delivery:
    """Begin a new series of attempts, under the same `webhook-id`."""
    webhook = await queries.webhook(session, webhook_id, lock=True)
    found = await queries.delivery(session, webhook_id, delivery_id, lock=True)
    if not webhook.active:
        raise WebhookInactive(webhook_id)
    if found.state is State.PENDING:
        raise StillPending(delivery_id)
    audit(
        session,
        actor=actor,
        action="webhook.redelivered",
        subject=f"{_path(webhook_id)}/deliveries/{delivery_id}",
        before={"state": found.state},
        after={"state": State.PENDING},
        reason=reason,
        now=now,
    )
    found.state, found.tried, found.in_order = State.PENDING, 0, False
    found.due_at, found.finished_at, found.lease_until = now, None, None
    found.fence += 1
    await session.flush()
    return found


async def forget(session: AsyncSession, *, now: datetime, days: int) -> None:
    """Drop events and their deliveries once they are old, but nothing that is still to be sent."""
    before = now - timedelta(days=days)
    await session.execute(
        delete(Delivery).where(Delivery.finished_at < before, Delivery.state != State.PENDING)
    )
    handed_out = (await session.scalars(select(WebhookCursor.position))).one()
    await events.forget(session, before=before, up_to=handed_out, keeping=select(Delivery.event_id))


async def _present(session: AsyncSession) -> int:
    await events.number(session)
    return await newest(session)


def _secret(given: str | None, form: Format) -> str:
    if form is Format.PAGERDUTY:
        if given is None:
            raise WrongSecret(
                "format pagerduty needs the integration's routing key as secret",
                field="body.secret",
            )
        return given
    if given is None:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    try:
        size = len(base64.b64decode(given.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not given.startswith(SECRET_PREFIX) or not 24 <= size <= 64:
        raise WrongSecret(
            "a secret is whsec_ and the base64 of 24 to 64 random bytes; leave it out, and one is"
            " generated",
            field="body.secret",
        )
    return given


def _noted(webhook: Webhook) -> dict[str, Any]:
    return {
        "url": shown_url(webhook.url, webhook.format),
        "events": list(webhook.events),
        "models": None if webhook.models is None else list(webhook.models),
        "format": webhook.format.value,
        "description": webhook.description,
        "active": webhook.active,
        "rotated_at": webhook.rotated_at.isoformat() if webhook.rotated_at else None,
    }


def _path(webhook_id: UUID) -> str:
    return f"webhooks/{webhook_id}"
