"""Splits, of which one per model is in force, and the overrides that go before it."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base, Json
from turnout.traffic.domain.overrides import Pin, Rule
from turnout.traffic.domain.split import Variant


class SplitRow(Base):
    """Written once. Afterwards only `active` and `owned` change, and become true again only when
    the owner puts a former split in force anew, which `reinstated_at` then tells."""

    __tablename__ = "split"
    __table_args__ = (
        Index("uq_split_in_force", "model_id", unique=True, postgresql_where=text("active")),
        Index(None, "model_id", "id"),
        Index("ix_split_reinstated", "model_id", postgresql_where=text("reinstated_at <> '{}'")),
        CheckConstraint("active OR NOT owned", name="only_the_split_in_force_is_owned"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    salt: Mapped[str]
    strategy: Mapped[str]
    variants: Mapped[tuple[Variant, ...]] = mapped_column(Json(tuple[Variant, ...]))
    owner_kind: Mapped[str]
    owner_id: Mapped[str]
    active: Mapped[bool]
    owned: Mapped[bool]
    created_at: Mapped[datetime]
    reinstated_at: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), server_default="{}"
    )


class RoutedVersion(Base):
    """A version that the split in force or an override leads to, so that none of them is deleted.

    A split that is no longer in force holds nothing back: it keeps the text of its versions.
    """

    __tablename__ = "route"

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True
    )
    origin: Mapped[str] = mapped_column(primary_key=True)
    """`split` or `override`."""
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"), primary_key=True, index=True)


class OverrideSet(Base):
    __tablename__ = "override_set"

    model_id: Mapped[int] = mapped_column(
        ForeignKey("model.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int]
    pins: Mapped[tuple[Pin, ...]] = mapped_column(Json(tuple[Pin, ...]))
    rules: Mapped[tuple[Rule, ...]] = mapped_column(Json(tuple[Rule, ...]))
    version_ids: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """Ids of the versions that pins and rules name: a text registered anew is another version."""
    updated_at: Mapped[datetime]
