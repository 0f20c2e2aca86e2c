"""Raw predictions of one version, as rows of a training set would be: found by going through those
of its model in the order in which they came, so many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

MOST_LOOKED_AT: Final = 200_000
"""Predictions of the model, in one walk. What an index on the version would save here would be paid
by every prediction that is written."""

MOST_WALKS: Final = 5

EARLY: Final = timedelta(minutes=5)
"""A prediction may say that it was made so long after it came."""

_SINCE: Final = text(
    """
    SELECT min(minute) AS since
    FROM (
        SELECT minute, sum(n - errors) OVER (
            ORDER BY minute DESC, split_id DESC ROWS UNBOUNDED PRECEDING
        ) - (n - errors) AS newer
        FROM minute_window
        WHERE model_id = :model_id AND version_id = :version_id AND NOT shadow
            AND minute >= :earliest
    ) AS summed
    WHERE newer < :n
    """
)
_BEFORE: Final = text(
    """
    SELECT coalesce(
        (
            SELECT seq - 1 FROM batch
            WHERE model_id = :model_id AND received_at >= :since
            ORDER BY received_at LIMIT 1
        ),
        (SELECT max(seq) FROM batch WHERE model_id = :model_id),
        0
    )
    """
)
# No further than what is folded, so that the totals know of all that was seen.
_NEXT: Final = text(
    """
    SELECT max(batch_seq)
    FROM (
        SELECT batch_seq FROM prediction
        WHERE model_id = :model_id AND batch_seq > :after AND batch_seq < coalesce(
            (SELECT min(seq) FROM batch WHERE model_id = :model_id AND folded_at IS NULL),
            9223372036854775807
        )
        ORDER BY batch_seq LIMIT :most
    ) AS next
    """
)
_SEEN: Final = text(
    """
    SELECT features, label FROM prediction
    WHERE model_id = :model_id AND batch_seq > :after AND batch_seq <= :up_to
        AND version_id = :version_id AND shadow_version = 0 AND error IS NULL AND at >= :since
    ORDER BY batch_seq
    LIMIT :n
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one prediction was made of, as far as it was told, and what it said."""

    features: Mapping[str, int | float | str | bool | None]
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a version has answered since `since`; it has come to the batch `position`."""

    model_id: int
    version_id: int
    since: datetime
    position: int


async def begin(
    session: AsyncSession,
    model_id: int,
    version_id: int,
    *,
    n: int,
    earliest: datetime,
    now: datetime,
) -> Walk:
    """Before the latest `n` answers since `earliest`; before all of them, if they are fewer; before
    those to come, if there are none."""
    asked = {"model_id": model_id, "version_id": version_id, "n": n, "earliest": earliest}
    since = await session.scalar(_SINCE, asked) or now.replace(second=0, microsecond=0)
    before = await session.scalar(_BEFORE, {"model_id": model_id, "since": since - EARLY})
    return Walk(model_id=model_id, version_id=version_id, since=since, position=before)


async def sampled(
    session: AsyncSession,
    model_id: int,
    version_id: int,
    *,
    n: int,
    earliest: datetime,
    now: datetime,
) -> Sequence[Seen]:
    """The latest `n` answers since `earliest`, or as many of them as a million predictions of the
    model have."""
    walk = await begin(session, model_id, version_id, n=n, earliest=earliest, now=now)
    found: list[Seen] = []
    for _ in range(MOST_WALKS):
        position, seen = await further(session, walk, n=n - len(found))
        found += seen
        if position == walk.position or len(found) == n:
            break
        walk = replace(walk, position=position)
    return found


async def further(session: AsyncSession, walk: Walk, *, n: int) -> tuple[int, Sequence[Seen]]:
    """The next answers, at most `n`, among the next 200,000 predictions of the model (and what else
    is in the batch of the last), and the position up to which these are."""
    after = {"model_id": walk.model_id, "after": walk.position}
    up_to = await session.scalar(_NEXT, {**after, "most": MOST_LOOKED_AT})
    if up_to is None:
        return walk.position, ()
    asked = {**after, "up_to": up_to, "version_id": walk.version_id, "since": walk.since, "n": n}
    rows = await session.execute(_SEEN.columns(features=JSONB), asked)
    return up_to, [Seen(features=row.features or {}, label=row.label) for row in rows]
