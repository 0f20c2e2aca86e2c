"""The outbox: one row for everything that others are told, written with the change itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base


class EventRow(Base):
    """Ids rise in the order of writing, which is not always the order of commits."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "subject", "id"), Index(None, "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    type: Mapped[str]
    subject: Mapped[str]
    model: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
