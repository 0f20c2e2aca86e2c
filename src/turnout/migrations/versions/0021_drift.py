"""drift"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "baseline",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("baseline", postgresql.JSONB(), nullable=True),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("awaited", sa.Integer(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_baseline_model_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["version.id"], name=op.f("fk_baseline_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_baseline")),
    )
    op.create_index(op.f("ix_baseline_model_id"), "baseline", ["model_id"], unique=False)
    op.create_index(
        "ix_baseline_awaited",
        "baseline",
        ["version_id"],
        unique=False,
        postgresql_where=sa.text("awaited IS NOT NULL"),
    )
    op.create_table(
        "feature_grid",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_feature_grid")),
    )
    op.create_index(
        "uq_feature_grid_version", "feature_grid", ["model_id", "version_id"], unique=True
    )
    op.create_table(
        "feature_cut",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("feature", sa.Text(collation="C"), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("edges", sa.ARRAY(sa.DOUBLE_PRECISION()), nullable=True),
        sa.Column("categories", sa.ARRAY(sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("model_id", "grid_id", "feature", name=op.f("pk_feature_cut")),
    )
    op.create_table(
        "feature_hour",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("grid_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counts", sa.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "grid_id", "version_id", "hour", name=op.f("pk_feature_hour")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(op.f("ix_feature_hour_hour"), "feature_hour", ["hour"], unique=False)
    op.create_table(
        "feature_sample",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("model_id", "version_id", "hour", name=op.f("pk_feature_sample")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(op.f("ix_feature_sample_hour"), "feature_sample", ["hour"], unique=False)
    op.add_column(
        "threshold_set", sa.Column("drift_looked_at", sa.DateTime(timezone=True), nullable=True)
    )
