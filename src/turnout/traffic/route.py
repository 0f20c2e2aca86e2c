"""One model's route: who may change it now, which versions it holds, and who is told."""

from collections.abc import Collection
from typing import Final, Literal

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.traffic.tables import RoutedVersion

CHANNEL: Final = "turnout_split"
"""Where a commit tells the gateways the id of the model whose route changed."""

LOCK: Final = 0x7472
"""Keeps these advisory locks apart from other uses of them in the same database."""


async def lock(session: AsyncSession, model_id: int) -> None:
    """Let one transaction at a time change a model's traffic, also while it has no row yet."""
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, model_id)))


async def tell_gateways(session: AsyncSession, model_id: int) -> None:
    await session.execute(select(func.pg_notify(CHANNEL, str(model_id))))


async def hold_versions(
    session: AsyncSession,
    model_id: int,
    origin: Literal["split", "override"],
    version_ids: Collection[int],
) -> None:
    """Keep these versions from being deleted, and let go of those held before."""
    await session.execute(
        delete(RoutedVersion).where(
            RoutedVersion.model_id == model_id, RoutedVersion.origin == origin
        )
    )
    held = [{"model_id": model_id, "origin": origin, "version_id": found} for found in version_ids]
    if held:
        await session.execute(insert(RoutedVersion), held)
