"""baseline parts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column(
        "baseline", sa.Column("collected", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("baseline", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("baseline", sa.Column("position", sa.BigInteger(), nullable=True))
    op.create_table(
        "baseline_part",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["baseline.version_id"],
            name=op.f("fk_baseline_part_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", "first", name=op.f("pk_baseline_part")),
    )
