"""Features of predictions, counted by the hour on the bins of baselines."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Integer, Text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base
from turnout.observations.tables import BigKey, Count, IntKey, ModelKey, TextKey


class FeatureGrid(Base):
    """The bins of all features of one version, side by side."""

    __tablename__ = "feature_grid"
    __table_args__ = (Index("uq_feature_grid_version", "model_id", "version_id", unique=True),)

    model_id: Mapped[ModelKey]
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    version_id: Mapped[int]
    size: Mapped[int]


class FeatureCut(Base):
    """Where a feature's bins begin in its grid, counting from 1, and what divides them."""

    __tablename__ = "feature_cut"

    model_id: Mapped[ModelKey]
    grid_id: Mapped[BigKey]
    feature: Mapped[TextKey]
    first: Mapped[int]
    edges: Mapped[list[float] | None] = mapped_column(ARRAY(DOUBLE_PRECISION))
    categories: Mapped[list[str] | None] = mapped_column(ARRAY(Text))


class FeatureHour(Base):
    """What one version answered in an hour, counted on the bins of its own or another's grid."""

    __tablename__ = "feature_hour"
    __table_args__ = (Index(None, "hour"), {"postgresql_with": {"fillfactor": 70}})

    model_id: Mapped[ModelKey]
    grid_id: Mapped[BigKey]
    version_id: Mapped[IntKey]
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class FeatureSample(Base):
    """How many predictions of an hour were looked at."""

    __tablename__ = "feature_sample"
    __table_args__ = (Index(None, "hour"), {"postgresql_with": {"fillfactor": 50}})

    model_id: Mapped[ModelKey]
    version_id: Mapped[IntKey]
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[Count]
