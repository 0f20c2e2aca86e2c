"""The statement that compares a shadow's answers with the answers that were served."""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.sums_sql import (
    ARM,
    WITHIN_DAYS,
    added,
    each,
    fold_values,
    of_batches,
    summand,
)

CLASS_PAIRS_KEPT: Final = 200
"""Pairs of classes counted by name per shadow; free text would make a row of each."""

_FOLDED: Final = "batch_seq NOT IN (SELECT seq FROM unfolded)"

# A pair is of one fold: the first that finds both answers in batches that were folded by then.
# Whichever came first, each prediction that arrived brings all answers to its input, looked up by
# the primary key; OFFSET 0 leaves the planner no other way, whatever it thinks of their number.
_PAIRS: Final = f"""
    arrived AS MATERIALIZED (
        SELECT unnest(CAST(:seqs AS bigint[])) AS seq
    ), unfolded AS MATERIALIZED (
        SELECT seq FROM batch WHERE model_id = :model_id AND folded_at IS NULL
    ), asked AS MATERIALIZED (
        SELECT DISTINCT prediction_id, day
        FROM {of_batches("prediction", f"{WITHIN_DAYS} AND split_id = ANY(:splits)")}
    ), pair AS MATERIALIZED (
        SELECT shadow.split_id, shadow.version_id, coalesce(shadow.unit, served.unit) AS unit,
            served.label AS served, shadow.label,
            (shadow.label = served.label)::int::float8 AS agreement,
            shadow.confidence - served.confidence AS confidence_shift,
            shadow.latency_ms - served.latency_ms AS latency_shift
        FROM asked CROSS JOIN LATERAL (
            SELECT * FROM prediction
            WHERE model_id = :model_id AND prediction_id = asked.prediction_id
                AND day = asked.day AND shadow_version = 0 AND error IS NULL AND {_FOLDED}
            OFFSET 0
        ) AS served CROSS JOIN LATERAL (
            SELECT * FROM prediction
            WHERE model_id = :model_id AND prediction_id = asked.prediction_id
                AND day = asked.day AND shadow_version <> 0 AND error IS NULL AND {_FOLDED}
            OFFSET 0
        ) AS shadow
        WHERE shadow.split_id = served.split_id AND (
            served.batch_seq IN (SELECT seq FROM arrived)
            OR shadow.batch_seq IN (SELECT seq FROM arrived)
        )
    )
"""

# New pairs of classes get a row as long as there is room for them.
_CLASSES: Final = f"""
    counted AS (
        SELECT {each("?", ARM)}, served, label, count(*) AS n
        FROM pair WHERE served IS NOT NULL AND label IS NOT NULL
        GROUP BY {each("?", ARM)}, served, label
    ), known AS (
        SELECT {each("?", ARM)}, served, label, TRUE AS known
        FROM class_pair WHERE model_id = :model_id AND split_id = ANY(:splits)
    ), room AS (
        SELECT {each("?", ARM)}, {CLASS_PAIRS_KEPT} - count(*) AS room
        FROM known GROUP BY {each("?", ARM)}
    ), ranked AS (
        SELECT counted.*, known, coalesce(room, {CLASS_PAIRS_KEPT}) AS room, row_number() OVER (
            PARTITION BY {each("counted.?", ARM)}, known ORDER BY n DESC, served, label
        ) AS rank
        FROM counted
        LEFT JOIN known USING ({each("?", ARM)}, served, label)
        LEFT JOIN room USING ({each("?", ARM)})
    ), named AS (
        SELECT {each("?", ARM)}, n, known OR rank <= room AS by_name, served, label FROM ranked
    ), classes AS (
        INSERT INTO class_pair AS t (model_id, {each("?", ARM)}, served, label, n)
        SELECT :model_id, {each("?", ARM)}, CASE WHEN by_name THEN served ELSE '' END,
            CASE WHEN by_name THEN label ELSE '' END, sum(n)
        FROM named GROUP BY {each("?", ARM)}, 4, 5
        ON CONFLICT (model_id, {each("?", ARM)}, served, label) DO UPDATE SET {added("n")}
    )
"""


def fold_pairs(*, old_and_new: bool) -> str:
    """Fold the pairs that became complete into units, arms and pairs of classes.

    Each difference is one of the shadow's metrics: an answer of its own less the one that was
    served for the same input.
    """
    return f"""
    WITH {_PAIRS}, {_CLASSES}, chunk AS MATERIALIZED (
        SELECT unit, {each("?", ARM)}, metric, 1 AS n, {summand("x")} AS x
        FROM pair CROSS JOIN LATERAL (VALUES
            ('agreement', agreement),
            ('confidence_shift', confidence_shift),
            ('latency_shift', latency_shift)
        ) AS long (metric, x)
        WHERE x IS NOT NULL
    ), {fold_values(old_and_new=old_and_new)}
    """
