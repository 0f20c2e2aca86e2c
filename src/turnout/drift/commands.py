"""Baselines are set by people, or taken from what a version did."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.db import Sessions, transaction
from turnout.drift.domain.baseline import Baseline, Origin, Taken
from turnout.drift.domain.observed import observed, thinned
from turnout.drift.tables import BaselinePart, BaselineRow
from turnout.observations.features import follow_features
from turnout.observations.recent import Recent, recent
from turnout.observations.samples import Walk, begin, further
from turnout.quantities import Clock
from turnout.registry import queries as registry
from turnout.registry.domain.version import VersionRef
from turnout.registry.locks import locked_version

WORKER: Final = "worker"
LOOKS_BACK: Final = timedelta(days=7)


async def set_baseline(
    session: AsyncSession,
    version: VersionRef,
    baseline: Baseline,
    *,
    origin: Origin,
    actor: str,
    now: datetime,
    reason: str | None,
) -> BaselineRow:
    """Hold a version against this from now on; what was counted on former bins is forgotten."""
    row, before = await _row(session, version, actor=actor, now=now)
    row.baseline, row.origin, row.awaited = baseline, origin, None
    await _begin_anew(session, row)
    await _settle(session, version, row, before, actor=actor, now=now, reason=reason)
    return row


async def take_baseline(
    session: AsyncSession,
    version: VersionRef,
    wish: Taken,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> BaselineRow:
    """Hold a version against its own traffic, once there is as much of it as is asked for."""
    row, before = await _row(session, version, actor=actor, now=now)
    row.baseline, row.origin, row.awaited = None, Origin.TRAFFIC, wish.predictions
    await _begin_anew(session, row)
    await _collect(session, version, row, now=now)
    await _settle(session, version, row, before, actor=actor, now=now, reason=reason)
    return row


async def collect(sessions: Sessions, *, clock: Clock) -> None:
    """Take a look for each baseline that is awaited, and make those for which enough has come in.
    What fails for one is raised after the others have had their turn."""
    async with transaction(sessions) as session:
        query = select(BaselineRow.version_id).where(BaselineRow.awaited.is_not(None))
        awaited = (await session.scalars(query.order_by(BaselineRow.version_id))).all()
    failures: list[Exception] = []
    for version_id in awaited:
        try:
            async with transaction(sessions) as session:
                await _collect_awaited(session, version_id, now=clock())
        except Exception as error:  # noqa: BLE001  (raised below: the others come first)
            failures.append(error)
    if failures:
        raise ExceptionGroup("baselines that could not be taken", failures)


async def _collect_awaited(session: AsyncSession, version_id: int, *, now: datetime) -> None:
    query = select(BaselineRow).where(
        BaselineRow.version_id == version_id, BaselineRow.awaited.is_not(None)
    )
    row = await session.scalar(query.with_for_update(skip_locked=True))
    version = (await registry.versions_by_id(session, [version_id])).get(version_id)
    if row is None or version is None:
        return
    before = _noted(row)
    await _collect(session, version, row, now=now)
    if row.baseline is not None:
        await _settle(session, version, row, before, actor=WORKER, now=now, reason=None)


async def _row(
    session: AsyncSession, version: VersionRef, *, actor: str, now: datetime
) -> tuple[BaselineRow, Mapping[str, Any] | None]:
    """The row to write to, and what is noted of how it was."""
    await locked_version(session, version.id)
    row = await session.get(BaselineRow, version.id, populate_existing=True)
    before = _noted(row) if row else None
    if row is None:
        row = BaselineRow(version_id=version.id, model_id=version.model_id)
        session.add(row)
    row.set_at, row.set_by = now, actor
    return row, before


async def _settle(
    session: AsyncSession,
    version: VersionRef,
    row: BaselineRow,
    before: Mapping[str, Any] | None,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    cuts = row.baseline.cuts if row.baseline else []
    await follow_features(session, version.model_id, version.id, cuts)
    audit(
        session,
        actor=actor,
        action="baseline.set",
        subject=f"models/{version.model}/versions/{version.version}/baseline",
        before=before,
        after=_noted(row),
        reason=reason,
        now=now,
    )
    await session.flush()


def _noted(row: BaselineRow) -> Mapping[str, Any]:
    names = sorted(row.baseline.features) if row.baseline else []
    return {"origin": row.origin, "features": names, "awaited": row.awaited}


async def _begin_anew(session: AsyncSession, row: BaselineRow) -> None:
    row.collected, row.since, row.position = 0, None, None
    await session.flush()
    await _forget_parts(session, row)


async def _forget_parts(session: AsyncSession, row: BaselineRow) -> None:
    await session.execute(delete(BaselinePart).where(BaselinePart.version_id == row.version_id))


async def _collect(
    session: AsyncSession, version: VersionRef, row: BaselineRow, *, now: datetime
) -> None:
    """Take one look, which costs the same however small the version's share of the traffic is; the
    next one goes on from there."""
    assert row.awaited is not None
    walk = await _walk(session, version, row, now=now)
    lacking = row.awaited - row.collected
    row.position, seen = await further(session, walk, n=lacking)
    if seen:
        kept = tuple(
            replace(one, features=thinned(one.features, place, predictions=row.awaited))
            for place, one in enumerate(seen, start=row.collected)
        )
        session.add(BaselinePart(version_id=version.id, first=row.collected, seen=kept))
        row.collected += len(seen)
    if row.collected < row.awaited:
        return
    await session.flush()
    row.baseline = await _made(session, version, walk.since, now=now)
    row.awaited = None
    await _forget_parts(session, row)


async def _walk(
    session: AsyncSession, version: VersionRef, row: BaselineRow, *, now: datetime
) -> Walk:
    if row.since is None or row.position is None:
        assert row.awaited is not None
        walk = await begin(
            session,
            version.model_id,
            version.id,
            n=row.awaited,
            earliest=now - LOOKS_BACK,
            now=now,
        )
        row.since = walk.since
        return walk
    return Walk(
        model_id=version.model_id, version_id=version.id, since=row.since, position=row.position
    )


async def _made(
    session: AsyncSession, version: VersionRef, since: datetime, *, now: datetime
) -> Baseline:
    query = select(BaselinePart.seen).where(BaselinePart.version_id == version.id)
    parts = (await session.scalars(query.order_by(BaselinePart.first))).all()
    seen = [one for part in parts for one in part]
    window = Recent(
        model_id=version.model_id,
        version_id=version.id,
        since=since,
        until=now + timedelta(minutes=1),
        sketched=True,
    )
    [figures] = await recent(session, [window])
    return await asyncio.to_thread(
        observed, [one.features for one in seen], [one.label for one in seen], figures
    )
