from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.domain.keys import Key
from turnout.access.tables import ApiKey


async def keys(session: AsyncSession) -> list[Key]:
    """Every key there ever was: a revoked one is known, so that it can be said to be revoked."""
    columns = (getattr(ApiKey, name) for name in Key.__dataclass_fields__)
    rows = await session.execute(select(*columns))
    return [Key(**row) for row in rows.mappings()]


async def state(session: AsyncSession) -> tuple[int, int]:
    """Two counts that differ whenever `keys` does."""
    found = await session.execute(select(func.count(), func.count(ApiKey.revoked_at)))
    count, revoked = found.one()
    return count, revoked


async def key_rows(
    session: AsyncSession, *, limit: int, after: tuple[datetime, str] | None
) -> Sequence[ApiKey]:
    """Keys, newest first, behind the (created_at, id) of the last one that is known."""
    query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) < after)
    return (await session.scalars(query)).all()


async def note_uses(session: AsyncSession, uses: Mapping[str, datetime]) -> None:
    """Each in a statement of its own: replicas that note the same keys cannot deadlock."""
    for key_id, at in uses.items():
        await session.execute(
            update(ApiKey)
            .where(
                ApiKey.id == key_id,
                or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < at),
            )
            .values(last_used_at=at)
        )
