from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.access.tables import AuditEntry


def audit(
    session: AsyncSession,
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Note a change in the caller's transaction: both are committed, or neither.

    `action` is the event's name (`version.registered`), `subject` the thing's path
    (`models/fraud-detection/versions/2.0.0`); `before` and `after` hold JSON values only.
    """
    session.add(
        AuditEntry(
            at=now,
            actor=actor,
            action=action,
            subject=subject,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
            reason=reason,
            request_id=telemetry.request_id.get(),
        )
    )
