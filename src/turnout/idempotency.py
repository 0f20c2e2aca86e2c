"""`Idempotency-Key`: a POST sent again is answered again, not done again.

The key is claimed in the transaction of the request, and the answer kept in it, so both are there
exactly when the change is. Two requests with one key at the same time queue on its unique index.
An answer that holds a secret (`Cache-Control: no-store`) is not kept: the key then still stops a
second execution.

What takes its time before its transaction looks first whether it was answered already.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from turnout.db import Base
from turnout.errors import Conflict, Unprocessable

HEADER: Final = "Idempotency-Key"
KEPT: Final = timedelta(hours=24)


class IdempotencyKey(Base):
    __tablename__ = "idempotency_key"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    claimed_at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int | None]
    answer: Mapped[bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who gave which key to which request."""

    actor: str
    key: str
    fingerprint: str

    def __post_init__(self) -> None:
        if not (0 < len(self.key) <= 255 and self.key.isascii() and self.key.isprintable()):
            raise MalformedKey


class Replay(Exception):
    """The request was carried out before; this is what it was answered."""

    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.answer = answer


class MalformedKey(Unprocessable):
    def __init__(self) -> None:
        super().__init__(
            f"{HEADER} must be 1 to 255 printable ASCII characters, such as a UUID",
            field=f"header.{HEADER}",
        )


class KeyReused(Unprocessable):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"{HEADER} {key!r} was used for another request: give each request its own key",
            field=f"header.{HEADER}",
        )


class AnswerLost(Conflict):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"the request with {HEADER} {key!r} was carried out, but its answer was not kept:"
            " read the resource to see the result"
        )


def fingerprint(method: str, path: str, body: bytes) -> str:
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


async def take(session: AsyncSession, claim: Claim, *, now: datetime) -> None:
    """Take the key for this request, or raise `Replay` or a refusal when it is taken."""
    row = IdempotencyKey.__table__.c
    taken = await session.execute(
        insert(IdempotencyKey)
        .values(actor=claim.actor, key=claim.key, fingerprint=claim.fingerprint, claimed_at=now)
        .on_conflict_do_nothing()
        .returning(row.key)
    )
    if not taken.first():
        await check_untaken(session, claim)


async def check_untaken(session: AsyncSession, claim: Claim) -> None:
    """Raise `Replay` or a refusal when the key is taken."""
    row = IdempotencyKey.__table__.c
    taken = (
        await session.execute(
            select(row.fingerprint, row.status, row.answer).where(
                row.actor == claim.actor, row.key == claim.key
            )
        )
    ).one_or_none()
    if taken is None:
        return
    if taken.fingerprint != claim.fingerprint:
        raise KeyReused(claim.key)
    if taken.status is None or taken.answer is None:
        raise AnswerLost(claim.key)
    raise Replay(taken.status, taken.answer)


async def keep_answer(session: AsyncSession, claim: Claim, *, status: int, answer: bytes) -> None:
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.actor == claim.actor, IdempotencyKey.key == claim.key)
        .values(status=status, answer=answer)
    )


async def forget(session: AsyncSession, *, now: datetime) -> None:
    """Drop keys that no retry will come back for."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.claimed_at < now - KEPT))
