"""version numbers"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column(
        "model", sa.Column("last_number", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("version", sa.Column("number", sa.Integer(), nullable=True))
    op.execute("""
        UPDATE version SET number = counted.number
        FROM (SELECT id, row_number() OVER (PARTITION BY model_id ORDER BY id) AS number
              FROM version) counted
        WHERE version.id = counted.id
    """)
    op.execute("""
        UPDATE model SET last_number = (SELECT count(*) FROM version WHERE model_id = model.id)
    """)
    op.alter_column("version", "number", nullable=False)
    op.create_unique_constraint(
        op.f("uq_version_model_id_number"), "version", ["model_id", "number"]
    )
    op.create_index("ix_version_stage", "version", ["model_id", "stage", "number"])
    op.create_index("ix_version_updated", "version", ["model_id", "updated_at"])
