"""What the fold takes, and how it folds predictions.

Each statement names one model, so on a distributed database each has one home.
"""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.domain.prediction import NO_SPLIT
from turnout.observations.sums_sql import (
    ARM,
    IN_LONG,
    LONG,
    TOTALS,
    WINDOW,
    WITHIN_DAYS,
    added,
    changed,
    differences,
    each,
    minute_of,
    of_batches,
    returned,
    summand,
)
from turnout.stats.quantile_sketch import BUCKET_SQL

CLASSES_KEPT: Final = 50
"""Classes counted by name per version, minute and fold; free text would make a row of each."""

MEASURES: Final = (
    "n", "errors", "latency_n", "latency", "confidence_n", "confidence", "cost_n", "cost",
)  # fmt: skip
METRICS: Final = {
    "error_rate": ("n", "errors"),
    "latency_mean": ("latency_n", "latency"),
    "confidence": ("confidence_n", "confidence"),
    "cost": ("cost_n", "cost"),
}

# OFFSET keeps the condition out of the subquery, so that the locks are tried in the order of the
# batches, and no further than to the first that is gained.
LOCK_MODEL: Final = """
    SELECT model_id, set_config('work_mem', '64MB', true)
    FROM (SELECT model_id FROM batch WHERE folded_at IS NULL ORDER BY seq OFFSET 0) AS unfolded
    WHERE model_id <> ALL(CAST(:passing_over AS int[]))
        AND pg_try_advisory_xact_lock(:lock, model_id)
    LIMIT 1
"""

# One snapshot shows the batches and the outcomes that wait: whoever finds neither a prediction nor
# a waiting outcome of the other's batch leaves a batch of its own, whose fold finds both.
TAKE_BATCHES: Final = """
    WITH oldest AS (
        SELECT seq, predictions + outcomes AS rows FROM batch
        WHERE model_id = :model_id AND folded_at IS NULL
        ORDER BY seq LIMIT :limit
    ), due AS (
        SELECT seq, sum(rows) OVER (ORDER BY seq) - rows AS ahead FROM oldest
    ), taken AS (
        UPDATE batch SET folded_at = :now FROM due
        WHERE batch.model_id = :model_id AND batch.seq = due.seq AND due.ahead < :limit
        RETURNING batch.seq, predictions, outcomes, first_day, last_day
    )
    SELECT array_agg(seq) AS seqs, min(first_day) AS first_day, max(last_day) AS last_day,
        sum(predictions)::int AS predictions, sum(outcomes)::int AS outcomes,
        EXISTS (SELECT FROM waiting_outcome WHERE model_id = :model_id) AS waiting,
        EXISTS (SELECT FROM feature_grid WHERE model_id = :model_id) AS featured
    FROM taken
    HAVING count(*) > 0
"""

_SKETCH: Final = """
    coalesce(array_agg(bucket ORDER BY bucket), '{}') AS buckets,
    coalesce(array_agg(n ORDER BY bucket), '{}') AS counts
"""
_MERGED_SKETCH: Final = f"""
    (buckets, counts) = (
        SELECT {_SKETCH}
        FROM (
            SELECT bucket, sum(n)::bigint AS n
            FROM (
                SELECT * FROM unnest(t.buckets, t.counts) AS former (bucket, n)
                UNION ALL
                SELECT * FROM unnest(excluded.buckets, excluded.counts)
            ) AS every
            GROUP BY bucket
        ) AS merged
    )
"""
_UNIT: Final = ("unit", *ARM)
_TOUCHED: Final = (*_UNIT, "first_at", "shadow")

_PREDICTIONS: Final = f"""
    chunk AS MATERIALIZED (
        SELECT unit, split_id, version_id, shadow_version <> 0 AS shadow, at, latency_ms, label,
            {minute_of("at")} AS minute,
            1 AS n, (error IS NOT NULL)::int AS errors,
            (latency_ms IS NOT NULL)::int AS latency_n, {summand("latency_ms")} AS latency,
            (confidence IS NOT NULL)::int AS confidence_n, {summand("confidence")} AS confidence,
            (cost IS NOT NULL)::int AS cost_n, {summand("cost")} AS cost
        FROM {of_batches("prediction", WITHIN_DAYS)}
    ), delta AS (
        SELECT {each("?", _UNIT)}, bool_or(shadow) AS shadow,
            min(at) AS first_at, max(at) AS last_at, {each("sum(?) AS ?", MEASURES)}
        FROM chunk WHERE unit IS NOT NULL GROUP BY {each("?", _UNIT)} ORDER BY unit
    ), folded AS (
        INSERT INTO unit_total AS t
            (model_id, {each("?", _UNIT)}, shadow, first_at, last_at, {each("?", MEASURES)})
        SELECT :model_id, {each("?", _UNIT)}, shadow, first_at, last_at, {each("?", MEASURES)}
        FROM delta
        ON CONFLICT (model_id, {each("?", _UNIT)}) DO UPDATE SET {added(*MEASURES)},
            first_at = least(t.first_at, excluded.first_at),
            last_at = greatest(t.last_at, excluded.last_at)
"""

