"""rollouts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("baseline_id", sa.Integer(), nullable=True),
        sa.Column("plan", postgresql.JSONB(), nullable=False),
        sa.Column("progress", postgresql.JSONB(), nullable=False),
        sa.Column(
            "phase",
            sa.String(30),
            sa.Computed("(progress ->> 'phase')", persisted=True),
            nullable=False,
        ),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("seen", postgresql.JSONB(), nullable=False),
        sa.Column("sequences", postgresql.JSONB(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restores", sa.Boolean(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("retries", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (phase NOT IN ('succeeded', 'rolled_back', 'aborted', 'failed'))",
            name=op.f("ck_rollout_finished"),
        ),
        sa.ForeignKeyConstraint(
            ["baseline_id"], ["version.id"], name=op.f("fk_rollout_baseline_id")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["version.id"], name=op.f("fk_rollout_candidate_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_rollout_model_id")),
        sa.ForeignKeyConstraint(["retries"], ["rollout.id"], name=op.f("fk_rollout_retries")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout")),
        sa.UniqueConstraint("seq", name=op.f("uq_rollout_seq")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(op.f("ix_rollout_group_id"), "rollout", ["group_id"], unique=False)
    op.create_index(op.f("ix_rollout_model_id_seq"), "rollout", ["model_id", "seq"], unique=False)
    op.create_index(
        "uq_rollout_live",
        "rollout",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL AND phase NOT IN ('draft', 'scheduled')"),
    )
    op.create_table(
        "freeze_calendar",
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("windows", postgresql.JSONB(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["model.id"],
            name=op.f("fk_freeze_calendar_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_freeze_calendar")),
    )
    op.create_table(
        "quarantine",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_quarantine_rollout_id")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["version.id"],
            name=op.f("fk_quarantine_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_quarantine")),
    )
    op.create_table(
        "rollout_former_plan",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("plan", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_former_plan_rollout_id")
        ),
        sa.PrimaryKeyConstraint("rollout_id", "version", name=op.f("pk_rollout_former_plan")),
    )
    op.create_table(
        "rollout_look",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan_version", sa.Integer(), nullable=False),
        sa.Column("progress", postgresql.JSONB(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("sequences", postgresql.JSONB(), nullable=False),
        sa.Column("judgement", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_look_rollout_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_look")),
    )
    op.create_index(
        op.f("ix_rollout_look_rollout_id_id"), "rollout_look", ["rollout_id", "id"], unique=False
    )
    op.create_table(
        "rollout_step",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("from_phase", sa.String(30), nullable=True),
        sa.Column("to_phase", sa.String(30), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(30), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("split_id", sa.BigInteger(), nullable=True),
        sa.Column("look_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["look_id"], ["rollout_look.id"], name=op.f("fk_rollout_step_look_id")
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name=op.f("fk_rollout_step_rollout_id")
        ),
        sa.PrimaryKeyConstraint("rollout_id", "step", name=op.f("pk_rollout_step")),
    )
