"""registry"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

STAGES = "('development', 'staging', 'production', 'archived', 'rejected')"


def upgrade() -> None:
    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("name", name=op.f("uq_model_name")),
    )
    op.create_table(
        "version",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(collation="C"), nullable=False),
        sa.Column("precedence", sa.Text(collation="C"), nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column(
            "tags",
            postgresql.JSONB(astext_type=sa.Text()),
            sa.Computed("details -> 'tags'", persisted=True),
            nullable=False,
        ),
        sa.Column("parent_version", sa.String(), nullable=True),
        sa.Column("signature", postgresql.JSONB(), nullable=True),
        sa.Column("artifact", postgresql.JSONB(), nullable=True),
        sa.Column("runtime", postgresql.JSONB(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_version_model_id"), ondelete="RESTRICT"
        ),
        sa.CheckConstraint(f"stage IN {STAGES}", name=op.f("ck_version_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        sa.UniqueConstraint("model_id", "version", name=op.f("uq_version_model_id_version")),
    )
    op.create_index(
        "ix_version_precedence", "version", ["model_id", "precedence", "id"], unique=False
    )
    op.create_index(
        "ix_version_production",
        "version",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("stage = 'production'"),
    )
    op.create_index("ix_version_tags", "version", ["tags"], unique=False, postgresql_using="gin")
    op.create_table(
        "lifecycle_transition",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("from_stage", sa.String(20), nullable=False),
        sa.Column("to_stage", sa.String(20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["version.id"],
            name=op.f("fk_lifecycle_transition_version_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            f"from_stage IN {STAGES}", name=op.f("ck_lifecycle_transition_from_stage")
        ),
        sa.CheckConstraint(f"to_stage IN {STAGES}", name=op.f("ck_lifecycle_transition_to_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_transition")),
    )
    op.create_index(
        op.f("ix_lifecycle_transition_version_id_id"),
        "lifecycle_transition",
        ["version_id", "id"],
        unique=False,
    )
