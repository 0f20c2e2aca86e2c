"""updates: schedules, policies, and how each went"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "update_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_update_cursor")),
    )
    op.create_table(
        "update_policy",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_update_policy_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_update_policy")),
    )
    op.create_table(
        "update_schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("plan", postgresql.JSONB(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_update_schedule_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_update_schedule")),
        sa.UniqueConstraint("seq", name=op.f("uq_update_schedule_seq")),
    )
    op.create_index(
        "ix_update_schedule_due",
        "update_schedule",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        op.f("ix_update_schedule_model_id"), "update_schedule", ["model_id"], unique=False
    )
    op.create_table(
        "model_update",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("wish", postgresql.JSONB(), nullable=False),
        sa.Column("trigger", sa.String(30), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("dataset_version", sa.String(), nullable=True),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=True),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
        sa.Column("rollout_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('succeeded', 'rolled_back', 'refused', 'unneeded', 'failed', 'cancelled'))",
            name=op.f("ck_model_update_finished"),
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_model_update_model_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_model_update_rollout_id")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["update_schedule.id"], name=op.f("fk_model_update_schedule_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["version.id"],
            name=op.f("fk_model_update_version_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_update")),
        sa.UniqueConstraint("event_id", name=op.f("uq_model_update_event_id")),
        sa.UniqueConstraint("schedule_id", "slot", name=op.f("uq_model_update_schedule_id_slot")),
        sa.UniqueConstraint("seq", name=op.f("uq_model_update_seq")),
    )
    op.create_index(
        "ix_model_update_due",
        "model_update",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        op.f("ix_model_update_model_id_seq"), "model_update", ["model_id", "seq"], unique=False
    )
    op.create_index(
        "uq_model_update_under_way",
        "model_update",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('validating', 'rolling_out')"),
    )
    op.create_table(
        "update_step",
        sa.Column("update_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["model_update.id"],
            name=op.f("fk_update_step_update_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("update_id", "step", name=op.f("pk_update_step")),
    )
    # What was told before has been seen to by people.
    op.execute("INSERT INTO update_cursor (id, position) SELECT 1, last FROM event_counter")
