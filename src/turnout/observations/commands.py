"""Record what was seen, fold it into totals, and keep each for as long as it is of use."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import lost_connection
from turnout.observations import folding, partitions, raw
from turnout.observations.admission import DAY, Admission, Record, Splits, recorded, remark
from turnout.observations.domain.batch import (
    MAX_ROWS,
    BatchRefused,
    BatchReport,
    Flaw,
    OutcomeRefused,
    TooManyRows,
)
from turnout.observations.domain.followed import Followed
from turnout.observations.domain.outcome import WAIT_FOR_PREDICTION, Outcome
from turnout.observations.domain.prediction import Prediction
from turnout.observations.domain.span import Days, Span
from turnout.observations.features import followed_features, forget_features
from turnout.observations.folding import FoldFailed
from turnout.observations.tables import Batch, FollowedMetric, WaitingOutcome
from turnout.observations.wire import Submission
from turnout.registry import queries as registry
from turnout.registry.domain.semver import SemVer
from turnout.traffic import queries as traffic

FOLD_ROWS: Final = 50_000
"""Rows folded in one transaction: enough to be quick, few enough not to hold locks for long."""

DAYS_AHEAD: Final = 2
GATEWAY_DELAY: Final = timedelta(days=1)
"""How long what the gateway saw may have waited for the database."""

_CLAIM: Final = text(
    """
    INSERT INTO batch (model_id, key, received_at, predictions, outcomes, first_day, last_day)
    VALUES (:model_id, :key, :now, :predictions, :outcomes, :today, :today)
    ON CONFLICT DO NOTHING
    RETURNING seq
    """
)


async def record_predictions(
    session: AsyncSession,
    model_id: int,
    rows: Sequence[Prediction],
    *,
    now: datetime,
    key: str | None = None,
) -> int:
    """Record what the gateway saw and tell how many rows are new; a key counts once."""
    seq = await _claim(session, model_id, key, predictions=len(rows), now=now)
    if seq is None:
        return 0
    days = Days(Span.kept(now, GATEWAY_DELAY))
    sampled = any(row.inputs for row in rows)
    followed = await followed_features(session, model_id) if sampled else ()
    records = [recorded(row, model_id, seq, days, followed) for row in rows]
    new = await raw.write_predictions(session, records)
    report = BatchReport(accepted=new, duplicate=len(rows) - new)
    await _settle(session, model_id, seq, records, report, rows=len(rows), now=now)
    return new


async def record(
    session: AsyncSession,
    model_id: int,
    batch: Submission,
    *,
    atomic: bool,
    retention: timedelta,
    now: datetime,
) -> BatchReport:
    """Record the good rows of a batch and name the bad ones, or with `atomic` refuse them all.

    A batch id counts once: the same id again, now or at the same time, is answered by the report
    of the first.
    """
    if batch.rows > MAX_ROWS:
        raise TooManyRows(batch.rows)
    predictions = sum(line is not None for line in batch.predictions)
    outcomes = batch.rows - predictions
    seq = await _claim(
        session, model_id, batch.batch_id, predictions=predictions, outcomes=outcomes, now=now
    )
    if seq is None:
        return await _former_report(session, model_id, batch.batch_id)
    admission = await _admission(session, model_id, seq, batch, span=Span.kept(now, retention))
    admitted = admission.admit(batch)
    if atomic and admitted.rejected:
        raise BatchRefused(admitted.rejected, batch.rows)
    new = await raw.write_predictions(session, admitted.records)
    kept = await raw.write_outcomes(
        session, admitted.remarks, model_id=model_id, seq=seq, span=admission.span
    )
    accepted = new + kept.kept + kept.by_unit
    report = BatchReport(
        accepted=accepted,
        duplicate=admitted.rows - accepted - kept.unknown,
        unknown=kept.unknown,
        rejected=tuple(admitted.rejected),
    )
    await _settle(session, model_id, seq, admitted.records, report, rows=batch.rows, now=now)
    return report


async def feedback(
    session: AsyncSession, model_id: int, outcome: Outcome, *, retention: timedelta, now: datetime
) -> BatchReport:
    """Record one outcome."""
    span = Span.kept(now, retention)
    at = outcome.at or now
    if flaw := span.flaw(at):
        raise OutcomeRefused(flaw)
    seq = await _claim(session, model_id, None, outcomes=1, now=now)
    assert seq is not None
    kept = await raw.write_outcomes(
        session, [remark(outcome, at)], model_id=model_id, seq=seq, span=span
    )
    accepted = kept.kept + kept.by_unit
    return BatchReport(
        accepted=accepted, duplicate=1 - accepted - kept.unknown, unknown=kept.unknown
    )


async def _claim(
    session: AsyncSession,
    model_id: int,
    key: str | None,
    *,
    predictions: int = 0,
    outcomes: int = 0,
    now: datetime,
) -> int | None:
    """Make the batch's row, or None if its key was claimed before.

    Who claims the same key at the same time waits here for the first to commit or give up.
    """
    seq: int | None = await session.scalar(
        _CLAIM,
        {
            "model_id": model_id,
            "key": key,
            "now": now,
            "predictions": predictions,
            "outcomes": outcomes,
            "today": now.date(),
        },
    )
    return seq


async def _settle(
    session: AsyncSession,
    model_id: int,
    seq: int,
    records: Collection[Record],
    report: BatchReport,
    *,
    rows: int,
    now: datetime,
) -> None:
    """Correct what the claim assumed: that all rows are good, new and of today."""
    days = {record[DAY] for record in records} or {now.date()}
    if report == BatchReport(accepted=rows) and days == {now.date()}:
        return
    await session.execute(
        update(Batch)
        .where(Batch.model_id == model_id, Batch.seq == seq)
        .values(first_day=min(days), last_day=max(days), report=report)
    )


async def _former_report(session: AsyncSession, model_id: int, key: str | None) -> BatchReport:
    found = await session.execute(
        select(Batch.predictions + Batch.outcomes, Batch.report).where(
            Batch.model_id == model_id, Batch.key == key
        )
    )
    rows, report = found.one()
    return report or BatchReport(accepted=rows)


async def _admission(
    session: AsyncSession, model_id: int, seq: int, batch: Submission, *, span: Span
) -> Admission:
    lines = [line for line in batch.predictions if line is not None]
    if not lines:
        return Admission(
            model_id=model_id, batch_seq=seq, span=span, splits=Splits(()), versions={}
        )
    earliest = min((line.at for line in lines if line.at is not None), default=span.now)
    since = max(span.oldest, min(earliest, span.now))
    splits = await traffic.splits_since(session, model_id, since)
    # The versions of the split in force cannot be deleted, and are most of those that are named.
    in_force = splits[-1].variants if splits else ()
    known = {variant.version: variant.version_id for variant in in_force}
    unknown = {line.version for line in lines}.difference(known)
    named = {line.split_id for line in lines if isinstance(line.split_id, int)}
    if missing := named.difference(split.id for split in splits):
        former = await traffic.splits(session, missing)
        splits += [split for split in former.values() if split.model_id == model_id]
    return Admission(
        model_id=model_id,
        batch_seq=seq,
        span=span,
        splits=Splits(splits),
        versions=known | await _versions(session, model_id, unknown),
    )


async def _versions(
    session: AsyncSession, model_id: int, texts: Collection[str]
) -> dict[str, int | Flaw]:
    """Find each version that a batch names, or say why it is none."""
    if not texts:
        return {}
    parsed: dict[str, str | Flaw] = {}
    for name in texts:
        try:
            parsed[name] = str(SemVer.parse(name))
        except ValueError as error:
            parsed[name] = Flaw("version", str(error))
    names = {name for name in parsed.values() if isinstance(name, str)}
    ids = await registry.version_ids(session, model_id, names)
    return {
        given: name
        if isinstance(name, Flaw)
        else ids.get(name) or Flaw("version", f"this model has no version {name}")
        for given, name in parsed.items()
    }


async def follow(
    session: AsyncSession, model_id: int, split_id: int, wanted: Iterable[Followed]
) -> None:
    """Keep the totals of these metrics apart in this split.

    What was folded before is left out: do this when the split is set.
    """
    key = {"model_id": model_id, "split_id": split_id}
    rows = [{**key, "series": found.series, **asdict(found)} for found in set(wanted)]
    if rows:
        await session.execute(insert(FollowedMetric).values(rows).on_conflict_do_nothing())


async def fold(
    session: AsyncSession,
    *,
    now: datetime,
    limit: int = FOLD_ROWS,
    passing_over: Collection[int] = (),
) -> int:
    """Fold outcomes that have become old enough, or about `limit` rows of the model that waits
    longest; the number folded.

    Zero means that nothing waits, or that other workers are at it: one model has one folder at a
    time, which is what makes the differences of its totals right. A failure names the model, so
    that the caller can pass it over and go on with the others.
    """
    old_and_new = await folding.returns_old(session)
    ripe = await folding.lock_ripe(session, now=now, passing_over=passing_over)
    if ripe is not None:
        with _failure_of(ripe):
            folded = await folding.fold_ripe(
                session, ripe, limit=limit, now=now, old_and_new=old_and_new
            )
        if folded:
            return folded
    model_id = await folding.lock_longest_waiting(session, passing_over=passing_over)
    if model_id is None:
        return 0
    due = await folding.take_batches(session, model_id, limit=limit, now=now)
    if due is None:
        return 0
    with _failure_of(model_id):
        await folding.fold_batches(session, due, old_and_new=old_and_new)
    return due.predictions + due.outcomes


@contextmanager
def _failure_of(model_id: int) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if lost_connection(error):
            raise
        raise FoldFailed(model_id) from error


async def ensure_partitions(session: AsyncSession, *, now: datetime) -> None:
    """Have partitions for today and the days to come; those of the past are made when needed."""
    await partitions.ensure(session, _days(now, ahead=DAYS_AHEAD))


def _days(now: datetime, *, ahead: int) -> list[date]:
    return [(now + timedelta(days=day)).date() for day in range(ahead + 1)]


async def drop_old_partitions(session: AsyncSession, *, now: datetime, days: int) -> None:
    """Drop raw rows of days that are over, and what waited in vain; totals stay."""
    oldest = now - timedelta(days=days)
    await session.execute(
        delete(WaitingOutcome).where(WaitingOutcome.received_at < now - WAIT_FOR_PREDICTION)
    )
    await session.execute(
        delete(Batch).where(Batch.received_at < oldest, Batch.folded_at.is_not(None))
    )
    await forget_features(session, now=now)
    await partitions.drop_before(session, oldest.date())
