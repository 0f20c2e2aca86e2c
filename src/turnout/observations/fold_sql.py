"""The statements of the fold. Each names one model, so on a distributed database each has one home.

The differences that an upsert makes are known in two ways. PostgreSQL 18 returns the old row
beside the new one. Before it, the former value is the present one less what was added.
"""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.domain.outcome import ACCURACY
from turnout.observations.domain.prediction import NO_SPLIT
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
TOTALS: Final = ("units", "n", "n2", "x", "x2", "xn")

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
        EXISTS (SELECT FROM waiting_outcome WHERE model_id = :model_id) AS waiting
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


def _each(form: str, columns: tuple[str, ...]) -> str:
    return ", ".join(form.replace("?", column) for column in columns)


def _added(*columns: str) -> str:
    return _each("? = t.? + excluded.?", columns)


def _summand(value: str) -> str:
    """Nothing is 0, and so is next to nothing: PostgreSQL refuses to square it ("underflow")."""
    return f"CASE WHEN abs({value}) > 1e-100 THEN {value} ELSE 0 END"


def _returned(keys: tuple[str, ...], sums: tuple[str, ...], *, old_and_new: bool) -> str:
    before_and_after = "new.? AS ?, coalesce(old.?, 0) AS old_?"
    return f"{_each('t.?', keys)}, {_each(before_and_after if old_and_new else 't.?', sums)}"


def _changed(
    group: tuple[str, ...], keys: tuple[str, ...], sums: tuple[str, ...], *, old_and_new: bool
) -> str:
    """Select the sums of each touched unit before and after the upsert `folded` of `delta`.

    The join is a full one because both sides have the same keys, and because a full join cannot
    become a nested loop, however wrong the planner's guess of their sizes is.
    """
    if old_and_new:
        return f"SELECT {_each('?', group)}, {_each('?, old_?', sums)} FROM folded"
    former = _each("folded.?, folded.? - delta.? AS old_?", sums)
    joined = f"folded FULL JOIN delta USING ({_each('?', keys)})"
    return f"SELECT {_each('folded.?', group)}, {former} FROM {joined}"


def _differences(n: str, x: str) -> tuple[str, ...]:
    """What the touched units add to the sums of `UnitTotals`, in the order of `TOTALS`."""
    return (
        f"count(*) FILTER (WHERE {n} > 0 AND old_{n} = 0)",
        f"sum({n} - old_{n})::bigint",
        f"sum({n} * {n} - old_{n} * old_{n})::bigint",
        f"sum({x} - old_{x})::float8",
        f"sum({x} * {x} - old_{x} * old_{x})::float8",
        f"sum({x} * {n} - old_{x} * old_{n})::float8",
    )


def _of_batches(table: str, condition: str) -> str:
    """The rows of the batches, each found by the index of batches.

    A partition has no statistics in its first minutes, and without them the planner would rather
    read all rows of the model; OFFSET 0 leaves it no other way than batch by batch.
    """
    return f"""
        unnest(CAST(:seqs AS bigint[])) AS taken (seq) CROSS JOIN LATERAL (
            SELECT * FROM {table}
            WHERE model_id = :model_id AND batch_seq = taken.seq AND {condition}
            OFFSET 0
        ) AS {table}
    """


_WITHIN_DAYS: Final = "day BETWEEN :first_day AND :last_day"
_ARM: Final = ("split_id", "version_id")
_UNIT: Final = ("unit", *_ARM)
_TOUCHED: Final = (*_UNIT, "first_at", "shadow")

