"""Webhooks and their delivery log."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.webhook import DeliveryNotFound, WebhookNotFound
from turnout.delivery.tables import Delivery, DeliveryAttempt, Webhook
from turnout.events import queries as events


async def webhook(session: AsyncSession, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    found = await session.get(Webhook, webhook_id, with_for_update=lock or None)
    if found is None:
        raise WebhookNotFound(webhook_id)
    return found


async def webhooks(
    session: AsyncSession, *, model: str | None, before: int | None, limit: int
) -> Sequence[Webhook]:
    query = select(Webhook).order_by(Webhook.seq.desc()).limit(limit)
    if model is not None:
        named = type_coerce(Webhook.models, JSONB).contains([model])
        query = query.where(or_(Webhook.models.is_(None), named))
    if before is not None:
        query = query.where(Webhook.seq < before)
    return (await session.scalars(query)).all()


async def delivery(
    session: AsyncSession, webhook_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery:
    found = await session.get(Delivery, delivery_id, with_for_update=lock or None)
    if found is None or found.webhook_id != webhook_id:
        raise DeliveryNotFound(webhook_id, delivery_id)
    return found


async def deliveries(
    session: AsyncSession,
    webhook_id: UUID,
    *,
    state: State | None,
    before: int | None,
    limit: int,
) -> Sequence[Delivery]:
    """Newest event first."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id)
    if state is not None:
        query = query.where(Delivery.state == state)
    if before is not None:
        query = query.where(Delivery.event_id < before)
    return (await session.scalars(query.order_by(Delivery.event_id.desc()).limit(limit))).all()


async def attempts(
    session: AsyncSession, delivery_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[DeliveryAttempt]]:
    """Every attempt at these deliveries, in the order made."""
    query = (
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id.in_(delivery_ids))
        .order_by(DeliveryAttempt.id)
    )
    found: dict[UUID, list[DeliveryAttempt]] = defaultdict(list)
    for row in await session.scalars(query):
        found[row.delivery_id].append(row)
    return found


async def oldest_waiting(session: AsyncSession) -> datetime | None:
    """Since when something waits: an event to be handed out, or a delivery to succeed."""
    pending = await session.scalar(
        select(func.min(Delivery.created_at)).where(Delivery.state == State.PENDING)
    )
    unread = await events.unnumbered_since(session)
    return min((at for at in (pending, unread) if at is not None), default=None)
