"""Updates and their steps, the schedules that start them, and the policies they keep to."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from turnout.automation.domain.checks import RuleFinding
from turnout.automation.domain.policy import UpdatePolicy
from turnout.automation.domain.update import (
    NewUpdateSchedule,
    UpdateState,
    UpdateTrigger,
    UpdateWish,
)
from turnout.db import Base, Json

_OVER = ", ".join(f"'{state}'" for state in UpdateState if state.over)
_UNDER_WAY = ", ".join(f"'{state}'" for state in UpdateState if state.under_way)


def _word(kind: type[StrEnum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        length=30,
        create_constraint=False,
        values_callable=lambda words: [word.value for word in words],
    )


class UpdateSchedule(Base):
    """`next_at` is the run that is due next; whoever opens its update moves it on in the same
    transaction."""

    __tablename__ = "update_schedule"
    __table_args__ = (
        Index("ix_update_schedule_due", "next_at", postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), index=True)
    plan: Mapped[NewUpdateSchedule] = mapped_column(Json(NewUpdateSchedule))
    next_at: Mapped[datetime]
    last_at: Mapped[datetime | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Update(Base):
    """An update and how far it has come.

    The worker that claims one raises `fence`, and so does every step: what comes back from a long
    check with an older one is void. `lease_until` keeps it from other workers meanwhile.
    """

    __tablename__ = "model_update"
    __table_args__ = (
        UniqueConstraint("schedule_id", "slot"),
        Index(
            "uq_model_update_under_way",
            "model_id",
            unique=True,
            postgresql_where=text(f"state IN ({_UNDER_WAY})"),
        ),
        Index("ix_model_update_due", "due_at", postgresql_where=text("finished_at IS NULL")),
        Index(None, "model_id", "seq"),
        CheckConstraint(f"(finished_at IS NOT NULL) = (state IN ({_OVER}))", name="finished"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    wish: Mapped[UpdateWish] = mapped_column(Json(UpdateWish))
    trigger: Mapped[UpdateTrigger] = mapped_column(_word(UpdateTrigger))
    cause: Mapped[str | None]
    dataset_version: Mapped[str | None]
    schedule_id: Mapped[UUID | None] = mapped_column(ForeignKey(UpdateSchedule.id))
    slot: Mapped[datetime | None]
    event_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    """What was told in the outbox and led to it."""
    state: Mapped[UpdateState] = mapped_column(_word(UpdateState))
    reason: Mapped[str]
    """Of the newest step, or what it waits for."""
    version_id: Mapped[int | None] = mapped_column(ForeignKey("version.id", ondelete="SET NULL"))
    findings: Mapped[tuple[RuleFinding, ...]] = mapped_column(Json(tuple[RuleFinding, ...]))
    rollout_id: Mapped[UUID | None] = mapped_column(ForeignKey("rollout.id"))
    attempts: Mapped[int]
    """Calls of the training pipeline that have failed."""
    due_at: Mapped[datetime]
    fence: Mapped[int] = mapped_column(BigInteger)
    lease_until: Mapped[datetime | None]
    requested_by: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class UpdateStep(Base):
    """What happened, in order; never changed."""

    __tablename__ = "update_step"

    update_id: Mapped[UUID] = mapped_column(
        ForeignKey(Update.id, ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[UpdateState] = mapped_column(_word(UpdateState))
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str]


class UpdatePolicyRow(Base):
    __tablename__ = "update_policy"

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    policy: Mapped[UpdatePolicy] = mapped_column(Json(UpdatePolicy))
    set_at: Mapped[datetime]
    set_by: Mapped[str]


class UpdateCursor(Base):
    """One row: up to which position of the outbox events have been looked at."""

    __tablename__ = "update_cursor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
