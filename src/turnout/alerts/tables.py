from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.alerts.domain import Kind, Severity, State
from turnout.db import Base


def _word(kind: type[StrEnum]) -> Enum:
    """Text without a check: rows outlive the words of later releases."""
    return Enum(
        kind,
        native_enum=False,
        length=30,
        create_constraint=False,
        values_callable=lambda words: [word.value for word in words],
    )


class Alert(Base):
    """A cause and how far it has come. That one cause has one open alert is the unique index.

    `told_at` is when others were last told that it fires, if ever; `untold` marks one that they
    are still to be told of, once no silence covers it.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index("uq_alert_open", "cause", unique=True, postgresql_where=text("state <> 'resolved'")),
        Index("ix_alert_untold", "id", postgresql_where=text("untold")),
        Index(None, "model", "id"),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
        CheckConstraint("state = 'firing' OR NOT untold", name="untold"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cause: Mapped[str] = mapped_column(Text(collation="C"))
    kind: Mapped[Kind] = mapped_column(_word(Kind))
    severity: Mapped[Severity] = mapped_column(_word(Severity))
    state: Mapped[State] = mapped_column(_word(State))
    subject: Mapped[str]
    model: Mapped[str | None]
    summary: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    fired_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """When the cause was last found to persist."""
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    untold: Mapped[bool]
    told_at: Mapped[datetime | None]


class AlertChange(Base):
    """The history of an alert: one row for every state it came into."""

    __tablename__ = "alert_change"

    alert_id: Mapped[int] = mapped_column(ForeignKey(Alert.id), primary_key=True)
    state: Mapped[State] = mapped_column(_word(State), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str | None]


class SilenceRow(Base):
    """Kept when it is over; ended early, `until` is when."""

    __tablename__ = "silence"
    __table_args__ = (Index(None, "until"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey(Alert.id))
    model: Mapped[str | None]
    kind: Mapped[Kind | None] = mapped_column(_word(Kind))
    until: Mapped[datetime]
    reason: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
