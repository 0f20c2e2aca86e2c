"""The statement that folds predictions by segment."""
# ruff: noqa: S608  (composed of column names of ours; values are parameters)

from typing import Final

from turnout.observations.sums_sql import WITHIN_DAYS, fold_values, of_batches, summand

_MEASURES: Final = {
    "error_rate": "(error IS NOT NULL)::int::float8",
    "success_rate": "(error IS NULL)::int::float8",
    "latency_mean": "latency_ms",
    "confidence": "confidence",
    "cost": "cost",
}
_MEASURED: Final = " ".join(f"WHEN '{metric}' THEN {x}" for metric, x in _MEASURES.items())


def fold_segments(*, old_and_new: bool) -> str:
    """Fold what is followed by segment, in the splits where anything is."""
    return f"""
    WITH followed AS MATERIALIZED (
        SELECT split_id, series, metric, attribute, value FROM followed_metric
        WHERE model_id = :model_id AND split_id = ANY(:splits) AND attribute IS NOT NULL
    ), answer AS MATERIALIZED (
        SELECT unit, split_id, version_id, features, error, latency_ms, confidence, cost
        FROM {
        of_batches(
            "prediction", f"{WITHIN_DAYS} AND split_id = ANY(:splits) AND features IS NOT NULL"
        )
    }
    ), measured AS (
        SELECT unit, split_id, version_id, series, CASE metric {_MEASURED} END AS x
        FROM answer JOIN followed USING (split_id)
        WHERE features ->> attribute = value
    ), chunk AS MATERIALIZED (
        SELECT unit, split_id, version_id, series AS metric, 1 AS n, {summand("x")} AS x
        FROM measured WHERE x IS NOT NULL
    ), {fold_values(old_and_new=old_and_new)}
    """
