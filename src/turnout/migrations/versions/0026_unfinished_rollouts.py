"""unfinished rollouts"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_index(
        "ix_rollout_unfinished",
        "rollout",
        ["model_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
