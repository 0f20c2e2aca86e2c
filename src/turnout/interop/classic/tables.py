from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.interop.classic.domain import ABTest


class ClassicTest(Base):
    """An A/B test as it was asked for, and what carries it out: an experiment from the beginning,
    or a rollout since its start. A canary is neither before that."""

    __tablename__ = "classic_test"

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    test_id: Mapped[str] = mapped_column(primary_key=True)
    asked: Mapped[ABTest] = mapped_column(Json(ABTest))
    experiment_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("experiment.id", ondelete="CASCADE")
    )
    rollout_id: Mapped[UUID | None] = mapped_column(ForeignKey("rollout.id"))
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    concluded_at: Mapped[datetime | None]
