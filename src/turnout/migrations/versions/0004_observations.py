"""observations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "arm",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("predictions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("crossed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("buckets", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("counts", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("model_id", "split_id", "version_id", name=op.f("pk_arm")),
    )
    op.create_index(
        "ix_arm_shadow",
        "arm",
        ["model_id", "split_id"],
        unique=False,
        postgresql_where=sa.text("shadow"),
    )
    op.create_table(
        "arm_total",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.Text(collation="C"), nullable=False),
        sa.Column("units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("n2", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("x", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("x2", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("xn", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("pivot", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "split_id", "version_id", "metric", name=op.f("pk_arm_total")
        ),
    )
    op.create_table(
        "batch",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("predictions", sa.Integer(), nullable=False),
        sa.Column("outcomes", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=True),
        sa.Column("folded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("model_id", "seq", name=op.f("pk_batch")),
    )
    op.create_index(
        "ix_batch_unfolded",
        "batch",
        ["seq"],
        unique=False,
        postgresql_where=sa.text("folded_at IS NULL"),
    )
    op.create_index(
        "ix_batch_unfolded_of_model",
        "batch",
        ["model_id", "seq"],
        unique=False,
        postgresql_where=sa.text("folded_at IS NULL"),
    )
    op.create_index(op.f("ix_batch_received_at"), "batch", ["received_at"], unique=False)
    op.create_index("uq_batch_key", "batch", ["model_id", "key"], unique=True)
    op.create_table(
        "class_pair",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("served", sa.Text(collation="C"), nullable=False),
        sa.Column("label", sa.Text(collation="C"), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "split_id", "version_id", "served", "label", name=op.f("pk_class_pair")
        ),
    )
    op.create_table(
        "followed_metric",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series", sa.Text(collation="C"), nullable=False),
        sa.Column("metric", sa.Text(collation="C"), nullable=False),
        sa.Column("age", sa.Interval(), nullable=True),
        sa.Column("attribute", sa.Text(collation="C"), nullable=True),
        sa.Column("value", sa.Text(collation="C"), nullable=True),
        sa.PrimaryKeyConstraint("model_id", "split_id", "series", name=op.f("pk_followed_metric")),
    )
    op.create_table(
        "maturing_outcome",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("split_id", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(collation="C"), nullable=True),
        sa.Column("series", sa.Text(collation="C"), nullable=False),
        sa.Column("x", sa.DOUBLE_PRECISION(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_maturing_outcome")),
    )
    op.create_index(
        op.f("ix_maturing_outcome_model_id_due_at"),
        "maturing_outcome",
        ["model_id", "due_at"],
        unique=False,
    )
    op.create_table(
        "minute_class",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("label", sa.Text(collation="C"), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id",
            "minute",
            "version_id",
            "split_id",
            "shadow",
            "label",
            name=op.f("pk_minute_class"),
        ),
    )
    op.create_table(
        "minute_window",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("labelled", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("correct", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("confidence_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("cost_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("buckets", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("counts", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "minute", "version_id", "split_id", "shadow", name=op.f("pk_minute_window")
        ),
    )
    op.create_table(
        "outcome",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("prediction_id", sa.Text(collation="C"), nullable=True),
        sa.Column("metric", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shadow_version", sa.Integer(), nullable=False),
        sa.Column("batch_seq", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("split_id", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(collation="C"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("label", sa.Text(collation="C"), nullable=True),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index(
        op.f("ix_outcome_model_id_batch_seq"), "outcome", ["model_id", "batch_seq"], unique=False
    )
    op.create_index(
        "uq_outcome_prediction",
        "outcome",
        ["model_id", "prediction_id", "metric", "shadow_version", "day"],
        unique=True,
    )
    op.create_table(
        "prediction",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("split_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_ms", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("cost", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shadow_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("prediction_id", sa.Text(collation="C"), nullable=False),
        sa.Column("unit", sa.Text(collation="C"), nullable=True),
        sa.Column("label", sa.Text(collation="C"), nullable=True),
        sa.Column("error", sa.Text(collation="C"), nullable=True),
        sa.Column("features", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint(
            "model_id", "prediction_id", "day", "shadow_version", name=op.f("pk_prediction")
        ),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index(
        op.f("ix_prediction_model_id_batch_seq"),
        "prediction",
        ["model_id", "batch_seq"],
        unique=False,
    )
    op.create_table(
        "unit_outcome",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.Text(collation="C"), nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metric", sa.Text(collation="C"), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("x", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "unit", "split_id", "version_id", "metric", name=op.f("pk_unit_outcome")
        ),
    )
    op.create_table(
        "unit_total",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.Text(collation="C"), nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("confidence_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("cost_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "unit", "split_id", "version_id", name=op.f("pk_unit_total")
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "waiting_outcome",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("batch_seq", sa.BigInteger(), nullable=False),
        sa.Column("prediction_id", sa.Text(collation="C"), nullable=True),
        sa.Column("unit", sa.Text(collation="C"), nullable=True),
        sa.Column("metric", sa.Text(collation="C"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("label", sa.Text(collation="C"), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "id", name=op.f("pk_waiting_outcome")),
    )
    op.create_index(
        op.f("ix_waiting_outcome_model_id_batch_seq"),
        "waiting_outcome",
        ["model_id", "batch_seq"],
        unique=False,
    )
    op.create_index(
        op.f("ix_waiting_outcome_model_id_unit"),
        "waiting_outcome",
        ["model_id", "unit"],
        unique=False,
    )
    op.create_index(
        "uq_waiting_outcome_prediction",
        "waiting_outcome",
        ["model_id", "prediction_id", "metric"],
        unique=True,
    )
