import secrets
from datetime import datetime
from typing import Final

from pydantic_core import to_jsonable_python
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.access.domain.credentials import ID_BYTES, SECRET_BYTES, KeyText, digest, key_text
from turnout.access.domain.keys import KeyNameTaken, KeyNotFound, NewKey
from turnout.access.tables import ApiKey

CHANNEL: Final = "turnout_keys"


async def create_key(
    session: AsyncSession, wanted: NewKey, *, actor: str, now: datetime
) -> tuple[ApiKey, KeyText]:
    """Make a key. Its text is answered here and nowhere else, for only its digest is kept."""
    made = key_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
    expires_at = None if wanted.expires_in is None else now + wanted.expires_in
    found = await session.execute(
        insert(ApiKey)
        .values(
            id=made.id,
            name=wanted.name,
            role=wanted.role,
            models=wanted.models,
            digest=digest(made.secret),
            rate_limit=wanted.rate_limit,
            created_at=now,
            created_by=actor,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
        .returning(ApiKey)
    )
    row = found.scalar_one_or_none()
    if row is None:
        raise KeyNameTaken(wanted.name)
    audit(
        session,
        actor=actor,
        action="api_key.created",
        subject=f"api-keys/{made.id}",
        after={
            "name": wanted.name,
            "role": wanted.role,
            "models": None if wanted.models is None else [*wanted.models],
            "expires_at": None if expires_at is None else expires_at.isoformat(),
            "rate_limit": to_jsonable_python(wanted.rate_limit),
        },
        reason=wanted.reason,
        now=now,
    )
    await _tell_replicas(session)
    return row, made


async def revoke_key(
    session: AsyncSession, key_id: str, *, actor: str, now: datetime, reason: str | None
) -> ApiKey:
    """Refuse a key from now on; one that is revoked already stays as it is."""
    query = select(ApiKey).where(ApiKey.id == key_id).with_for_update()
    row = await session.scalar(query)
    if row is None:
        raise KeyNotFound(key_id)
    if row.revoked_at is None:
        row.revoked_at, row.revoked_by = now, actor
        audit(
            session,
            actor=actor,
            action="api_key.revoked",
            subject=f"api-keys/{key_id}",
            before={"name": row.name, "role": row.role},
            reason=reason,
            now=now,
        )
        await _tell_replicas(session)
    return row


async def _tell_replicas(session: AsyncSession) -> None:
    await session.execute(select(func.pg_notify(CHANNEL, "")))
