"""audit filters"""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_index(op.f("ix_audit_entry_actor_id"), "audit_entry", ["actor", "id"])
    op.create_index(op.f("ix_audit_entry_at"), "audit_entry", ["at"])
