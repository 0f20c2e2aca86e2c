"""Which deliveries are sent next, and what is written down once they were."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Select, false, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from turnout.delivery.commands import deactivate
from turnout.delivery.domain.attempts import Attempt, Fate, State
from turnout.delivery.domain.webhook import ROTATION, Format
from turnout.delivery.tables import Delivery, DeliveryAttempt, Webhook
from turnout.events.commands import emit
from turnout.events.domain import Event, EventType
from turnout.events.queries import events_by_id

LEASE: Final = timedelta(seconds=60)
"""Well over the time that an attempt may take. A worker that is killed is replaced after it."""

PER_WEBHOOK: Final = 4
"""Under way at once to one receiver, over all workers: one that hangs leaves room for others.

Workers that claim at the same moment do not see each other's, and each may take as many.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery to be tried now; void once its fence has been raised again."""

    delivery_id: UUID
    webhook_id: UUID
    fence: int
    number: int
    url: str
    format: Format
    secrets: Sequence[str]
    event: Event


async def claim(session: AsyncSession, *, now: datetime, limit: int) -> list[Claim]:
    """Take what is due, a few per webhook, and per subject only the earliest event."""
    due = _due(now).lateral("due")
    chosen = (
        select(due.c.id)
        .select_from(Webhook)
        .join(due, true())
        .where(Webhook.active, or_(Webhook.rest_until.is_(None), Webhook.rest_until <= now))
        .limit(limit)
        .cte("chosen")
    )
    taken = (
        await session.scalars(
            update(Delivery)
            .where(Delivery.id == chosen.c.id)
            .values(
                fence=Delivery.fence + 1,
                tried=Delivery.tried + 1,
                lease_until=func.now() + LEASE,
            )
            .returning(Delivery)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
    ).all()
    return await _claims(session, taken, now)


def _due(now: datetime) -> Select[UUID]:
    """What may be sent to the webhook of the surrounding query, the longest due first."""
    earlier, leased = aliased(Delivery), aliased(Delivery)
    blocked = (
        select(earlier.id)
        .where(
            earlier.webhook_id == Delivery.webhook_id,
            earlier.subject == Delivery.subject,
            earlier.event_id < Delivery.event_id,
            earlier.state == State.PENDING,
            earlier.in_order,
        )
        .exists()
    )
    under_way = (
        select(func.count())
        .where(
            leased.webhook_id == Webhook.id,
            leased.state == State.PENDING,
            leased.lease_until > func.now(),
        )
        .correlate(Webhook)
        .scalar_subquery()
    )
    return (
        select(Delivery.id)
        .where(
            Delivery.webhook_id == Webhook.id,
            Delivery.state == State.PENDING,
            Delivery.due_at <= now,
            or_(Delivery.lease_until.is_(None), Delivery.lease_until <= func.now()),
            or_(Delivery.in_order == false(), ~blocked),
        )
        .order_by(Delivery.due_at, Delivery.event_id)
        .limit(func.greatest(PER_WEBHOOK - under_way, 0))
        .with_for_update(skip_locked=True)
        .correlate(Webhook)
    )


async def _claims(session: AsyncSession, taken: Sequence[Delivery], now: datetime) -> list[Claim]:
    events = await events_by_id(session, {row.event_id for row in taken})
    ids = {row.webhook_id for row in taken}
    query = select(Webhook).where(Webhook.id.in_(ids)).execution_options(populate_existing=True)
    webhooks = {row.id: row for row in await session.scalars(query)}
    return [
        Claim(
            delivery_id=row.id,
            webhook_id=row.webhook_id,
            fence=row.fence,
            number=row.tried,
            url=webhook.url,
            format=webhook.format,
            secrets=_secrets(webhook, now),
            event=events[row.event_id],
        )
        for row in taken
        if (webhook := webhooks.get(row.webhook_id)) is not None
    ]


def _secrets(webhook: Webhook, now: datetime) -> list[str]:
    known = [webhook.secret]
    before, at = webhook.secret_before, webhook.rotated_at
    if webhook.format.signed and before is not None and at is not None and now < at + ROTATION:
        known.append(before)
    return known


async def settle(
    session: AsyncSession,
    claim: Claim,
    attempt: Attempt,
    decided: Fate,
    *,
    clock: Callable[[], datetime],
) -> bool:
    """Write down an attempt and what follows; False where somebody else has it by now.

    The webhook's row is locked first, as whoever edits, deactivates or deletes it does.
    """
    now = clock()
    webhook = await session.get(Webhook, claim.webhook_id, with_for_update=True)
    delivery = await session.get(Delivery, claim.delivery_id, with_for_update=True)
    if webhook is None or delivery is None:
        return False
    session.add(
        DeliveryAttempt(
            delivery_id=delivery.id,
            at=attempt.at,
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            answer=attempt.answer,
            error=attempt.error,
        )
    )
    if delivery.fence != claim.fence:
        return False
    delivery.state, delivery.due_at, delivery.lease_until = decided.state, decided.due_at, None
    if decided.state is not State.PENDING:
        delivery.finished_at = now
    if decided.rest_until is not None:
        webhook.rest_until = decided.rest_until
    if decided.gone:
        await _disable(session, webhook, now)
    return True


async def _disable(session: AsyncSession, webhook: Webhook, now: datetime) -> None:
    because = "its receiver answered 410 Gone"
    await session.flush()
    await deactivate(session, webhook, because=because, now=now)
    data = {"webhook": webhook.id, "description": webhook.description, "reason": because}
    subject = f"webhooks/{webhook.id}"
    kind = EventType.WEBHOOK_DISABLED
    emit(session, kind, subject=subject, model=None, data=data, now=now)
