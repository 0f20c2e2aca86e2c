from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.machine import Event
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Conclusion, Progress, Sequences, Status

_TERMINAL = ", ".join(f"'{status}'" for status in Status if status.terminal)


class Trigger(StrEnum):
    """Why an analysis was made: its time had come, a person asked, or a health check or guardrail
    said something new between two looks, or it is the last one."""

    SCHEDULE = "schedule"
    PERSON = "person"
    TICK = "tick"
    END = "end"


def _word(kind: type[StrEnum]) -> Enum:
    """Text without a check: rows of the history outlive the words of later releases."""
    return Enum(
        kind,
        native_enum=False,
        length=30,
        create_constraint=False,
        values_callable=lambda words: [word.value for word in words],
    )


class Experiment(Base):
    """An experiment and where it stands; live from its start until it is concluded or stopped.

    The plan is locked at the start, and `plan_hash` is its fingerprint from then on. `sequences`
    is the memory of the looks. Claims and fences are those of rollouts: the worker that claims a
    row raises `fence`, and so does every step; whoever comes with an older one has lost the claim.
    """

    __tablename__ = "experiment"
    __table_args__ = (
        UniqueConstraint("model_id", "key", name="uq_experiment_key"),
        Index(
            "uq_experiment_live",
            "model_id",
            unique=True,
            postgresql_where=text("started_at IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(None, "model_id", "seq"),
        CheckConstraint("(started_at IS NULL) = (status = 'draft')", name="started"),
        CheckConstraint(f"(finished_at IS NULL) = (status NOT IN ({_TERMINAL}))", name="finished"),
        CheckConstraint("(plan_hash IS NULL) = (started_at IS NULL)", name="locked"),
        {"postgresql_with": {"fillfactor": 70}},  # claims rewrite live rows every second, in place
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    """The order in which they were made, which no clock can turn round."""
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    key: Mapped[str]
    plan: Mapped[Plan] = mapped_column(Json(Plan))
    plan_hash: Mapped[str | None]
    progress: Mapped[Progress] = mapped_column(Json(Progress))
    status: Mapped[Status] = mapped_column(
        _word(Status), Computed("(progress ->> 'status')", persisted=True)
    )
    sequences: Mapped[Sequences] = mapped_column(Json(Sequences))
    seen: Mapped[tuple[str, ...]] = mapped_column(Json(tuple[str, ...]))
    """The verdicts of the newest analysis that was stored."""
    analyses: Mapped[int]
    """How many are stored; the newest has this number."""
    step: Mapped[int]
    fence: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime]
    looked_at: Mapped[datetime | None]
    """When the goal was last looked at."""
    lease_until: Mapped[datetime | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ExperimentArm(Base):
    """The version behind a name in the plan. As long as it is there, the version stays, too."""

    __tablename__ = "experiment_arm"

    experiment_id: Mapped[UUID] = mapped_column(
        ForeignKey(Experiment.id, ondelete="CASCADE"), primary_key=True
    )
    version_id: Mapped[int] = mapped_column(
        ForeignKey("version.id"), primary_key=True, autoincrement=False, index=True
    )
    version: Mapped[str]


class ExperimentAnalysis(Base):
    """What was seen and what was made of it; never changed, which a trigger sees to.

    `sequences` is the memory that the analysis began with: plan, progress, evidence and memory
    lead to the same analysis again.
    """

    __tablename__ = "experiment_analysis"

    experiment_id: Mapped[UUID] = mapped_column(ForeignKey(Experiment.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1 on, within the experiment."""
    at: Mapped[datetime]
    trigger: Mapped[Trigger] = mapped_column(_word(Trigger))
    at_goal: Mapped[bool]
    """The goal was looked at; else its figures are those of the look before."""
    progress: Mapped[Progress] = mapped_column(Json(Progress))
    evidence: Mapped[ExperimentEvidence] = mapped_column(Json(ExperimentEvidence))
    sequences: Mapped[Sequences] = mapped_column(Json(Sequences))
    analysis: Mapped[Analysis] = mapped_column(Json(Analysis))
    plan_hash: Mapped[str]


class ExperimentStep(Base):
    """The history. That no step has two rows is what keeps two workers from taking it twice."""

    __tablename__ = "experiment_step"
    __table_args__ = (
        ForeignKeyConstraint(
            ["experiment_id", "analysis"],
            ["experiment_analysis.experiment_id", "experiment_analysis.number"],
            name="fk_experiment_step_analysis",
        ),
    )

    experiment_id: Mapped[UUID] = mapped_column(
        ForeignKey(Experiment.id, ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[Event] = mapped_column(_word(Event))
    from_status: Mapped[Status | None] = mapped_column(_word(Status))
    to_status: Mapped[Status] = mapped_column(_word(Status))
    conclusion: Mapped[Conclusion | None] = mapped_column(_word(Conclusion))
    winner: Mapped[str | None]
    serves: Mapped[str | None]
    """Who answers everything, now that the experiment is over."""
    reason: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]
    split_id: Mapped[int | None] = mapped_column(BigInteger)
    analysis: Mapped[int | None]
    """The number of the analysis that it was decided on."""
