"""What the past says of the waves in which the latencies of a version come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations.domain.cover import MINUTE
from turnout.observations.domain.guardrails import Guardrail
from turnout.stats.quantile_sketch import GAMMA, QuantileSketch, bucket
from turnout.stats.waves import Past, Waves
from turnout.telemetry import log

LOOKS_BACK: Final = timedelta(days=2)
SETTLED: Final = 2 * MINUTE
"""What is younger may not have been folded yet."""

# Of the version and, beside it, of all others that answered.
_PART: Final = """
    FROM minute_window
    WHERE model_id = :model_id AND minute >= :since AND minute < :until AND NOT shadow
        AND latency_n > 0
"""
_SKETCHES: Final = text(
    f"""
    SELECT own, array_agg(bucket ORDER BY bucket) AS buckets,
        array_agg(n ORDER BY bucket) AS counts
    FROM (
        SELECT own, bucket, sum(number)::bigint AS n
        FROM (
            SELECT version_id = :version_id AS own, unnest(buckets) AS bucket,
                unnest(counts) AS number
            {_PART}
        ) AS each
        GROUP BY own, bucket
    ) AS bucket_count
    GROUP BY own
    """  # noqa: S608  (no values in it)
)
_MEANS: Final = text(
    f"""
    SELECT version_id = :version_id AS own, minute, sum(latency_n)::float8 AS n, sum(latency) AS x
    {_PART}
    GROUP BY own, minute
    """
)
_SHARES: Final = text(
    f"""
    SELECT own, minute, sum(latency_n)::float8 AS n, coalesce(sum(above), 0)::float8 AS x
    FROM (
        SELECT version_id = :version_id AS own, minute, latency_n, (
            SELECT sum(number) FROM unnest(buckets, counts) AS each (bucket, number)
            WHERE bucket > :edge
        ) AS above
        {_PART}
    ) AS part
    GROUP BY own, minute
    """  # noqa: S608  (no values in it)
)


async def waves(
    session: AsyncSession,
    guardrails: Sequence[Guardrail],
    *,
    model_id: int,
    version_id: int,
    now: datetime,
) -> list[Waves | None]:
    """For each guardrail, the waves of what it limits, by the last two days of a sound version;
    None for what is no latency, and where those days say too little.

    It reads a bounded number of rows, and none where no latency is limited.
    """
    limited = [_limits_latency(guardrail) for guardrail in guardrails]
    if not any(limited):
        return [None] * len(limited)
    until = now.replace(second=0, microsecond=0) - SETTLED
    span = _Span(since=until - LOOKS_BACK, until=until, model_id=model_id, version_id=version_id)
    rows = await session.execute(_SKETCHES, span.asked)
    sketches = {
        row.own: QuantileSketch(tuple(zip(row.buckets, row.counts, strict=True))) for row in rows
    }
    return [
        await _waves(session, span, guardrail, sketches) if known and True in sketches else None
        for guardrail, known in zip(guardrails, limited, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    model_id: int
    version_id: int
    since: datetime
    until: datetime

    @property
    def asked(self) -> dict[str, int | datetime]:
        return asdict(self)


def _limits_latency(guardrail: Guardrail) -> bool:
    return guardrail.metric == "latency_mean" or guardrail.quantile is not None


async def _waves(
    session: AsyncSession,
    span: _Span,
    guardrail: Guardrail,
    sketches: Mapping[bool, QuantileSketch],
) -> Waves | None:
    if guardrail.quantile is None:
        variances = {own: sketch.variance for own, sketch in sketches.items()}
        rows = await session.execute(_MEANS, span.asked)
    else:
        # Those of the quantile's own bucket are among what lies above, rather than not.
        edge = (sketches[True].quantile(guardrail.quantile) or 0.0) / GAMMA
        shares = {own: sketch.count_above(edge) / sketch.count for own, sketch in sketches.items()}
        variances = {own: share * (1 - share) for own, share in shares.items()}
        rows = await session.execute(_SHARES, {**span.asked, "edge": bucket(edge)})
    try:
        pasts = _pasts(rows, span, variances)
        if guardrail.relative:
            return Waves.apart(pasts[True], pasts.get(False))
        return Waves.alone(pasts[True])
    except (ValueError, ArithmeticError) as error:  # no reason to keep a stage from beginning
        log.error("minutes do not add up", version_id=span.version_id, error=str(error))
        return None


def _pasts(
    rows: Iterable[Row[Any]], span: _Span, variances: Mapping[bool, float]
) -> dict[bool, Past]:
    """Of the version itself, and of those beside it."""
    minutes = LOOKS_BACK // MINUTE
    counts = {own: [0.0] * minutes for own in variances}
    sums = {own: [0.0] * minutes for own in variances}
    for row in rows:
        place = (row.minute - span.since) // MINUTE
        counts[row.own][place] = row.n
        sums[row.own][place] = row.x
    return {
        own: Past(n=counts[own], x=sums[own], variance=variance)
        for own, variance in variances.items()
    }
