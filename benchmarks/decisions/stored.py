"""Digits of what the fold stores: NIST's values as outcomes of predictions, in chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import uvloop

from benchmarks.database import migrated, now
from benchmarks.decisions.numerics import NUMACC, Accuracy
from benchmarks.result import note
from benchmarks.service import scratch
from turnout import db
from turnout.observations import folding, queries
from turnout.observations.commands import ensure_partitions, record, record_predictions
from turnout.observations.domain.prediction import Prediction, uuid7
from turnout.observations.wire import OutcomeLine, Submission
from turnout.stats.baseline import Baseline

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from turnout.stats.totals import UnitTotals

CHUNKS = (7, 100, 1_001)
METRIC = "value"
ARM = 1
"""The version and the split of every prediction."""


def accuracy() -> Accuracy:
    """The worst relative errors, with either form of the fold's statements."""
    with scratch() as directory:
        return uvloop.run(_accuracy(directory))


async def _accuracy(directory: Path) -> Accuracy:
    means, deviations, models = [], [], count(1)
    async with migrated(directory) as database:
        async with db.transaction(database.sessions) as session:
            await ensure_partitions(session, now=now())
            forms = {False, await folding.returns_old(session)}
        for values, mean, deviation in NUMACC.values():
            for size, old_and_new in ((size, form) for size in CHUNKS for form in forms):
                model_id = next(models)
                for at in range(0, len(values), size):
                    async with db.transaction(database.sessions) as session:
                        await _record(session, model_id, values[at : at + size])
                        await _fold(session, old_and_new=old_and_new)
                async with db.transaction(database.sessions) as session:
                    totals = await _stored(session, model_id)
                planned = Baseline.of(totals, proportion=False)
                assert planned is not None
                means.append(abs(planned.value / mean - 1))
                deviations.append(abs(math.sqrt(planned.variance) / deviation - 1))
    note(f"NIST's values folded in chunks of {', '.join(map(str, CHUNKS))}")
    return Accuracy(mean=max(means), deviation=max(deviations))


async def _record(session: AsyncSession, model_id: int, values: Sequence[float]) -> None:
    at = now()
    answers = [
        Prediction(prediction_id=uuid7(at), version_id=ARM, split_id=ARM, unit=None, at=at)
        for _ in values
    ]
    outcomes = [
        OutcomeLine(prediction_id=answer.prediction_id, metric=METRIC, value=value)
        for answer, value in zip(answers, values, strict=True)
    ]
    await record_predictions(session, model_id, answers, now=at)
    said = Submission(batch_id=None, predictions=(), outcomes=outcomes)
    await record(session, model_id, said, atomic=True, retention=timedelta(days=1), now=at)


async def _fold(session: AsyncSession, *, old_and_new: bool) -> None:
    model_id = await folding.lock_longest_waiting(session)
    assert model_id is not None
    due = await folding.take_batches(session, model_id, limit=10_000, now=now())
    assert due is not None
    await folding.fold_batches(session, due, old_and_new=old_and_new)


async def _stored(session: AsyncSession, model_id: int) -> UnitTotals:
    found = await queries.evidence(session, [(model_id, ARM)])
    return found[ARM][ARM].metrics[METRIC]
