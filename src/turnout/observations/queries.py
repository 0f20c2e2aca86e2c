"""Evidence for those who judge, and figures for those who look."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations import window_sql
from turnout.observations.domain.cover import cover
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.figures import Figures, Mean, VersionFigures
from turnout.stats.arguments import BadArgument
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals
from turnout.telemetry import log

_EVIDENCE: Final = text(
    """
    SELECT split_id, version_id, predictions, crossed, last_at, buckets, counts,
        metrics, units, n, n2, x, x2, xn, pivots
    FROM unnest(CAST(:models AS int[]), CAST(:splits AS bigint[])) AS wanted (model_id, split_id)
    JOIN arm USING (model_id, split_id)
    CROSS JOIN LATERAL (
        SELECT array_agg(metric) AS metrics, array_agg(units) AS units, array_agg(n) AS n,
            array_agg(n2) AS n2, array_agg(x) AS x, array_agg(x2) AS x2, array_agg(xn) AS xn,
            array_agg(pivot) AS pivots
        FROM arm_total
        WHERE arm_total.model_id = arm.model_id AND arm_total.split_id = arm.split_id
            AND arm_total.version_id = arm.version_id
    ) AS total
    """
)

_VERSIONS: Final = text(window_sql.sums("version_id, shadow"))
_CLASSES: Final = text(window_sql.CLASSES)


async def evidence(
    session: AsyncSession, keys: Collection[tuple[int, int]]
) -> dict[int, dict[int, ArmEvidence]]:
    """What each arm of these splits has shown: by split id, then by version id.

    A key is a model's id and a split's id. One round trip, and one row per arm, however many
    predictions there were; an arm without any is left out.
    """
    arms: dict[int, dict[int, ArmEvidence]] = defaultdict(dict)
    if not keys:
        return arms
    models, splits = zip(*keys, strict=True)
    for row in await session.execute(_EVIDENCE, {"models": models, "splits": splits}):
        arms[row.split_id][row.version_id] = ArmEvidence(
            version_id=row.version_id,
            metrics=_totals(row),
            latency=QuantileSketch(tuple(zip(row.buckets, row.counts, strict=True))),
            predictions=row.predictions,
            crossed=row.crossed,
            last_at=row.last_at,
        )
    return arms


def _totals(row: Row[Any]) -> dict[str, UnitTotals]:
    """The metrics of one arm; one whose sums cannot be is left out, so that it stops no other."""
    columns = (row.metrics, row.units, row.n, row.n2, row.x, row.x2, row.xn, row.pivots)
    totals: dict[str, UnitTotals] = {}
    for metric, units, n, n2, x, x2, xn, pivot in zip(*columns, strict=True):
        try:
            totals[metric] = UnitTotals(units=units, n=n, n2=n2, x=x, x2=x2, xn=xn, pivot=pivot)
        except BadArgument as error:
            log.error(
                "totals do not add up",
                split_id=row.split_id,
                version_id=row.version_id,
                metric=metric,
                error=str(error),
            )
    return totals


async def performance(
    session: AsyncSession,
    model_id: int,
    *,
    since: datetime,
    until: datetime,
    version_id: int | None = None,
) -> list[VersionFigures]:
    """What each version did in [since, until), which are whole minutes, shadows apart."""
    span = {"model_id": model_id, "version_id": version_id, **asdict(cover(since, until))}
    classes: dict[tuple[int, bool], dict[str, int]] = defaultdict(dict)
    for row in await session.execute(_CLASSES, span):
        classes[row.version_id, row.shadow][row.label] = row.n
    return [
        VersionFigures(
            version_id=row.version_id,
            shadow=row.shadow,
            figures=figures(row),
            classes=classes[row.version_id, row.shadow],
        )
        for row in await session.execute(_VERSIONS, span)
    ]


def figures(row: Row[Any]) -> Figures:
    return Figures(
        predictions=row.n,
        errors=row.errors,
        labelled=row.labelled,
        correct=row.correct,
        latency=Mean(n=row.latency_n, total=row.latency),
        confidence=Mean(n=row.confidence_n, total=row.confidence),
        cost=Mean(n=row.cost_n, total=row.cost),
        latencies=QuantileSketch(tuple(zip(row.buckets, row.counts, strict=True))),
    )


async def unfolded(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many batches wait to be folded, and when the oldest of them came."""
    query = text("SELECT count(*), min(received_at) FROM batch WHERE folded_at IS NULL")
    count, oldest = (await session.execute(query)).one()
    return count, oldest