_PREDICTIONS: Final = f"""
    chunk AS MATERIALIZED (
        SELECT unit, split_id, version_id, shadow_version <> 0 AS shadow, at, latency_ms, label,
            date_bin('1 minute', at, 'epoch'::timestamptz) AS minute,
            1 AS n, (error IS NOT NULL)::int AS errors,
            (latency_ms IS NOT NULL)::int AS latency_n, {_summand("latency_ms")} AS latency,
            (confidence IS NOT NULL)::int AS confidence_n, {_summand("confidence")} AS confidence,
            (cost IS NOT NULL)::int AS cost_n, {_summand("cost")} AS cost
        FROM {_of_batches("prediction", _WITHIN_DAYS)}
    ), delta AS (
        SELECT {_each("?", _UNIT)}, bool_or(shadow) AS shadow,
            min(at) AS first_at, max(at) AS last_at, {_each("sum(?) AS ?", MEASURES)}
        FROM chunk WHERE unit IS NOT NULL GROUP BY {_each("?", _UNIT)} ORDER BY unit
    ), folded AS (
        INSERT INTO unit_total AS t
            (model_id, {_each("?", _UNIT)}, shadow, first_at, last_at, {_each("?", MEASURES)})
        SELECT :model_id, {_each("?", _UNIT)}, shadow, first_at, last_at, {_each("?", MEASURES)}
        FROM delta
        ON CONFLICT (model_id, {_each("?", _UNIT)}) DO UPDATE SET {_added(*MEASURES)},
            first_at = least(t.first_at, excluded.first_at),
            last_at = greatest(t.last_at, excluded.last_at)
"""

_WIDE: Final = ",".join(
    f"{form} AS {metric}_{total}"
    for metric, (n, x) in METRICS.items()
    for total, form in zip(TOTALS, _differences(n, x), strict=True)
)
_LONG: Final = ",".join(
    f"('{metric}', {', '.join(f'{metric}_{total}' for total in TOTALS)})" for metric in METRICS
)

# How many units came to an arm for the first time after another arm of the same split had seen
# them. Rows of this statement do not see each other, so those that are new together are numbered;
# LIMIT keeps the look-ups to the primary key, whatever the planner thinks of their number.
_CROSSED: Final = f"""
    fresh AS (
        SELECT {_each("?", _UNIT)}, row_number() OVER (
            PARTITION BY split_id, unit ORDER BY first_at, version_id
        ) AS place
        FROM touched WHERE old_n = 0 AND NOT shadow AND split_id <> {NO_SPLIT}
    ), crossed AS (
        SELECT {_each("?", _ARM)}, count(*) AS crossed
        FROM fresh LEFT JOIN LATERAL (
            SELECT TRUE AS before FROM unit_total AS t
            WHERE t.model_id = :model_id AND t.unit = fresh.unit
                AND t.split_id = fresh.split_id AND t.version_id <> fresh.version_id
                AND NOT t.shadow
            LIMIT 1
        ) AS seen ON place = 1
        WHERE place > 1 OR before
        GROUP BY {_each("?", _ARM)}
    )
"""

_WINDOW: Final = ("minute", "version_id", "split_id", "shadow")
_MINUTES: Final = f"""
    measured AS (
        SELECT {_each("?", _WINDOW)}, max(at) AS last_at, {_each("sum(?) AS ?", MEASURES)}
        FROM chunk GROUP BY {_each("?", _WINDOW)}
    ), bucket_count AS (
        SELECT {_each("?", _WINDOW)}, {BUCKET_SQL.format(value="latency_ms")} AS bucket,
            count(*) AS n
        FROM chunk WHERE latency_ms IS NOT NULL GROUP BY {_each("?", _WINDOW)}, bucket
    ), minute_sketch AS (
        SELECT {_each("?", _WINDOW)}, {_SKETCH} FROM bucket_count GROUP BY {_each("?", _WINDOW)}
    ), arm_sketch AS (
        SELECT split_id, version_id, {_SKETCH}
        FROM (
            SELECT split_id, version_id, bucket, sum(n)::bigint AS n
            FROM bucket_count GROUP BY split_id, version_id, bucket
        ) AS arm_bucket_count
        GROUP BY split_id, version_id
    ), minutes AS (
        INSERT INTO minute_window AS t
            (model_id, {_each("?", _WINDOW)}, {_each("?", MEASURES)}, buckets, counts)
        SELECT :model_id, {_each("?", _WINDOW)}, {_each("?", MEASURES)},
            coalesce(buckets, '{{}}'), coalesce(counts, '{{}}')
        FROM measured LEFT JOIN minute_sketch USING ({_each("?", _WINDOW)})
        ON CONFLICT (model_id, {_each("?", _WINDOW)})
        DO UPDATE SET {_added(*MEASURES)}, {_MERGED_SKETCH}
    ), arms AS (
        INSERT INTO arm AS t
            (model_id, {_each("?", _ARM)}, predictions, crossed, last_at, buckets, counts)
        SELECT :model_id, {_each("?", _ARM)}, n, coalesce(crossed, 0), last_at,
            coalesce(buckets, '{{}}'), coalesce(counts, '{{}}')
        FROM (
            SELECT {_each("?", _ARM)}, sum(n) AS n, max(last_at) AS last_at
            FROM measured GROUP BY {_each("?", _ARM)}
        ) AS arm_measured
        LEFT JOIN arm_sketch USING ({_each("?", _ARM)}) LEFT JOIN crossed USING ({_each("?", _ARM)})
        ON CONFLICT (model_id, {_each("?", _ARM)})
        DO UPDATE SET {_added("predictions", "crossed")}, {_MERGED_SKETCH},
            last_at = greatest(t.last_at, excluded.last_at)
    ), ranked AS (
        SELECT {_each("?", _WINDOW)}, label, count(*) AS n,
            row_number() OVER (PARTITION BY {_each("?", _WINDOW)} ORDER BY count(*) DESC) AS rank
        FROM chunk WHERE label IS NOT NULL GROUP BY {_each("?", _WINDOW)}, label
    ), classes AS (
        INSERT INTO minute_class AS t (model_id, {_each("?", _WINDOW)}, label, n)
        SELECT :model_id, {_each("?", _WINDOW)},
            CASE WHEN rank <= {CLASSES_KEPT} THEN label ELSE '' END AS label, sum(n)
        FROM ranked GROUP BY {_each("?", _WINDOW)}, 6
        ON CONFLICT (model_id, {_each("?", _WINDOW)}, label) DO UPDATE SET {_added("n")}
    )
"""


