"""events"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_subject_id"), "event", ["subject", "id"], unique=False)
    op.create_index(op.f("ix_event_at"), "event", ["at"], unique=False)
    op.execute("""
        CREATE FUNCTION announce_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('turnout_events', '');
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER announce_events AFTER INSERT ON event
        FOR EACH STATEMENT EXECUTE FUNCTION announce_events()
    """)
