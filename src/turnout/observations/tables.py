"""Raw rows by day, what waits to be folded, and the totals that outlive both.

Every key begins with the model, and no row refers to another table by a foreign key: a model's
rows can live on a database node of their own. Text keys compare by bytes, which is several times
faster than by locale.
"""

from datetime import date, datetime, timedelta
from typing import Annotated

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.observations.domain.batch import BatchReport

ModelKey = Annotated[int, mapped_column(Integer, primary_key=True, autoincrement=False)]
IntKey = Annotated[int, mapped_column(Integer, primary_key=True, autoincrement=False)]
BigKey = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
TextKey = Annotated[str, mapped_column(Text(collation="C"), primary_key=True)]
Plain = Annotated[str, mapped_column(Text(collation="C"))]
Big = Annotated[int, mapped_column(BigInteger)]
Count = Annotated[int, mapped_column(BigInteger, server_default="0")]
Real = Annotated[float, mapped_column(DOUBLE_PRECISION)]
Sum = Annotated[float, mapped_column(DOUBLE_PRECISION, server_default="0")]
Buckets = Annotated[list[int], mapped_column(ARRAY(Integer), server_default="{}")]
Counts = Annotated[list[int], mapped_column(ARRAY(BigInteger), server_default="{}")]


class PredictionRow(Base):
    """`day` is that of the id if it tells its time, so that an id is unique whatever its `at`.

    `shadow_version` is 0 for what was served: a shadow shares the id of the prediction served.
    `error` is NULL for an answer, and empty for a failure that said nothing.
    """

    __tablename__ = "prediction"
    __table_args__ = (
        PrimaryKeyConstraint("model_id", "prediction_id", "day", "shadow_version"),
        Index(None, "model_id", "batch_seq"),
        {"postgresql_partition_by": "RANGE (day)"},
    )

    model_id: Mapped[int]
    version_id: Mapped[int]
    split_id: Mapped[Big]
    batch_seq: Mapped[Big]
    at: Mapped[datetime]
    latency_ms: Mapped[Real | None]
    confidence: Mapped[Real | None]
    cost: Mapped[Real | None]
    day: Mapped[date]
    shadow_version: Mapped[int]
    prediction_id: Mapped[Plain]
    unit: Mapped[Plain | None]
    label: Mapped[Plain | None]
    error: Mapped[Plain | None]
    features: Mapped[str | None] = mapped_column(JSONB)


class Batch(Base):
    """A transaction's worth of rows: claimed by its key, folded once.

    Its predictions are of `first_day` to `last_day`. Without a `report`, all rows were accepted.
    """

    __tablename__ = "batch"
    __table_args__ = (
        Index("uq_batch_key", "model_id", "key", unique=True),
        Index("ix_batch_unfolded", "seq", postgresql_where=text("folded_at IS NULL")),
        Index(
            "ix_batch_unfolded_of_model",
            "model_id", "seq",
            postgresql_where=text("folded_at IS NULL"),
        ),
        Index(None, "received_at"),
    )  # fmt: skip

    model_id: Mapped[ModelKey]
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    key: Mapped[Plain | None]
    received_at: Mapped[datetime]
    predictions: Mapped[int]
    outcomes: Mapped[int]
    first_day: Mapped[date]
    last_day: Mapped[date]
    report: Mapped[BatchReport | None] = mapped_column(Json(BatchReport))
    folded_at: Mapped[datetime | None]


class OutcomeRow(Base):
    """An outcome and the arm that it speaks of; `day` is that of the prediction.

    `value` is NULL where a label came for a prediction without a class: nothing to compare.
    """

    __tablename__ = "outcome"
    __table_args__ = (
        Index(
            "uq_outcome_prediction",
            "model_id", "prediction_id", "metric", "shadow_version", "day",
            unique=True,
        ),
        Index(None, "model_id", "batch_seq"),
        {"postgresql_partition_by": "RANGE (day)"},
    )  # fmt: skip
    __mapper_args__ = {"primary_key": ["model_id", "prediction_id", "metric", "day"]}  # noqa: RUF012

    model_id: Mapped[int]
    prediction_id: Mapped[Plain | None]
    metric: Mapped[Plain]
    day: Mapped[date]
    shadow_version: Mapped[int]
    batch_seq: Mapped[Big]
    version_id: Mapped[int]
    split_id: Mapped[Big]
    unit: Mapped[Plain | None]
    at: Mapped[datetime]
    answered_at: Mapped[datetime]
    value: Mapped[Real | None]
    label: Mapped[Plain | None]


class WaitingOutcome(Base):
    """An outcome whose prediction, or whose unit's exposure, has not been seen yet.

    The prediction is looked for between `first_day` and `last_day`.
    """

    __tablename__ = "waiting_outcome"
    __table_args__ = (
        Index("uq_waiting_outcome_prediction", "model_id", "prediction_id", "metric", unique=True),
        Index(None, "model_id", "unit"),
        Index(None, "model_id", "batch_seq"),
    )

    model_id: Mapped[ModelKey]
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    batch_seq: Mapped[Big]
    prediction_id: Mapped[Plain | None]
    unit: Mapped[Plain | None]
    metric: Mapped[Plain]
    at: Mapped[datetime]
    value: Mapped[Real | None]
    label: Mapped[Plain | None]
    first_day: Mapped[date]
    last_day: Mapped[date]
    received_at: Mapped[datetime]


