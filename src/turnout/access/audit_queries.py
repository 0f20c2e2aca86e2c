"""The audit log: lists of it, the whole of it, and whether it is still what was sealed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.domain.chain import Chain, Entry, Head, Verification
from turnout.access.tables import AuditEntry
from turnout.db import Sessions

CHUNK: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which entries are meant: those that match everything that is given."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.actor is not None:
            found.append(AuditEntry.actor == self.actor)
        if self.action is not None:
            found.append(AuditEntry.action == self.action)
        if self.subject is not None:
            found.append(AuditEntry.subject.startswith(self.subject, autoescape=True))
        if self.model is not None:
            path = f"models/{self.model}"
            within = AuditEntry.subject.startswith(f"{path}/", autoescape=True)
            found.append(or_(AuditEntry.subject == path, within))
        if self.since is not None:
            found.append(AuditEntry.at >= self.since)
        if self.until is not None:
            found.append(AuditEntry.at < self.until)
        return found


def entry(row: AuditEntry) -> Entry:
    return Entry(
        id=row.id,
        position=row.position,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        reason=row.reason,
        request_id=row.request_id,
        hash=row.hash,
    )


async def entries(
    session: AsyncSession, sought: Sought, *, limit: int, before: int | None
) -> Sequence[Entry]:
    """Newest first, written before number `before`."""
    query = select(AuditEntry).where(*sought.conditions())
    if before is not None:
        query = query.where(AuditEntry.id < before)
    rows = await session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit))
    return [entry(row) for row in rows]


async def sealed_after(session: AsyncSession, position: int | None, *, limit: int) -> list[Entry]:
    """In order of positions; without one, from wherever they begin."""
    here = AuditEntry.position
    query = select(AuditEntry).where(here.is_not(None) if position is None else here > position)
    rows = await session.scalars(query.order_by(AuditEntry.position).limit(limit))
    found = [entry(row) for row in rows]
    session.expunge_all()  # or a long chain would stay in memory
    return found


async def every_entry(sessions: Sessions, sought: Sought) -> AsyncIterator[Entry]:
    """All of them, oldest first, a thousand at a time in memory; no connection is held between
    them, for whoever reads may be slow."""
    last = 0
    while True:
        query = select(AuditEntry).where(*sought.conditions(), AuditEntry.id > last)
        async with sessions() as session:
            rows = (await session.scalars(query.order_by(AuditEntry.id).limit(CHUNK))).all()
        for row in rows:
            yield entry(row)
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


async def verification(session: AsyncSession, known: Head | None = None) -> Verification:
    """Follow the whole chain, a thousand entries at a time in memory."""
    chain, seen, broken = Chain(known), 0, None
    # Not from position 1: what somebody has put before it is part of the log that others read.
    position: int | None = None
    while broken is None:
        found = await sealed_after(session, position, limit=CHUNK)
        for one in found:
            broken = broken or chain.follow(one)
        if len(found) < CHUNK:
            broken = broken or chain.end()
            seen += len(found)
            break
        seen += len(found)
        position = found[-1].position
    unsealed = select(func.count()).where(AuditEntry.position.is_(None))
    return Verification(
        intact=broken is None,
        sealed=seen,
        unsealed=(await session.execute(unsealed)).scalar_one(),
        head=chain.head if chain.head.position else None,
        broken=broken,
    )
