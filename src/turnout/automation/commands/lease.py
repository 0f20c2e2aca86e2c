"""A worker's hold on an update while it works without a transaction: short, and renewed for as
long as it works, so that what a dead worker held is soon free."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy import update as change
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.automation.domain.update import UpdateState
from turnout.automation.tables import Update
from turnout.db import LOST_CONNECTION, Sessions, transaction

LEASE: Final = timedelta(seconds=15)
RENEWED_EVERY: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An update to be taken a step further; void once its fence has been raised again."""

    update_id: UUID
    fence: int
    state: UpdateState


def take(update: Update) -> Claim:
    """Keep a locked update from other workers; by the database's clock, which none of them sets."""
    update.lease_until = func.now() + LEASE
    return Claim(update_id=update.id, fence=update.fence, state=update.state)


def free() -> ColumnElement[bool]:
    return or_(Update.lease_until.is_(None), Update.lease_until <= func.now())


async def held(sessions: Sessions, claim: Claim, work: Coroutine[Any, Any, None]) -> None:
    """Do the work under a lease that is renewed, and leave off once the update is another's: a
    person has cancelled it, or a worker has taken it up while the database was out of reach."""
    working = asyncio.ensure_future(work)
    keeping = asyncio.create_task(_keep(sessions, claim))
    try:
        await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        keeping.cancel()
        await asyncio.gather(working, keeping, return_exceptions=True)
    for task in (working, keeping):
        if not task.cancelled():
            task.result()


async def _keep(sessions: Sessions, claim: Claim) -> None:
    """Renew the lease until it is lost."""
    while True:
        await asyncio.sleep(RENEWED_EVERY.total_seconds())
        try:
            async with transaction(sessions) as session:
                if not await _renewed(session, claim):
                    return
        except (SQLAlchemyError, *LOST_CONNECTION) as error:
            # If it stays away for longer than the lease, another worker may be the one to go on.
            update_id = str(claim.update_id)
            telemetry.log.warning("lease not renewed", update=update_id, error=repr(error))


async def _renewed(session: AsyncSession, claim: Claim) -> bool:
    """False once the fence is another one. A row that is locked is being written to: the next beat
    sees by whom."""
    row = select(Update.fence).where(Update.id == claim.update_id)
    fence = await session.scalar(row.with_for_update(skip_locked=True))
    if fence == claim.fence:
        longer = change(Update).where(Update.id == claim.update_id)
        await session.execute(longer.values(lease_until=func.now() + LEASE))
    return fence in {None, claim.fence}
