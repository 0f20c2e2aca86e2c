"""Webhooks, what is to be delivered to them, and every attempt at it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Enum, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.webhook import Format


def _word(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        length=30,
        create_constraint=False,
        values_callable=lambda words: [word.value for word in words],
    )


class Webhook(Base):
    """Its secret is readable, because it must be in order to sign."""

    __tablename__ = "webhook"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    url: Mapped[str]
    events: Mapped[tuple[str, ...]] = mapped_column(Json(tuple[str, ...]))
    models: Mapped[tuple[str, ...] | None] = mapped_column(Json(tuple[str, ...]))
    format: Mapped[Format] = mapped_column(_word(Format))
    secret: Mapped[str]
    secret_before: Mapped[str | None]
    rotated_at: Mapped[datetime | None]
    description: Mapped[str]
    active: Mapped[bool]
    inactive_because: Mapped[str | None]
    since: Mapped[int] = mapped_column(BigInteger)
    """The newest position when it was made or activated; it is told of what came behind it."""
    rest_until: Mapped[datetime | None]
    """Its receiver has asked for quiet until then."""
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class Delivery(Base):
    """One per event and webhook, over all attempts: its id is the `webhook-id`."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("uq_webhook_delivery_event", "webhook_id", "event_id", unique=True),
        Index(
            "ix_webhook_delivery_pending",
            "webhook_id",
            "subject",
            "event_id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(None, "event_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey(Webhook.id, ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("event.id"))
    subject: Mapped[str]
    in_order: Mapped[bool]
    """Waits for earlier events about its subject, and later ones wait for it; not when by hand."""
    state: Mapped[State] = mapped_column(_word(State))
    tried: Mapped[int]
    """Attempts of this series; one that is begun by hand counts anew."""
    due_at: Mapped[datetime]
    fence: Mapped[int] = mapped_column(BigInteger)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class DeliveryAttempt(Base):
    __tablename__ = "webhook_attempt"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey(Delivery.id, ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime]
    duration_ms: Mapped[float]
    status: Mapped[int | None]
    answer: Mapped[str | None]
    error: Mapped[str | None]


class WebhookCursor(Base):
    """One row: up to which position events have been handed to the webhooks."""

    __tablename__ = "webhook_cursor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
