from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.audit_queries import entry
from turnout.access.domain.chain import FIRST, seal
from turnout.access.tables import AuditEntry

BATCH = 1000
_SEALING = text("SELECT pg_advisory_xact_lock(hashtext('turnout.audit.seal'))")


async def seal_entries(session: AsyncSession) -> int:
    """Give committed entries their place in the chain, in order of ids; says how many.

    One seals at a time, and commits before the next begins, so the chain has one end. Whoever
    writes an entry waits for none of this: what is still uncommitted is sealed later, and behind.
    Call it in a transaction of its own.
    """
    unsealed = select(AuditEntry).where(AuditEntry.position.is_(None))
    if await session.scalar(unsealed.with_only_columns(AuditEntry.id).limit(1)) is None:
        return 0
    await session.execute(_SEALING)
    # Statements of their own, so that they see what was sealed while this waited for the lock.
    last = (
        await session.execute(
            select(AuditEntry.position, AuditEntry.hash)
            .where(AuditEntry.position.is_not(None))
            .order_by(AuditEntry.position.desc())
            .limit(1)
        )
    ).one_or_none()
    position, before = (last.position or 0, last.hash or FIRST) if last else (0, FIRST)
    sealed = []
    for row in await session.scalars(unsealed.order_by(AuditEntry.id).limit(BATCH)):
        position += 1
        before = seal(entry(row), position, before)
        sealed.append({"id": row.id, "position": position, "hash": before})
    if sealed:
        await session.execute(update(AuditEntry), sealed)
    return len(sealed)
