from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.drift.domain.baseline import Baseline


class BaselineRow(Base):
    """What a version is held against; while `awaited` is set, so many predictions to make it of."""

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
    set_at: Mapped[datetime]
    set_by: Mapped[str]
