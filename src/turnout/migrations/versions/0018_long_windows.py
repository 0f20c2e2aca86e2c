"""hours and days, which are the sums of their minutes"""
# ruff: noqa: S608  (composed of names of ours)

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_SUMS = (
    "n", "errors", "labelled", "correct", "latency_n", "latency", "confidence_n", "confidence",
    "cost_n", "cost",
)  # fmt: skip


def _windows(source: str, at: str, hours: int) -> str:
    """Add up windows of the source: hours from minutes, and days from hours."""
    of = "model_id, starts, version_id, split_id, shadow"
    return f"""
        WITH part AS NOT MATERIALIZED (
            SELECT model_id, date_bin('{hours} hours', {at}, 'epoch') AS starts,
                version_id, split_id, shadow, {", ".join(_SUMS)}, buckets, counts
            FROM {source}
        ), total AS (
            SELECT {of}, {", ".join(f"sum({one}) AS {one}" for one in _SUMS)} FROM part GROUP BY {of}
        ), bucket_count AS (
            SELECT {of}, bucket, sum(number)::bigint AS number
            FROM (SELECT {of}, unnest(buckets) AS bucket, unnest(counts) AS number FROM part) AS each
            GROUP BY {of}, bucket
        ), sketch AS (
            SELECT {of}, array_agg(bucket ORDER BY bucket) AS buckets,
                array_agg(number ORDER BY bucket) AS counts
            FROM bucket_count GROUP BY {of}
        )
        INSERT INTO long_window ({of}, {", ".join(_SUMS)}, buckets, counts, hours)
        SELECT total.*, coalesce(buckets, '{{}}'), coalesce(counts, '{{}}'), {hours}
        FROM total LEFT JOIN sketch USING ({of})
    """


_CLASSES = """
    INSERT INTO long_class (model_id, hours, starts, version_id, split_id, shadow, label, n)
    SELECT model_id, hours, date_bin(hours * '1 hour'::interval, minute, 'epoch'), version_id,
        split_id, shadow, label, sum(n)
    FROM minute_class CROSS JOIN (VALUES (1), (24)) AS width (hours)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


def _key() -> list[sa.Column[object]]:
    return [
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "long_window",
        *_key(),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("labelled", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("correct", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("latency", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("confidence_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("cost_n", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost", sa.DOUBLE_PRECISION(), server_default="0", nullable=False),
        sa.Column("buckets", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("counts", sa.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id",
            "hours",
            "starts",
            "version_id",
            "split_id",
            "shadow",
            name=op.f("pk_long_window"),
        ),
    )
    op.create_table(
        "long_class",
        *_key(),
        sa.Column("label", sa.Text(collation="C"), nullable=False),
        sa.Column("n", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id",
            "hours",
            "starts",
            "version_id",
            "split_id",
            "shadow",
            "label",
            name=op.f("pk_long_class"),
        ),
    )
    op.execute(_windows("minute_window", "minute", 1))
    op.execute(_windows("long_window", "starts", 24))
    op.execute(_CLASSES)
