"""The fold: raw rows of one model into totals per unit, arm and minute.

An arm's sums of squares are kept without ever reading its units again: the upsert into the units'
totals yields each touched unit's value before and after, and the arm gets the differences. The
work is proportional to the rows that arrived, and whoever reads an arm reads one row.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.observations import fold_sql, outcome_sql, pair_sql, segment_sql
from turnout.observations.domain.span import CLOCK_SKEW
from turnout.observations.feature_fold import fold_features

FOLD_LOCK: Final = 0x666F6C64

_LOCK_MODEL: Final = text(fold_sql.LOCK_MODEL)
_TAKE_BATCHES: Final = text(fold_sql.TAKE_BATCHES)
_LOCK_RIPE: Final = text(outcome_sql.LOCK_RIPE)
_MATCH_WAITING: Final = text(outcome_sql.MATCH_WAITING)


class FoldFailed(Exception):
    """One model's rows cannot be folded now; those of the others can."""

    def __init__(self, model_id: int) -> None:
        super().__init__(f"the rows of model {model_id} cannot be folded")
        self.model_id = model_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Batches taken to be folded now; their predictions lie between the two days."""

    model_id: int
    seqs: list[int]
    first_day: date
    last_day: date
    predictions: int
    outcomes: int
    waiting: bool
    """Whether any outcome of the model waits for what it speaks of."""
    featured: bool
    """Whether features of the model are counted."""

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "model_id": self.model_id,
            "seqs": self.seqs,
            "first_day": self.first_day,
            "last_day": self.last_day,
        }


async def lock_longest_waiting(
    session: AsyncSession, *, passing_over: Collection[int] = ()
) -> int | None:
    """Become the one folder of the model whose rows wait longest, of those that have none."""
    parameters = {"lock": FOLD_LOCK, "passing_over": list(passing_over)}
    model_id: int | None = await session.scalar(_LOCK_MODEL, parameters)
    return model_id


async def take_batches(
    session: AsyncSession, model_id: int, *, limit: int, now: datetime
) -> Due | None:
    parameters = {"model_id": model_id, "limit": limit, "now": now}
    row = (await session.execute(_TAKE_BATCHES, parameters)).mappings().one_or_none()
    return None if row is None else Due(model_id=model_id, **row)


async def fold_batches(session: AsyncSession, due: Due, *, old_and_new: bool) -> None:
    """Fold what was taken; `old_and_new` is what `returns_old` says, or False on any server."""
    if due.predictions:
        further = await _fold_predictions(session, due, old_and_new=old_and_new)
        for build, splits in further.items():
            if splits:
                statement = _statement(build, old_and_new=old_and_new)
                await session.execute(statement, due.parameters | {"splits": splits})
    if due.predictions and due.featured:
        await fold_features(session, due.model_id, due.parameters)
    matched = await _match_waiting(session, due) if due.waiting else 0
    if due.outcomes or matched:
        statement = _statement(outcome_sql.fold_outcomes, old_and_new=old_and_new)
        await session.execute(statement, {"model_id": due.model_id, "seqs": due.seqs})


async def _fold_predictions(
    session: AsyncSession, due: Due, *, old_and_new: bool
) -> dict[Callable[..., str], list[int]]:
    """Fold predictions; what else is to be folded of them, and in which of their splits."""
    statement = _statement(fold_sql.fold_predictions, old_and_new=old_and_new)
    splits = (await session.execute(statement, due.parameters)).all()
    return {
        pair_sql.fold_pairs: [split.split_id for split in splits if split.shadowed],
        segment_sql.fold_segments: [split.split_id for split in splits if split.segmented],
    }


async def _match_waiting(session: AsyncSession, due: Due) -> int:
    """Join waiting outcomes with what arrived, as rows of the first batch; the number joined."""
    joined = await session.execute(
        _MATCH_WAITING,
        due.parameters | {"seq": due.seqs[0], "skew": CLOCK_SKEW},
    )
    return joined.rowcount  # type: ignore[attr-defined, no-any-return]


async def lock_ripe(
    session: AsyncSession, *, now: datetime, passing_over: Collection[int] = ()
) -> int | None:
    """Become the one folder of a model of which outcomes have become old enough, if any."""
    parameters = {"lock": FOLD_LOCK, "now": now, "passing_over": list(passing_over)}
    model_id: int | None = await session.scalar(_LOCK_RIPE, parameters)
    return model_id


async def fold_ripe(
    session: AsyncSession, model_id: int, *, limit: int, now: datetime, old_and_new: bool
) -> int:
    """Fold outcomes that have become old enough by now; their number."""
    folded: int | None = await session.scalar(
        _statement(outcome_sql.fold_ripe, old_and_new=old_and_new),
        {"model_id": model_id, "now": now, "limit": limit},
    )
    return folded or 0


@cache
def _statement(build: Callable[..., str], *, old_and_new: bool) -> TextClause:
    return text(build(old_and_new=old_and_new))


async def returns_old(session: AsyncSession) -> bool:
    """Whether `RETURNING` tells old values: since PostgreSQL 18."""
    version = (await session.connection()).dialect.server_version_info
    return version is not None and version >= (18,)