def fold_predictions(*, old_and_new: bool) -> str:
    """Fold the predictions of some batches into units, arms, minutes and classes.

    A prediction without a unit is a unit of its own: it goes into the arm's totals at once. Units
    are upserted in order, which costs a quarter less than in the order of a hash.
    """
    return f"""
    WITH {_PREDICTIONS}
        RETURNING {_returned(_TOUCHED, MEASURES, old_and_new=old_and_new)}
    ), touched AS {"NOT" if old_and_new else ""} MATERIALIZED (
        {_changed(_TOUCHED, _UNIT, MEASURES, old_and_new=old_and_new)}
    ), {_CROSSED}, changed AS (
        SELECT {_each("?", _ARM)}, {_each("?, old_?", MEASURES)} FROM touched
        UNION ALL
        SELECT {_each("?", _ARM)}, {_each("?, 0", MEASURES)} FROM chunk WHERE unit IS NULL
    ), wide AS (
        SELECT {_each("?", _ARM)}, {_WIDE} FROM changed GROUP BY {_each("?", _ARM)}
    ), {_MINUTES}
    INSERT INTO arm_total AS t (model_id, {_each("?", _ARM)}, metric, {_each("?", TOTALS)})
    SELECT :model_id, {_each("?", _ARM)}, long.*
    FROM wide CROSS JOIN LATERAL (VALUES {_LONG}) AS long (metric, {_each("?", TOTALS)})
    WHERE long.n > 0
    ON CONFLICT (model_id, {_each("?", _ARM)}, metric) DO UPDATE SET {_added(*TOTALS)}
    """


