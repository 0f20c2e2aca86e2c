"""Webhooks and deliveries as they are shown. A secret is shown once, to whoever makes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.delivery import queries
from turnout.delivery.domain.attempts import Attempt, State
from turnout.delivery.domain.webhook import (
    Description,
    Format,
    Models,
    Patterns,
    Secret,
    Url,
    shown_url,
)
from turnout.delivery.tables import Delivery, Webhook
from turnout.events.domain import EventType
from turnout.events.queries import events_by_id


class WebhookPatch(BaseModel):
    """The fields to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    url: Url = ""
    events: Patterns = ()
    models: Models | None = None
    secret: Secret | None = None
    format: Format = Format.STANDARD
    description: Description = ""
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """`secret` is answered when it is made or changed, and never again."""

    id: UUID
    url: str
    events: Sequence[str]
    models: Sequence[str] | None
    format: Format
    secret: str | None
    description: str
    active: bool
    inactive_because: str | None
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event to one webhook. `webhook_id_header` is what the receiver knows it by, over all
    attempts; `next_attempt_at` is null once it is over."""

    id: UUID
    webhook_id_header: str
    event_id: int
    type: EventType | str
    subject: str
    state: State
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    attempts: Sequence[Attempt]


def webhook_view(row: Webhook, *, secret: bool = False) -> WebhookView:
    return WebhookView(
        id=row.id,
        url=shown_url(row.url, row.format),
        events=row.events,
        models=row.models,
        format=row.format,
        secret=row.secret if secret and row.format.signed else None,
        description=row.description,
        active=row.active,
        inactive_because=row.inactive_because,
        created_by=row.created_by,
        created_at=row.created_at,
    )


async def delivery_views(session: AsyncSession, rows: Sequence[Delivery]) -> list[DeliveryView]:
    events = await events_by_id(session, {row.event_id for row in rows})
    attempts = await queries.attempts(session, [row.id for row in rows])
    return [
        DeliveryView(
            id=row.id,
            webhook_id_header=f"msg_{row.id.hex}",
            event_id=events[row.event_id].position,
            type=events[row.event_id].type,
            subject=row.subject,
            state=row.state,
            next_attempt_at=row.due_at if row.state is State.PENDING else None,
            created_at=row.created_at,
            finished_at=row.finished_at,
            attempts=[
                Attempt(
                    at=made.at,
                    duration_ms=made.duration_ms,
                    status=made.status,
                    answer=made.answer,
                    error=made.error,
                )
                for made in attempts.get(row.id, ())
            ],
        )
        for row in rows
    ]
