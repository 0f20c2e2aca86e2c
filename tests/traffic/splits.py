"""What tests of the traffic do to splits and versions."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, PERSON
from turnout.registry import commands as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionRef
from turnout.traffic import commands
from turnout.traffic.domain.split import Owner, OwnerKind, Split, Spread, Variant

ROLLOUT = Owner(kind=OwnerKind.ROLLOUT, id="r1")
OTHER_ROLLOUT = Owner(kind=OwnerKind.ROLLOUT, id="r2")


async def set_split(
    session: AsyncSession,
    *shares: tuple[VersionRef, int],
    owner: Owner = PERSON,
    now: datetime = NOON,
) -> Split:
    return await commands.set_split(
        session,
        shares[0][0].model_id,
        owner=owner,
        strategy=Spread.STICKY,
        variants=[
            Variant(name=found.version, version_id=found.id, version=found.version, weight=weight)
            for found, weight in shares
        ],
        actor="ada",
        now=now,
        reason="because",
    )


async def reject(session: AsyncSession, found: VersionRef) -> None:
    await registry.transition(
        session, found.id, Lifecycle.REJECTED, actor="ada", now=NOON, reason=None
    )