# Outcomes of these batches, and those of which these batches brought the prediction or exposure.
# A unit's outcome belongs to the arm that it was exposed to last before it.
MATCH_WAITING: Final = f"""
    WITH arrived AS MATERIALIZED (
        SELECT prediction_id, unit FROM {_of_batches("prediction", _WITHIN_DAYS)}
    ), due AS MATERIALIZED (
        SELECT * FROM waiting_outcome WHERE model_id = :model_id AND batch_seq = ANY(:seqs)
        UNION
        SELECT w.* FROM (SELECT DISTINCT prediction_id FROM arrived) AS a
        JOIN waiting_outcome AS w
            ON w.model_id = :model_id AND w.prediction_id = a.prediction_id
        UNION
        SELECT w.* FROM (SELECT DISTINCT unit FROM arrived) AS a
        JOIN waiting_outcome AS w ON w.model_id = :model_id AND w.unit = a.unit
    ), found AS MATERIALIZED (
        SELECT due.id, due.prediction_id, due.metric, due.at, due.label, p.day,
            p.shadow_version, p.version_id, p.split_id, p.unit, p.at AS answered_at,
            CASE WHEN due.label IS NULL THEN due.value ELSE (due.label = p.label)::int::float8 END
                AS value
        FROM due CROSS JOIN LATERAL (
            SELECT DISTINCT ON (shadow_version) * FROM prediction
            WHERE model_id = :model_id AND prediction_id = due.prediction_id
                AND day BETWEEN due.first_day AND due.last_day
            ORDER BY shadow_version, day DESC
        ) AS p
        WHERE p.shadow_version = 0 OR due.label IS NOT NULL
        UNION ALL
        SELECT due.id, NULL, due.metric, due.at, NULL, due.received_at::date,
            0, u.version_id, u.split_id, due.unit, least(u.last_at, greatest(due.at, u.first_at)),
            due.value
        FROM due CROSS JOIN LATERAL (
            SELECT * FROM unit_total
            WHERE model_id = :model_id AND unit_total.unit = due.unit AND NOT shadow
                AND first_at <= due.at + :skew
            ORDER BY first_at <= due.at DESC, least(last_at, due.at) DESC, first_at DESC
            LIMIT 1
        ) AS u
    ), gone AS (
        DELETE FROM waiting_outcome
        WHERE model_id = :model_id AND id IN (SELECT id FROM found)
    )
    INSERT INTO outcome (model_id, batch_seq, prediction_id, metric, at, label, day,
        shadow_version, version_id, split_id, unit, answered_at, value)
    SELECT :model_id, :seq, prediction_id, metric, at, label, day,
        shadow_version, version_id, split_id, unit, answered_at, value
    FROM found
    ON CONFLICT DO NOTHING
"""

_OUTCOME_ARM: Final = (*_ARM, "metric")
_OUTCOME_UNIT: Final = ("unit", *_OUTCOME_ARM)
_NX: Final = ("n", "x")

_OUTCOMES: Final = f"""
    chunk AS MATERIALIZED (
        SELECT {_each("?", _OUTCOME_UNIT)}, shadow_version <> 0 AS shadow,
            1 AS n, {_summand("value")} AS x,
            date_bin('1 minute', answered_at, 'epoch'::timestamptz) AS minute
        FROM {_of_batches("outcome", "value IS NOT NULL")}
    ), minutes AS (
        INSERT INTO minute_window AS t (model_id, {_each("?", _WINDOW)}, labelled, correct)
        SELECT :model_id, {_each("?", _WINDOW)}, sum(n), sum(x)
        FROM chunk WHERE metric = '{ACCURACY}' GROUP BY {_each("?", _WINDOW)}
        ON CONFLICT (model_id, {_each("?", _WINDOW)})
        DO UPDATE SET {_added("labelled", "correct")}
    ), delta AS (
        SELECT {_each("?", _OUTCOME_UNIT)}, sum(n) AS n, sum(x) AS x
        FROM chunk WHERE unit IS NOT NULL GROUP BY {_each("?", _OUTCOME_UNIT)} ORDER BY unit
    ), folded AS (
        INSERT INTO unit_outcome AS t (model_id, {_each("?", _OUTCOME_UNIT)}, n, x)
        SELECT :model_id, {_each("?", _OUTCOME_UNIT)}, n, x FROM delta
        ON CONFLICT (model_id, {_each("?", _OUTCOME_UNIT)}) DO UPDATE SET {_added(*_NX)}
"""


def fold_outcomes(*, old_and_new: bool) -> str:
    """Fold the outcomes of some batches into units, arms and the minutes of their predictions."""
    return f"""
    WITH {_OUTCOMES}
        RETURNING {_returned(_OUTCOME_UNIT, _NX, old_and_new=old_and_new)}
    ), changed AS (
        {_changed(_OUTCOME_ARM, _OUTCOME_UNIT, _NX, old_and_new=old_and_new)}
        UNION ALL
        SELECT {_each("?", _OUTCOME_ARM)}, n, 0, x, 0 FROM chunk WHERE unit IS NULL
    )
    INSERT INTO arm_total AS t (model_id, {_each("?", _OUTCOME_ARM)}, {_each("?", TOTALS)})
    SELECT :model_id, {_each("?", _OUTCOME_ARM)}, {", ".join(_differences(*_NX))}
    FROM changed GROUP BY {_each("?", _OUTCOME_ARM)}
    ON CONFLICT (model_id, {_each("?", _OUTCOME_ARM)}) DO UPDATE SET {_added(*TOTALS)}
    """