_WIDE: Final = ",".join(
    f"{form} AS {metric}_{total}"
    for metric, (n, x) in METRICS.items()
    for total, form in zip(TOTALS, differences(n, x), strict=True)
)
_LONG: Final = ",".join(
    f"('{metric}', {', '.join(f'{metric}_{total}' for total in TOTALS)})" for metric in METRICS
)

# How many units came to an arm for the first time after another arm of the same split had seen
# them. Rows of this statement do not see each other, so those that are new together are numbered;
# LIMIT keeps the look-ups to the primary key, whatever the planner thinks of their number.
_CROSSED: Final = f"""
    fresh AS (
        SELECT {each("?", _UNIT)}, row_number() OVER (
            PARTITION BY split_id, unit ORDER BY first_at, version_id
        ) AS place
        FROM touched WHERE old_n = 0 AND NOT shadow AND split_id <> {NO_SPLIT}
    ), crossed AS (
        SELECT {each("?", ARM)}, count(*) AS crossed
        FROM fresh LEFT JOIN LATERAL (
            SELECT TRUE AS before FROM unit_total AS t
            WHERE t.model_id = :model_id AND t.unit = fresh.unit
                AND t.split_id = fresh.split_id AND t.version_id <> fresh.version_id
                AND NOT t.shadow
            LIMIT 1
        ) AS seen ON place = 1
        WHERE place > 1 OR before
        GROUP BY {each("?", ARM)}
    )
"""

_MINUTES: Final = f"""
    measured AS (
        SELECT {each("?", WINDOW)}, max(at) AS last_at, {each("sum(?) AS ?", MEASURES)}
        FROM chunk GROUP BY {each("?", WINDOW)}
    ), bucket_count AS (
        SELECT {each("?", WINDOW)}, {BUCKET_SQL.format(value="latency_ms")} AS bucket,
            count(*) AS n
        FROM chunk WHERE latency_ms IS NOT NULL GROUP BY {each("?", WINDOW)}, bucket
    ), minute_sketch AS (
        SELECT {each("?", WINDOW)}, {_SKETCH} FROM bucket_count GROUP BY {each("?", WINDOW)}
    ), arm_sketch AS (
        SELECT split_id, version_id, {_SKETCH}
        FROM (
            SELECT split_id, version_id, bucket, sum(n)::bigint AS n
            FROM bucket_count GROUP BY split_id, version_id, bucket
        ) AS arm_bucket_count
        GROUP BY split_id, version_id
    ), long_bucket_count AS (
        SELECT {each("?", LONG)}, bucket, sum(n)::bigint AS n
        FROM bucket_count {IN_LONG} GROUP BY {each("?", LONG)}, bucket
    ), long_sketch AS (
        SELECT {each("?", LONG)}, {_SKETCH} FROM long_bucket_count GROUP BY {each("?", LONG)}
    ), long_measured AS (
        SELECT {each("?", LONG)}, {each("sum(?) AS ?", MEASURES)}
        FROM measured {IN_LONG} GROUP BY {each("?", LONG)}
    ), longer AS (
        INSERT INTO long_window AS t
            (model_id, {each("?", LONG)}, {each("?", MEASURES)}, buckets, counts)
        SELECT :model_id, {each("?", LONG)}, {each("?", MEASURES)},
            coalesce(buckets, '{{}}'), coalesce(counts, '{{}}')
        FROM long_measured LEFT JOIN long_sketch USING ({each("?", LONG)})
        ON CONFLICT (model_id, {each("?", LONG)})
        DO UPDATE SET {added(*MEASURES)}, {_MERGED_SKETCH}
    ), minutes AS (
        INSERT INTO minute_window AS t
            (model_id, {each("?", WINDOW)}, {each("?", MEASURES)}, buckets, counts)
        SELECT :model_id, {each("?", WINDOW)}, {each("?", MEASURES)},
            coalesce(buckets, '{{}}'), coalesce(counts, '{{}}')
        FROM measured LEFT JOIN minute_sketch USING ({each("?", WINDOW)})
        ON CONFLICT (model_id, {each("?", WINDOW)})
        DO UPDATE SET {added(*MEASURES)}, {_MERGED_SKETCH}
    ), arms AS (
        INSERT INTO arm AS t
            (model_id, {each("?", ARM)}, shadow, predictions, crossed, last_at, buckets, counts)
        SELECT :model_id, {each("?", ARM)}, shadow, n, coalesce(crossed, 0), last_at,
            coalesce(buckets, '{{}}'), coalesce(counts, '{{}}')
        FROM (
            SELECT {each("?", ARM)}, bool_or(shadow) AS shadow, sum(n) AS n,
                max(last_at) AS last_at
            FROM measured GROUP BY {each("?", ARM)}
        ) AS arm_measured
        LEFT JOIN arm_sketch USING ({each("?", ARM)}) LEFT JOIN crossed USING ({each("?", ARM)})
        ON CONFLICT (model_id, {each("?", ARM)})
        DO UPDATE SET {added("predictions", "crossed")}, {_MERGED_SKETCH},
            last_at = greatest(t.last_at, excluded.last_at)
    ), ranked AS (
        SELECT {each("?", WINDOW)}, label, count(*) AS n,
            row_number() OVER (PARTITION BY {each("?", WINDOW)} ORDER BY count(*) DESC) AS rank
        FROM chunk WHERE label IS NOT NULL GROUP BY {each("?", WINDOW)}, label
    ), named AS (
        SELECT {each("?", WINDOW)}, class, sum(n) AS n
        FROM ranked
        CROSS JOIN LATERAL (
            SELECT CASE WHEN rank <= {CLASSES_KEPT} THEN label ELSE '' END AS class
        ) AS name
        GROUP BY {each("?", WINDOW)}, class
    ), classes AS (
        INSERT INTO minute_class AS t (model_id, {each("?", WINDOW)}, label, n)
        SELECT :model_id, {each("?", WINDOW)}, class, n FROM named
        ON CONFLICT (model_id, {each("?", WINDOW)}, label) DO UPDATE SET {added("n")}
    ), long_classes AS (
        INSERT INTO long_class AS t (model_id, {each("?", LONG)}, label, n)
        SELECT :model_id, {each("?", LONG)}, class, sum(n)
        FROM named {IN_LONG} GROUP BY {each("?", LONG)}, class
        ON CONFLICT (model_id, {each("?", LONG)}, label) DO UPDATE SET {added("n")}
    )
"""


