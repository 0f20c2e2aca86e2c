"""The statement that counts the features of a sample of predictions."""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.domain.grid import PREDICTION
from turnout.observations.domain.prediction import LARGEST
from turnout.observations.sums_sql import WITHIN_DAYS, each, of_batches

SAMPLED_AT_ONCE: Final = 2_000
SAMPLED_PER_MINUTE: Final = 200
"""Predictions of one version that are looked at: so many in an hour, and so many more for each
minute of it that has begun. Ten thousand an hour tell as much as all."""

_KEY: Final = ("version_id", "hour", "grid_id")

# Written out, because a cast that fails would stop the fold of the model for good: exponents that
# numeric cannot hold, and what float8 calls too large or too small.
_NUMBER_TEXT: Final = r"'^-?[0-9]{1,100}([.][0-9]{1,100})?([eE][-+]?[0-9]{1,3})?$'"


def _real(number: str) -> str:
    return f"least(greatest(round({number}, 30), -{LARGEST:.0f}), {LARGEST:.0f})::float8"


_NUMBER: Final = f"""
    CASE WHEN cut.feature = '{PREDICTION}' AND label ~ {_NUMBER_TEXT}
            THEN {_real("label::numeric")}
        WHEN jsonb_typeof(features -> cut.feature) = 'number'
            THEN {_real("(features ->> cut.feature)::numeric")}
    END
"""
_TEXT: Final = f"""
    CASE WHEN cut.feature = '{PREDICTION}' AND label IS NOT NULL THEN label
        WHEN jsonb_typeof(features -> cut.feature) = 'number'
            THEN trim_scale((features ->> cut.feature)::numeric)::text
        ELSE features ->> cut.feature
    END
"""
_BIN: Final = f"""
    CASE WHEN edges IS NOT NULL
        THEN coalesce(width_bucket({_NUMBER}, edges), cardinality(edges) + 1)
        WHEN {_TEXT} IS NULL THEN cardinality(categories) + 1
        ELSE coalesce(array_position(categories, {_TEXT}) - 1, cardinality(categories))
    END
"""

FOLD_FEATURES: Final = f"""
    WITH told AS (
        SELECT version_id, prediction_id, date_bin('1 hour', at, 'epoch'::timestamptz) AS hour, at,
            features, label
        FROM {
    of_batches(
        "prediction",
        f"{WITHIN_DAYS} AND shadow_version = 0 AND (features IS NOT NULL OR label IS NOT NULL)",
    )
}
    ), ranked AS (
        SELECT *, row_number() OVER (
                PARTITION BY version_id, hour ORDER BY hashtext(prediction_id), prediction_id
            ) AS rank,
            1 + floor(extract(epoch FROM max(at) OVER (PARTITION BY version_id, hour) - hour) / 60)
                AS minutes
        FROM told
    ), sample AS MATERIALIZED (
        SELECT ranked.version_id, ranked.hour, features, label
        FROM ranked LEFT JOIN feature_sample AS before
            ON before.model_id = :model_id AND before.version_id = ranked.version_id
                AND before.hour = ranked.hour
        WHERE rank <= {SAMPLED_AT_ONCE} + {SAMPLED_PER_MINUTE} * minutes - coalesce(before.n, 0)
    ), counted AS (
        INSERT INTO feature_sample AS t (model_id, version_id, hour, n)
        SELECT :model_id, version_id, hour, count(*) FROM sample GROUP BY version_id, hour
        ON CONFLICT (model_id, version_id, hour) DO UPDATE SET n = t.n + excluded.n
    ), grid AS MATERIALIZED (
        SELECT id AS grid_id, size FROM feature_grid
        WHERE model_id = :model_id AND version_id IN (SELECT version_id FROM sample)
    ), cell AS MATERIALIZED (
        SELECT {each("?", _KEY)}, cut.first + {_BIN} AS place, count(*)::int AS n
        FROM sample CROSS JOIN grid JOIN feature_cut AS cut USING (grid_id)
        WHERE cut.model_id = :model_id
            AND CASE WHEN cut.feature = '{PREDICTION}'
                THEN coalesce(label, features ->> '{PREDICTION}') IS NOT NULL
                ELSE features IS NOT NULL
            END
        GROUP BY {each("?", _KEY)}, place
    ), filled AS (
        SELECT {each("?", _KEY)}, array_agg(coalesce(n, 0) ORDER BY place) AS counts
        FROM (
            SELECT DISTINCT {each("?", _KEY)}, size FROM cell JOIN grid USING (grid_id)
        ) AS touched CROSS JOIN LATERAL generate_series(1, size) AS place
        LEFT JOIN cell USING ({each("?", _KEY)}, place)
        GROUP BY {each("?", _KEY)}
    )
    INSERT INTO feature_hour AS t (model_id, {each("?", _KEY)}, counts)
    SELECT :model_id, {each("?", _KEY)}, counts FROM filled
    ON CONFLICT (model_id, grid_id, version_id, hour) DO UPDATE SET counts = (
        SELECT array_agg(former + added ORDER BY place)
        FROM unnest(t.counts, excluded.counts) WITH ORDINALITY AS pair (former, added, place)
    )
"""
"""Count the features of a sample of predictions on the bins of every version that answered.

What another version answered at the same time is counted on a version's bins, too, so that the
two can be compared. A sample is drawn by the hash of the prediction's id, and paced over the hour.
"""
