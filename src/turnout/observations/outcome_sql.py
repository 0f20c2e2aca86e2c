"""The statements that join outcomes with what they speak of, and fold them."""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.domain.outcome import ACCURACY
from turnout.observations.sums_sql import (
    ABOUT_PIVOTS,
    IN_LONG,
    LONG,
    PIVOT,
    WINDOW,
    WITHIN_DAYS,
    added,
    each,
    fold_values,
    minute_of,
    of_batches,
    summand,
)

# Outcomes of these batches, and those of which these batches brought the prediction or exposure.
# A unit's outcome belongs to the arm that it was exposed to last before it.
MATCH_WAITING: Final = f"""
    WITH arrived AS MATERIALIZED (
        SELECT prediction_id, unit FROM {of_batches("prediction", WITHIN_DAYS)}
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

# What is said of a segment is looked up with the prediction; OFFSET 0 keeps that to the outcomes
# of which a segment is followed.
_OUTCOMES: Final = f"""
    said AS MATERIALIZED (
        SELECT unit, split_id, version_id, metric, shadow_version, prediction_id, day,
            1 AS n, {summand("value")} AS x, answered_at
        FROM {of_batches("outcome", "value IS NOT NULL")}
    ), judged AS (
        SELECT {minute_of("answered_at")} AS minute, version_id, split_id,
            shadow_version <> 0 AS shadow, sum(n) AS labelled, sum(x) AS correct
        FROM said WHERE metric = '{ACCURACY}' GROUP BY {each("?", WINDOW)}
    ), minutes AS (
        INSERT INTO minute_window AS t (model_id, {each("?", WINDOW)}, labelled, correct)
        SELECT :model_id, {each("?", WINDOW)}, labelled, correct FROM judged
        ON CONFLICT (model_id, {each("?", WINDOW)})
        DO UPDATE SET {added("labelled", "correct")}
    ), longer AS (
        INSERT INTO long_window AS t (model_id, {each("?", LONG)}, labelled, correct)
        SELECT :model_id, {each("?", LONG)}, sum(labelled), sum(correct)
        FROM judged {IN_LONG} GROUP BY {each("?", LONG)}
        ON CONFLICT (model_id, {each("?", LONG)})
        DO UPDATE SET {added("labelled", "correct")}
    ), followed AS MATERIALIZED (
        SELECT split_id, series, metric, age, attribute, value FROM followed_metric
        WHERE model_id = :model_id AND split_id IN (SELECT split_id FROM said)
    ), queued AS (
        INSERT INTO maturing_outcome (model_id, due_at, split_id, version_id, unit, series, x)
        SELECT :model_id, answered_at + age, split_id, version_id, unit, series, x
        FROM said JOIN followed USING (split_id, metric) WHERE age IS NOT NULL
    ), cut AS MATERIALIZED (
        SELECT said.*, series, attribute, value
        FROM said JOIN followed USING (split_id, metric) WHERE attribute IS NOT NULL
    ), heard AS MATERIALIZED (
        SELECT unit, split_id, version_id, metric, n, x FROM said
        UNION ALL
        SELECT cut.unit, cut.split_id, cut.version_id, series, n, x
        FROM cut CROSS JOIN LATERAL (
            SELECT features FROM prediction
            WHERE model_id = :model_id AND prediction_id = cut.prediction_id AND day = cut.day
                AND shadow_version = cut.shadow_version
            OFFSET 0
        ) AS answer
        WHERE features ->> attribute = value
    )
"""


# One look at the index for each model that lets anything mature; OFFSET keeps the locks to those
# of which something is due.
LOCK_RIPE: Final = """
    SELECT model_id, set_config('work_mem', '64MB', true)
    FROM (
        SELECT model_id
        FROM (SELECT DISTINCT model_id FROM followed_metric WHERE age IS NOT NULL) AS model
        WHERE EXISTS (
            SELECT FROM maturing_outcome AS waiting
            WHERE waiting.model_id = model.model_id AND due_at <= :now
        )
        OFFSET 0
    ) AS ripe
    WHERE model_id <> ALL(CAST(:passing_over AS int[]))
        AND pg_try_advisory_xact_lock(:lock, model_id)
    LIMIT 1
"""


def fold_ripe(*, old_and_new: bool) -> str:
    """Fold outcomes whose predictions are old enough by now: each leaves the queue and counts."""
    return f"""
    WITH ripe AS (
        DELETE FROM maturing_outcome WHERE model_id = :model_id AND id IN (
            SELECT id FROM maturing_outcome
            WHERE model_id = :model_id AND due_at <= :now
            ORDER BY due_at LIMIT :limit
        )
        RETURNING unit, split_id, version_id, series AS metric, x
    ), heard AS MATERIALIZED (
        SELECT *, 1 AS n FROM ripe
    ), {ABOUT_PIVOTS}, {fold_values(old_and_new=old_and_new, pivot=PIVOT)}
    """


def fold_outcomes(*, old_and_new: bool) -> str:
    """Fold the outcomes of some batches into units, arms and the minutes of their predictions."""
    values = fold_values(old_and_new=old_and_new, pivot=PIVOT)
    return f"WITH {_OUTCOMES}, {ABOUT_PIVOTS}, {values}"
