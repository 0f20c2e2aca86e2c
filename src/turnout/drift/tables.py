from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.drift.domain.baseline import Baseline
from turnout.observations.samples import Seen


class BaselineRow(Base):
    """What a version is held against; while `awaited` is set, so many predictions to make it of.

    Of these, `collected` were found so far, made since `since`, among the batches up to `position`.
    """

    __tablename__ = "baseline"
    __table_args__ = (
        Index(None, "model_id"),
        Index("ix_baseline_awaited", "version_id", postgresql_where=text("awaited IS NOT NULL")),
    )

    version_id: Mapped[int] = mapped_column(
        ForeignKey("version.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    baseline: Mapped[Baseline | None] = mapped_column(Json(Baseline))
    origin: Mapped[str]
    awaited: Mapped[int | None]
    collected: Mapped[int] = mapped_column(server_default="0")
    since: Mapped[datetime | None]
    position: Mapped[int | None] = mapped_column(BigInteger)
    set_at: Mapped[datetime]
    set_by: Mapped[str]


class BaselinePart(Base):
    """What one look has found for a baseline that is still awaited; `first` counts from 0."""

    __tablename__ = "baseline_part"

    version_id: Mapped[int] = mapped_column(
        ForeignKey(BaselineRow.version_id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    first: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen: Mapped[tuple[Seen, ...]] = mapped_column(Json(tuple[Seen, ...]))
