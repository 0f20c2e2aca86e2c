from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    Enum,
    ForeignKey,
    Identity,
    Index,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.rollouts.domain.evidence import Evidence, Judgement, Sequences
from turnout.rollouts.domain.freezes import FreezeWindows
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan
from turnout.rollouts.domain.progress import Progress
from turnout.rollouts.domain.transitions import Event
from turnout.stats.verdict import Verdict

_TERMINAL = ", ".join(f"'{phase}'" for phase in Phase if phase.terminal)
_WAITING = ", ".join(f"'{phase}'" for phase in Phase if phase.waiting)


def _word(kind: type[StrEnum]) -> Enum:
    """Text without a check: rows of the history outlive the words of later releases."""
    return Enum(
        kind,
        native_enum=False,
        length=30,
        create_constraint=False,
        values_callable=lambda words: [word.value for word in words],
    )


class Rollout(Base):
    """A rollout and where it stands; `finished_at` is set exactly when its phase is terminal.

    The worker that claims a rollout raises `fence`, and so does every step: whoever comes with an
    older one has lost the claim. `lease_until` keeps it from other workers for as long as the
    claimant may need to carry out a decision.
    """

    __tablename__ = "rollout"
    __table_args__ = (
        Index(
            "uq_rollout_live",
            "model_id",
            unique=True,
            postgresql_where=text(f"finished_at IS NULL AND phase NOT IN ({_WAITING})"),
        ),
        # For those not over, of whatever phase, beside a history that only grows.
        Index("ix_rollout_unfinished", "model_id", postgresql_where=text("finished_at IS NULL")),
        Index(None, "model_id", "seq"),
        Index(None, "group_id"),
        CheckConstraint(f"(finished_at IS NULL) = (phase NOT IN ({_TERMINAL}))", name="finished"),
        {"postgresql_with": {"fillfactor": 70}},  # claims rewrite live rows every second, in place
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    """The order in which they were started, which no clock can turn round."""
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    candidate_id: Mapped[int] = mapped_column(ForeignKey("version.id"))
    baseline_id: Mapped[int | None] = mapped_column(ForeignKey("version.id"))
    plan: Mapped[Plan] = mapped_column(Json(Plan))
    progress: Mapped[Progress] = mapped_column(Json(Progress))
    phase: Mapped[Phase] = mapped_column(
        _word(Phase), Computed("(progress ->> 'phase')", persisted=True)
    )
    step: Mapped[int]
    seen: Mapped[tuple[Verdict, ...]] = mapped_column(Json(tuple[Verdict, ...]))
    """The verdicts of the newest look that was stored."""
    sequences: Mapped[Sequences] = mapped_column(Json(Sequences))
    """What the looks at the present split so far leave to the next one."""
    fence: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime]
    missed_at: Mapped[datetime | None]
    """When the watchdog found that nobody had looked at it for too long; None once somebody has."""
    lease_until: Mapped[datetime | None]
    restores: Mapped[bool]
    """It puts an earlier version back at once; what it takes off the road is its baseline."""
    group_id: Mapped[UUID | None]
    """Shared by the rollouts that go forward and down together."""
    retries: Mapped[UUID | None] = mapped_column(ForeignKey("rollout.id"))
    """The rollout whose plan this one runs again."""
    reason: Mapped[str | None]
    created_by: Mapped[str]
    confined_to: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    """The models that this person or key may act on; None for all."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class FormerPlan(Base):
    """A version of a rollout's plan that was replaced by another one; never changed."""

    __tablename__ = "rollout_former_plan"

    rollout_id: Mapped[UUID] = mapped_column(ForeignKey(Rollout.id), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    plan: Mapped[Plan] = mapped_column(Json(Plan))


class RolloutLook(Base):
    """What was seen and how it was judged: the same evidence leads to the same judgement again,
    with `sequences`, which the looks before had left.

    Written with every step, and whenever a verdict differs from the look before; never changed.
    """

    __tablename__ = "rollout_look"
    __table_args__ = (Index(None, "rollout_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    rollout_id: Mapped[UUID] = mapped_column(ForeignKey(Rollout.id))
    at: Mapped[datetime]
    plan_version: Mapped[int]
    progress: Mapped[Progress] = mapped_column(Json(Progress))
    evidence: Mapped[Evidence] = mapped_column(Json(Evidence))
    sequences: Mapped[Sequences] = mapped_column(Json(Sequences))
    judgement: Mapped[Judgement] = mapped_column(Json(Judgement))


class RolloutStep(Base):
    """The history. That no step has two rows is what keeps two workers from taking it twice."""

    __tablename__ = "rollout_step"

    rollout_id: Mapped[UUID] = mapped_column(ForeignKey(Rollout.id), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[Event] = mapped_column(_word(Event))
    from_phase: Mapped[Phase | None] = mapped_column(_word(Phase))
    to_phase: Mapped[Phase] = mapped_column(_word(Phase))
    stage: Mapped[int]
    weight: Mapped[int]
    verdict: Mapped[Verdict | None] = mapped_column(_word(Verdict))
    reason: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]
    split_id: Mapped[int | None] = mapped_column(BigInteger)
    look_id: Mapped[int | None] = mapped_column(ForeignKey(RolloutLook.id))


class FreezeCalendar(Base):
    """When the rollouts of a model hold."""

    __tablename__ = "freeze_calendar"

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    windows: Mapped[FreezeWindows] = mapped_column(Json(FreezeWindows))
    updated_at: Mapped[datetime]


class Quarantine(Base):
    """A version that was rolled back: it starts again only when somebody says why it may."""

    __tablename__ = "quarantine"

    version_id: Mapped[int] = mapped_column(
        ForeignKey("version.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    rollout_id: Mapped[UUID] = mapped_column(ForeignKey(Rollout.id))
    reason: Mapped[str]
    since: Mapped[datetime]