class UnitTotal(Base):
    """One unit's predictions by one arm."""

    __tablename__ = "unit_total"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    model_id: Mapped[ModelKey]
    unit: Mapped[TextKey]
    split_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    shadow: Mapped[bool]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    n: Mapped[Count]
    errors: Mapped[Count]
    latency_n: Mapped[Count]
    latency: Mapped[Sum]
    confidence_n: Mapped[Count]
    confidence: Mapped[Sum]
    cost_n: Mapped[Count]
    cost: Mapped[Sum]


class UnitOutcome(Base):
    """One unit's outcomes of one metric in one arm, or a shadow's differences from what was served
    to the unit; each value less the arm's pivot."""

    __tablename__ = "unit_outcome"

    model_id: Mapped[ModelKey]
    unit: Mapped[TextKey]
    split_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    metric: Mapped[TextKey]
    n: Mapped[Count]
    x: Mapped[Sum]


class FollowedMetric(Base):
    """In this split, `metric` also counts by itself, as `series`: of predictions that have this
    value of an attribute, or once they are of this age."""

    __tablename__ = "followed_metric"

    model_id: Mapped[ModelKey]
    split_id: Mapped[BigKey]
    series: Mapped[TextKey]
    metric: Mapped[Plain]
    age: Mapped[timedelta | None]
    attribute: Mapped[Plain | None]
    value: Mapped[Plain | None]


class MaturingOutcome(Base):
    """An outcome that counts for `series` as soon as its prediction is old enough."""

    __tablename__ = "maturing_outcome"
    __table_args__ = (Index(None, "model_id", "due_at"),)

    model_id: Mapped[ModelKey]
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    due_at: Mapped[datetime]
    split_id: Mapped[Big]
    version_id: Mapped[int]
    unit: Mapped[Plain | None]
    series: Mapped[Plain]
    x: Mapped[Real]


class Arm(Base):
    """One version of one split: how many predictions, and the sketch of their latency.

    Of its units, `crossed` had been seen by another arm of the split before.
    """

    __tablename__ = "arm"
    __table_args__ = (
        Index("ix_arm_shadow", "model_id", "split_id", postgresql_where=text("shadow")),
    )

    model_id: Mapped[ModelKey]
    split_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    shadow: Mapped[bool] = mapped_column(server_default=false())
    predictions: Mapped[Count]
    crossed: Mapped[Count]
    last_at: Mapped[datetime]
    buckets: Mapped[Buckets]
    counts: Mapped[Counts]


class ArmTotal(Base):
    """The sums over units that a comparison needs (`stats.totals.UnitTotals`).

    All arms of a split have the same pivot, and keep the one that the first values gave them.
    """

    __tablename__ = "arm_total"

    model_id: Mapped[ModelKey]
    split_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    metric: Mapped[TextKey]
    units: Mapped[Count]
    n: Mapped[Count]
    n2: Mapped[Count]
    x: Mapped[Sum]
    x2: Mapped[Sum]
    xn: Mapped[Sum]
    pivot: Mapped[Sum]


class ClassPair(Base):
    """How often a shadow said one class where another, or the same, was served."""

    __tablename__ = "class_pair"

    model_id: Mapped[ModelKey]
    split_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    served: Mapped[TextKey]
    label: Mapped[TextKey]
    n: Mapped[Count]


class Measured:
    """What is added up over a stretch of time, whichever that is."""

    n: Mapped[Count]
    errors: Mapped[Count]
    labelled: Mapped[Count]
    correct: Mapped[Count]
    latency_n: Mapped[Count]
    latency: Mapped[Sum]
    confidence_n: Mapped[Count]
    confidence: Mapped[Sum]
    cost_n: Mapped[Count]
    cost: Mapped[Sum]
    buckets: Mapped[Buckets]
    counts: Mapped[Counts]


class MinuteWindow(Measured, Base):
    """One minute of one version in one split."""

    __tablename__ = "minute_window"

    model_id: Mapped[ModelKey]
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    version_id: Mapped[IntKey]
    split_id: Mapped[BigKey]
    shadow: Mapped[bool] = mapped_column(primary_key=True)


class MinuteClass(Base):
    """How often one class was predicted in one minute window."""

    __tablename__ = "minute_class"

    model_id: Mapped[ModelKey]
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    version_id: Mapped[IntKey]
    split_id: Mapped[BigKey]
    shadow: Mapped[bool] = mapped_column(primary_key=True)
    label: Mapped[TextKey]
    n: Mapped[Count]


class LongWindow(Measured, Base):
    """The sum of the minutes of one hour, or of the 24 of one day in UTC."""

    __tablename__ = "long_window"

    model_id: Mapped[ModelKey]
    hours: Mapped[IntKey]
    starts: Mapped[datetime] = mapped_column(primary_key=True)
    version_id: Mapped[IntKey]
    split_id: Mapped[BigKey]
    shadow: Mapped[bool] = mapped_column(primary_key=True)


class LongClass(Base):
    """How often one class was predicted in one long window."""

    __tablename__ = "long_class"

    model_id: Mapped[ModelKey]
    hours: Mapped[IntKey]
    starts: Mapped[datetime] = mapped_column(primary_key=True)
    version_id: Mapped[IntKey]
    split_id: Mapped[BigKey]
    shadow: Mapped[bool] = mapped_column(primary_key=True)
    label: Mapped[TextKey]
    n: Mapped[Count]
