"""classic tests"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "classic_test",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("test_id", sa.String(), nullable=False),
        sa.Column("asked", postgresql.JSONB(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=True),
        sa.Column("rollout_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("concluded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_classic_test_model_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_classic_test_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_classic_test_rollout_id")
        ),
        sa.PrimaryKeyConstraint("model_id", "test_id", name=op.f("pk_classic_test")),
    )
