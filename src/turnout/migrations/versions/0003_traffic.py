"""traffic"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "override_set",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("pins", postgresql.JSONB(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.Column("version_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_override_set_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_override_set")),
    )
    op.create_table(
        "split",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("variants", postgresql.JSONB(), nullable=False),
        sa.Column("owner_kind", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("owned", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reinstated_at",
            sa.ARRAY(sa.DateTime(timezone=True)),
            server_default="{}",
            nullable=False,
        ),
        sa.CheckConstraint(
            "active OR NOT owned", name=op.f("ck_split_only_the_split_in_force_is_owned")
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_split_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_split")),
    )
    op.create_index(op.f("ix_split_model_id_id"), "split", ["model_id", "id"], unique=False)
    op.create_index(
        "ix_split_reinstated",
        "split",
        ["model_id"],
        unique=False,
        postgresql_where=sa.text("reinstated_at <> '{}'"),
    )
    op.create_index(
        "uq_split_in_force", "split", ["model_id"], unique=True, postgresql_where=sa.text("active")
    )
    op.create_table(
        "route",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_route_model_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_route_version_id")),
        sa.PrimaryKeyConstraint("model_id", "origin", "version_id", name=op.f("pk_route")),
    )
    op.create_index(op.f("ix_route_version_id"), "route", ["version_id"], unique=False)
