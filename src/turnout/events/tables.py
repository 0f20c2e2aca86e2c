"""The outbox: one row for everything that others are told, written with the change itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base


class EventRow(Base):
    """Ids rise in the order of writing, which is not always the order of commits; `position` is
    given once an event is committed, and readers go by that."""

    __tablename__ = "event"
    __table_args__ = (
        Index(None, "subject", "id"),
        Index(None, "at"),
        Index("ix_event_unnumbered", "id", postgresql_where=text("position IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime]
    type: Mapped[str]
    subject: Mapped[str]
    model: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class EventCounter(Base):
    """One row, which whoever numbers events locks: the position that was given last."""

    __tablename__ = "event_counter"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
