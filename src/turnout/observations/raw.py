"""Raw rows on their way into the database: predictions by COPY, outcomes to the arms they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations import partitions
from turnout.observations.admission import COLUMNS, DAY, ID, Record, Remark
from turnout.observations.domain.span import Span

_INSERT_NEW: Final = f"""
    INSERT INTO prediction ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS[:-1])}, features::jsonb
    FROM unnest(
        $1::int[], $2::text[], $3::date[], $4::int[], $5::bigint[], $6::int[], $7::bigint[],
        $8::text[], $9::timestamptz[], $10::float8[], $11::float8[], $12::float8[], $13::text[],
        $14::text[], $15::text[]
    ) AS new ({", ".join(COLUMNS)})
    ON CONFLICT DO NOTHING
"""  # noqa: S608  (column names of ours)

# DISTINCT ON keeps the planner from turning the lookups into a scan of the whole table, and takes
# the latest where a caller used an id again on another day. What only says whether the answer was
# correct says nothing about a shadow's answer; a label does.
_KEEP_OUTCOMES: Final = text(
    """
    WITH said AS MATERIALIZED (
        SELECT * FROM unnest(
            CAST(:prediction_ids AS text[]), CAST(:units AS text[]), CAST(:metrics AS text[]),
            CAST(:values AS float8[]), CAST(:labels AS text[]), CAST(:ats AS timestamptz[]),
            CAST(:first_days AS date[]), CAST(:last_days AS date[])
        ) WITH ORDINALITY
        AS said (prediction_id, unit, metric, value, label, at, first_day, last_day, row)
    ), found AS MATERIALIZED (
        SELECT said.row, said.prediction_id, said.metric, said.value, said.label, said.at, p.day,
            p.shadow_version, p.version_id, p.split_id, p.unit, p.answered_at,
            p.label AS predicted
        FROM said CROSS JOIN LATERAL (
            SELECT DISTINCT ON (shadow_version) day, shadow_version, version_id, split_id, unit,
                at AS answered_at, label
            FROM prediction
            WHERE model_id = :model_id AND prediction_id = said.prediction_id
                AND day BETWEEN said.first_day AND said.last_day
            ORDER BY shadow_version, day DESC
        ) AS p
        WHERE p.shadow_version = 0 OR said.label IS NOT NULL
    ), kept AS (
        INSERT INTO outcome (model_id, batch_seq, prediction_id, metric, day, shadow_version,
            version_id, split_id, unit, at, answered_at, label, value)
        SELECT :model_id, :seq, prediction_id, metric, day, shadow_version,
            version_id, split_id, unit, at, answered_at, label,
            CASE WHEN label IS NULL THEN value ELSE CAST(CAST(label = predicted AS int) AS float8)
            END
        FROM found
        ON CONFLICT DO NOTHING
        RETURNING prediction_id, metric
    ), waiting AS (
        INSERT INTO waiting_outcome (model_id, batch_seq, prediction_id, unit, metric, at, value,
            label, first_day, last_day, received_at)
        SELECT :model_id, :seq, prediction_id, unit, metric, at, value,
            label, first_day, last_day, :now
        FROM said
        WHERE NOT EXISTS (SELECT FROM found WHERE found.row = said.row)
        ON CONFLICT DO NOTHING
        RETURNING unit
    )
    SELECT (SELECT count(*) FROM (SELECT DISTINCT prediction_id, metric FROM kept) AS k) AS kept,
        (SELECT count(*) FROM waiting WHERE unit IS NOT NULL) AS by_unit,
        (SELECT count(*) FROM waiting WHERE unit IS NULL) AS unknown
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`by_unit` outcomes find their arm when they are folded."""

    kept: int = 0
    by_unit: int = 0
    unknown: int = 0


async def write_predictions(session: AsyncSession, records: list[Record]) -> int:
    """Write predictions and tell how many of them are new.

    They are sorted first, so that two batches with the same ids wait for each other instead of
    getting locked in each other. The session must have begun its transaction by a statement.
    """
    if not records:
        return 0
    records.sort(key=itemgetter(ID))
    connection = await _driver(session)
    # Not released: the end of the transaction does that, and each round trip counts here.
    await connection.execute("SAVEPOINT copied")
    try:
        await connection.copy_records_to_table("prediction", records=records, columns=COLUMNS)
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
        # A row is known already, or is of a day that has no partition yet.
        await connection.execute("ROLLBACK TO SAVEPOINT copied")
        await partitions.ensure(session, {record[DAY] for record in records})
        status = await connection.execute(_INSERT_NEW, *zip(*records, strict=True))
        return int(status.rpartition(" ")[2])
    return len(records)


async def _driver(session: AsyncSession) -> "asyncpg.Connection[Any]":
    connection = await (await session.connection()).get_raw_connection()
    driver = connection.driver_connection
    assert isinstance(driver, asyncpg.Connection)
    return driver


async def write_outcomes(
    session: AsyncSession,
    remarks: Sequence[Remark],
    *,
    model_id: int,
    seq: int,
    span: Span,
) -> Kept:
    """Write outcomes beside the predictions they speak of, or where they wait for them."""
    if not remarks:
        return Kept()
    days = [span.days_of(remark.prediction_id or "") for remark in remarks]
    found = await session.execute(
        _KEEP_OUTCOMES,
        {
            "model_id": model_id,
            "seq": seq,
            "now": span.now,
            "prediction_ids": [remark.prediction_id for remark in remarks],
            "units": [remark.unit for remark in remarks],
            "metrics": [remark.metric for remark in remarks],
            "values": [remark.value for remark in remarks],
            "labels": [remark.said_label for remark in remarks],
            "ats": [remark.at for remark in remarks],
            "first_days": [first for first, _ in days],
            "last_days": [last for _, last in days],
        },
    )
    return Kept(**found.mappings().one())
