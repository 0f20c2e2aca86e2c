"""The audit log is sent on to a system outside, where nobody who runs this one can change it."""

import json
from datetime import timedelta
from typing import Final

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.access.audit_queries import sealed_after
from turnout.access.tables import AuditForwarding
from turnout.outgoing import CallFailed, Calls

BATCH: Final = 500
DEADLINE: Final = timedelta(seconds=10)
ANSWER_BYTES: Final = 10_000


async def forward(session: AsyncSession, calls: Calls, url: str) -> int:
    """Post the next sealed entries as NDJSON, and say how many arrived.

    At least once, in order of positions: a batch counts as sent once it was answered with 2xx, and
    is sent again otherwise. Each entry has its hash, so the last one received is a head of the
    chain: a log that ends before it was cut off.
    """
    cursor = await session.scalar(select(AuditForwarding).with_for_update(skip_locked=True))
    if cursor is None:
        return 0
    entries = await sealed_after(session, cursor.position, limit=BATCH)
    if not entries:
        return 0
    lines = [json.dumps(to_jsonable_python(one)) for one in entries]
    try:
        answer = await calls.send(
            "POST",
            url,
            body="".join(f"{line}\n" for line in lines).encode(),
            headers={"Content-Type": "application/x-ndjson"},
            deadline=DEADLINE,
            limit=ANSWER_BYTES,
        )
    except CallFailed as failure:
        telemetry.log.warning("audit log not forwarded", reason=failure.detail)
        return 0
    if not 200 <= answer.status < 300:
        telemetry.log.warning("audit log not forwarded", status=answer.status)
        return 0
    sent = await session.get_one(AuditForwarding, 1)
    sent.position = entries[-1].position or sent.position
    return len(entries)
