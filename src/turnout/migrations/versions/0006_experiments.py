"""experiments"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("plan", postgresql.JSONB(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("progress", postgresql.JSONB(), nullable=False),
        sa.Column(
            "status",
            sa.String(30),
            sa.Computed("(progress ->> 'status')", persisted=True),
            nullable=False,
        ),
        sa.Column("sequences", postgresql.JSONB(), nullable=False),
        sa.Column("seen", postgresql.JSONB(), nullable=False),
        sa.Column("analyses", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(started_at IS NULL) = (status = 'draft')", name=op.f("ck_experiment_started")
        ),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (status NOT IN ('concluded', 'stopped'))",
            name=op.f("ck_experiment_finished"),
        ),
        sa.CheckConstraint(
            "(plan_hash IS NULL) = (started_at IS NULL)", name=op.f("ck_experiment_locked")
        ),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_experiment_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        sa.UniqueConstraint("seq", name=op.f("uq_experiment_seq")),
        sa.UniqueConstraint("model_id", "key", name="uq_experiment_key"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        op.f("ix_experiment_model_id_seq"), "experiment", ["model_id", "seq"], unique=False
    )
    op.create_index(
        "uq_experiment_live",
        "experiment",
        ["model_id"],
        unique=True,
        postgresql_where=sa.text("started_at IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_table(
        "experiment_arm",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_experiment_arm_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["version.id"], name=op.f("fk_experiment_arm_version_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "version_id", name=op.f("pk_experiment_arm")),
    )
    op.create_index(
        op.f("ix_experiment_arm_version_id"), "experiment_arm", ["version_id"], unique=False
    )
    op.create_table(
        "experiment_analysis",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trigger", sa.String(30), nullable=False),
        sa.Column("at_goal", sa.Boolean(), nullable=False),
        sa.Column("progress", postgresql.JSONB(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("sequences", postgresql.JSONB(), nullable=False),
        sa.Column("analysis", postgresql.JSONB(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_experiment_analysis_experiment_id"),
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number", name=op.f("pk_experiment_analysis")),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a row of % is never changed', TG_TABLE_NAME;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER never_changed BEFORE UPDATE ON experiment_analysis
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """
    )
    op.create_table(
        "experiment_step",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("from_status", sa.String(30), nullable=True),
        sa.Column("to_status", sa.String(30), nullable=False),
        sa.Column("conclusion", sa.String(30), nullable=True),
        sa.Column("winner", sa.String(), nullable=True),
        sa.Column("serves", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("split_id", sa.BigInteger(), nullable=True),
        sa.Column("analysis", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id", "analysis"],
            ["experiment_analysis.experiment_id", "experiment_analysis.number"],
            name="fk_experiment_step_analysis",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_experiment_step_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "step", name=op.f("pk_experiment_step")),
    )
