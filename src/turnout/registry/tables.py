from datetime import datetime

from sqlalchemy import (
    Computed,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, array
from sqlalchemy.orm import Mapped, column_property, mapped_column

from turnout.db import Base, Json
from turnout.registry.domain.approval import ApprovedModels
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import Artifact, Runtime
from turnout.registry.domain.signature import Signature
from turnout.registry.domain.version import ModelDetails, VersionDetails


def _stage(name: str) -> Enum:
    """Text with a check, which a migration can widen; a native enum only grows awkwardly."""
    return Enum(
        Lifecycle,
        name=name,
        native_enum=False,
        length=20,
        create_constraint=True,
        values_callable=lambda kind: [stage.value for stage in kind],
    )


class Model(Base):
    __tablename__ = "model"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    details: Mapped[ModelDetails] = mapped_column(Json(ModelDetails))
    last_number: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    updated_at: Mapped[datetime]


class Alias(Base):
    __tablename__ = "alias"

    model_id: Mapped[int] = mapped_column(
        ForeignKey(Model.id, ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("version.id"), index=True)
    moved_at: Mapped[datetime]
    moved_by: Mapped[str]


_SORTED_ALIASES = func.array_agg(aggregate_order_by(Alias.name, Alias.name))


class Version(Base):
    __tablename__ = "version"
    __table_args__ = (
        UniqueConstraint("model_id", "version"),
        UniqueConstraint("model_id", "number"),
        Index("ix_version_precedence", "model_id", "precedence", "id"),
        Index("ix_version_stage", "model_id", "stage", "number"),
        Index("ix_version_updated", "model_id", "updated_at"),
        Index("ix_version_tags", "tags", postgresql_using="gin"),
        Index(
            "ix_version_production",
            "model_id",
            unique=True,
            postgresql_where=text("stage = 'production'"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey(Model.id, ondelete="RESTRICT"))
    version: Mapped[str] = mapped_column(Text(collation="C"))
    number: Mapped[int]
    """1, 2, 3… in the order of registration; never given again as long as the model lives."""
    precedence: Mapped[str] = mapped_column(Text(collation="C"))
    stage: Mapped[Lifecycle] = mapped_column(_stage("stage"))
    details: Mapped[VersionDetails] = mapped_column(Json(VersionDetails))
    indexed_tags: Mapped[list[str]] = mapped_column(
        "tags", JSONB, Computed("details -> 'tags'", persisted=True)
    )
    parent_version: Mapped[str | None]
    signature: Mapped[Signature | None] = mapped_column(Json(Signature))
    artifact: Mapped[Artifact | None] = mapped_column(Json(Artifact))
    runtime: Mapped[Runtime] = mapped_column(Json(Runtime))
    file_sha256: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    updated_at: Mapped[datetime]

    aliases: Mapped[list[str]] = column_property(
        select(func.coalesce(_SORTED_ALIASES, array([], type_=Text)))
        .where(Alias.version_id == id)  # noqa: A003  (this class's column)
        .correlate_except(Alias)
        .scalar_subquery(),
        expire_on_flush=False,
    )


class LifecycleTransition(Base):
    __tablename__ = "lifecycle_transition"
    __table_args__ = (Index(None, "version_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey(Version.id, ondelete="CASCADE"))
    from_stage: Mapped[Lifecycle] = mapped_column(_stage("from_stage"))
    to_stage: Mapped[Lifecycle] = mapped_column(_stage("to_stage"))
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str | None]


class AliasMove(Base):
    """Names versions by their text: it outlives them."""

    __tablename__ = "alias_move"
    __table_args__ = (Index(None, "model_id", "alias", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey(Model.id, ondelete="CASCADE"))
    alias: Mapped[str] = mapped_column(Text(collation="C"))
    from_version: Mapped[str | None]
    to_version: Mapped[str | None]
    at: Mapped[datetime]
    actor: Mapped[str]
    reason: Mapped[str | None]


class ApprovedModelsRow(Base):
    """The rules of a model, or those of the service, whose `model_id` is 0."""

    __tablename__ = "approved_models"

    model_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules: Mapped[ApprovedModels] = mapped_column(Json(ApprovedModels))
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]