def fold_predictions(*, old_and_new: bool) -> str:
    """Fold the predictions of some batches into units, arms, classes, minutes, hours and days.

    A prediction without a unit is a unit of its own: it goes into the arm's totals at once. Units
    are upserted in order, which costs a quarter less than in the order of a hash. Returned are
    the splits, and what more there is to fold in them: a shadow so far, whose answers may have
    made pairs, and segments.
    """
    return f"""
    WITH {_PREDICTIONS}
        RETURNING {returned(_TOUCHED, MEASURES, old_and_new=old_and_new)}
    ), touched AS {"NOT" if old_and_new else ""} MATERIALIZED (
        {changed(_TOUCHED, _UNIT, MEASURES, old_and_new=old_and_new)}
    ), {_CROSSED}, changed AS (
        SELECT {each("?", ARM)}, {each("?, old_?", MEASURES)} FROM touched
        UNION ALL
        SELECT {each("?", ARM)}, {each("?, 0", MEASURES)} FROM chunk WHERE unit IS NULL
    ), wide AS (
        SELECT {each("?", ARM)}, {_WIDE} FROM changed GROUP BY {each("?", ARM)}
    ), {_MINUTES}, totals AS (
        INSERT INTO arm_total AS t (model_id, {each("?", ARM)}, metric, {each("?", TOTALS)})
        SELECT :model_id, {each("?", ARM)}, long.*
        FROM wide CROSS JOIN LATERAL (VALUES {_LONG}) AS long (metric, {each("?", TOTALS)})
        WHERE long.n > 0
        ON CONFLICT (model_id, {each("?", ARM)}, metric) DO UPDATE SET {added(*TOTALS)}
    )
    SELECT split_id, bool_or(shadow) OR EXISTS (
            SELECT FROM arm
            WHERE arm.model_id = :model_id AND arm.split_id = measured.split_id AND arm.shadow
        ) AS shadowed, EXISTS (
            SELECT FROM followed_metric AS followed
            WHERE followed.model_id = :model_id AND followed.split_id = measured.split_id
                AND attribute IS NOT NULL
        ) AS segmented
    FROM measured WHERE split_id <> {NO_SPLIT} GROUP BY split_id
    """
