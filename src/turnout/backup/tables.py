"""Who has made a backup, or is making one: so that of many workers, one does."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base


class BackupRow(Base):
    """`error` says why there is none. Without an end and past its lease, its maker has died."""

    __tablename__ = "backup"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]
    path: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None]
