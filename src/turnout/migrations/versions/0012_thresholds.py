"""thresholds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "threshold_set",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("thresholds", postgresql.JSONB(), nullable=False),
        sa.Column("watches", postgresql.JSONB(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["model.id"],
            name=op.f("fk_threshold_set_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_threshold_set")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(op.f("ix_threshold_set_due_at"), "threshold_set", ["due_at"], unique=False)
