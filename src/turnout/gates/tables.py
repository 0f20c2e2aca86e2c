"""Policies and reports are added and never changed; an approval is only ever withdrawn."""

from datetime import datetime

from sqlalchemy import ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.gates.domain.policy import GatePolicy
from turnout.gates.domain.report import Report
from turnout.registry.domain.lifecycle import Lifecycle


class GatePolicyRow(Base):
    """The newest revision counts. Without a model it is the service's; without a policy, none."""

    __tablename__ = "gate_policy"
    __table_args__ = (UniqueConstraint("model_id", "revision", postgresql_nulls_not_distinct=True),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    revision: Mapped[int]
    policy: Mapped[GatePolicy | None] = mapped_column(Json(GatePolicy))
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str | None]


class GateReport(Base):
    """A trigger refuses changes."""

    __tablename__ = "gate_report"
    __table_args__ = (Index(None, "version_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id", ondelete="CASCADE"))
    to_stage: Mapped[str] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    report: Mapped[Report] = mapped_column(Json(Report))
    policy_model: Mapped[str | None]
    policy_revision: Mapped[int]
    fingerprint: Mapped[str]
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str | None]


class Approval(Base):
    __tablename__ = "approval"
    __table_args__ = (
        Index(
            "ix_approval_in_force",
            "version_id",
            "to_stage",
            "by",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id", ondelete="CASCADE"))
    to_stage: Mapped[str] = mapped_column(String(20))
    by: Mapped[str]
    at: Mapped[datetime]
    reason: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]

    @property
    def stage(self) -> Lifecycle:
        return Lifecycle(self.to_stage)


class Achievement(Base):
    """What a version succeeded in, as the slices above noted it."""

    __tablename__ = "achievement"

    version_id: Mapped[int] = mapped_column(
        ForeignKey("version.id", ondelete="CASCADE"), primary_key=True
    )
    feat: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
