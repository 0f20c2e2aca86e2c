"""The audit log, one row for every change, written in the transaction of the change; and the keys
of those who may make changes.

Triggers refuse to change or delete an entry; only position and hash may be added, once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Enum, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from turnout.access.domain.keys import RateLimit
from turnout.callers import Role
from turnout.db import Base, Json


class AuditEntry(Base):
    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "subject", "id"),
        Index(None, "actor", "id"),
        Index(None, "at"),
        Index("ix_audit_entry_unsealed", "id", postgresql_where=text("position IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    reason: Mapped[str | None]
    request_id: Mapped[str | None]
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    hash: Mapped[str | None] = mapped_column(String(64))


class AuditForwarding(Base):
    """One row: up to which position the outside system has the log."""

    __tablename__ = "audit_forwarding"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)


class ApiKey(Base):
    """Rows are only ever made and, once, revoked: so two counts tell whether anything changed."""

    __tablename__ = "api_key"
    __table_args__ = (
        Index("uq_api_key_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(
        Enum(
            Role,
            name="role",
            native_enum=False,
            length=20,
            create_constraint=True,
            values_callable=lambda roles: [role.value for role in roles],
        )
    )
    models: Mapped[tuple[str, ...] | None] = mapped_column(Json(tuple[str, ...]))
    digest: Mapped[bytes]
    rate_limit: Mapped[RateLimit | None] = mapped_column(Json(RateLimit))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]
