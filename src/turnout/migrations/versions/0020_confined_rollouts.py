"""the models that who asked for a rollout is confined to"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("rollout", sa.Column("confined_to", postgresql.ARRAY(sa.String()), nullable=True))
