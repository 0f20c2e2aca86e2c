from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.monitoring.domain.thresholds import Thresholds
from turnout.monitoring.domain.watch import Watch


class ThresholdSet(Base):
    """What is watched of a model, and how far each rule has come.

    The worker that claims a row raises `fence`, and so does whoever changes it: a worker with an
    older one has lost its claim. `looked_at` is None until the first look since they were set.
    So is `drift_looked_at`, the time of the last look at what has moved.
    """

    __tablename__ = "threshold_set"
    __table_args__ = (Index(None, "due_at"), {"postgresql_with": {"fillfactor": 50}})

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    thresholds: Mapped[Thresholds] = mapped_column(Json(Thresholds))
    watches: Mapped[tuple[Watch, ...]] = mapped_column(Json(tuple[Watch, ...]))
    set_at: Mapped[datetime]
    set_by: Mapped[str]
    looked_at: Mapped[datetime | None]
    drift_looked_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    fence: Mapped[int] = mapped_column(BigInteger)
