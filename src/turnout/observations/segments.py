"""Who does a version do well for? Raw rows cut by an attribute; for people to look at."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.judging import recorded_as
from turnout.observations.domain.span import CLOCK_SKEW
from turnout.stats.totals import UnitTotals
from turnout.traffic import queries as traffic

MOST_ROWS: Final = 500_000
MOST_SEGMENTS: Final = 20
OTHER: Final = "other"
"""All segments beyond the twenty that most units belong to."""
UNKNOWN: Final = "unknown"
"""Units that came without the attribute."""

_OF_PREDICTIONS: Final = {
    "error_rate": ("1", "(error IS NOT NULL)::int"),
    "latency_mean": ("(latency_ms IS NOT NULL)::int", "coalesce(latency_ms, 0)"),
    "confidence": ("(confidence IS NOT NULL)::int", "coalesce(confidence, 0)"),
    "cost": ("(cost IS NOT NULL)::int", "coalesce(cost, 0)"),
}
_UNIT: Final = "coalesce(unit, prediction_id) AS unit, unit IS NULL AS alone, version_id"
_OF_SPLIT: Final = (
    "model_id = :model_id AND split_id = :split_id AND shadow_version = 0 AND day >= :since"
)


def _statement(n: str, x: str, measured: str) -> TextClause:
    """A unit whose attribute changes belongs to the least of its values."""
    return text(
        f"""
    WITH raw AS MATERIALIZED (
        SELECT {_UNIT}, features ->> CAST(:attribute AS text) AS segment, {n} AS n, {x} AS x
        FROM prediction WHERE {_OF_SPLIT} LIMIT :most
    ), exposed AS (
        SELECT unit, alone, version_id, min(segment) AS segment, sum(n) AS n, sum(x) AS x
        FROM raw GROUP BY unit, alone, version_id
    ), measured AS ({measured}), ranked AS (
        SELECT segment, row_number() OVER (ORDER BY count(*) DESC, segment) AS place
        FROM exposed WHERE segment IS NOT NULL GROUP BY segment
    )
    SELECT CASE WHEN segment IS NULL THEN '{UNKNOWN}' WHEN place <= {MOST_SEGMENTS} THEN segment
            ELSE '{OTHER}' END AS segment,
        version_id, count(*) AS units, sum(n)::bigint AS n, sum(n * n)::bigint AS n2,
        sum(x)::float8 AS x, sum(x * x)::float8 AS x2, sum(x * n)::float8 AS xn
    FROM measured LEFT JOIN ranked USING (segment)
    WHERE n > 0
    GROUP BY 1, 2
    """  # noqa: S608  (columns of ours; values are parameters)
    )


_PREDICTIONS: Final = {
    metric: _statement(n, x, "SELECT segment, version_id, n, x FROM exposed")
    for metric, (n, x) in _OF_PREDICTIONS.items()
}
_OUTCOMES: Final = _statement(
    "0",
    "0",
    f"""
        SELECT segment, version_id, told.n, told.x
        FROM exposed JOIN (
            SELECT unit, alone, version_id, count(*) AS n,
                sum(value - CAST(:pivot AS float8)) AS x
            FROM (
                SELECT {_UNIT}, value FROM outcome
                WHERE {_OF_SPLIT} AND metric = :metric AND value IS NOT NULL
                    AND answered_at <= coalesce(:answered_by, 'infinity'::timestamptz)
                LIMIT :most
            ) AS outcomes
            GROUP BY unit, alone, version_id
        ) AS told USING (unit, alone, version_id)
    """,  # noqa: S608  (columns of ours; values are parameters)
)

_PIVOT: Final = text(
    """
    SELECT coalesce(max(pivot), 0) FROM arm_total
    WHERE model_id = :model_id AND split_id = :split_id AND metric = :metric
    """
)


async def segments(
    session: AsyncSession,
    model_id: int,
    split_id: int,
    *,
    attribute: str,
    metric: str,
    answered_by: datetime | None = None,
) -> Mapping[str, Mapping[int, UnitTotals]]:
    """Totals by the value of an attribute, then by version id; of the served answers only.

    The attribute is one of a prediction's `features`, where the gateway keeps the attributes of
    its requests. From raw rows, which live for days, and from the first half a million of them:
    all arms over the same time. Of outcomes, those whose predictions were made after `answered_by`
    are left out. Whoever cuts often enough finds a difference by chance, so this
    never decides anything.
    """
    split = (await traffic.splits(session, [split_id])).get(split_id)
    if split is None:
        return {}
    recorded = recorded_as(metric)
    asked: dict[str, object] = {
        "model_id": model_id,
        "split_id": split_id,
        "since": (split.created_at - CLOCK_SKEW).date(),
        "attribute": attribute,
        "most": MOST_ROWS,
    }
    statement, pivot = _PREDICTIONS.get(recorded), 0.0
    if statement is None:
        of_metric = {"model_id": model_id, "split_id": split_id, "metric": recorded}
        pivot = (await session.execute(_PIVOT, of_metric)).scalar_one()
        statement, asked = (
            _OUTCOMES,
            asked
            | {
                "metric": recorded,
                "pivot": pivot,
                "answered_by": answered_by,
            },
        )
    found: dict[str, dict[int, UnitTotals]] = defaultdict(dict)
    for row in await session.execute(statement, asked):
        totals = UnitTotals(
            units=row.units, n=row.n, n2=row.n2, x=row.x, x2=row.x2, xn=row.xn, pivot=pivot
        )
        found[row.segment][row.version_id] = totals if recorded == metric else totals.complement()
    return found
