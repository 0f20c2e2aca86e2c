"""All that happens to one model's versions and aliases waits for the model's row, and for an import
that is under way."""

from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.errors import NotFound
from turnout.registry.tables import Model, Version

IMPORT: Final = 0x696D706F
"""Keeps imports apart from all else that changes the registry, and from nothing else: whatever
refers to a model looks at its row, so a lock on the table would hold up every rollback."""


async def whole_registry(session: AsyncSession) -> None:
    """Let nobody else change any model, version or alias until this transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(IMPORT)))


async def beside_others(session: AsyncSession) -> None:
    """Wait for an import, and let none begin; comes before the lock of any model's row."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(IMPORT)))


async def shared_model(session: AsyncSession, name: str) -> Model | None:
    """Find a model and keep it from being deleted until this transaction ends."""
    await beside_others(session)
    query = select(Model).where(Model.name == name)
    return await session.scalar(query.with_for_update(read=True, key_share=True))


async def locked_model(session: AsyncSession, model_id: int) -> Model:
    await beside_others(session)
    query = select(Model).where(Model.id == model_id).with_for_update(key_share=True)
    model = await session.scalar(query.execution_options(populate_existing=True))
    if model is None:
        raise NotFound("the model has been deleted meanwhile")
    return model


async def locked_version(session: AsyncSession, version_id: int) -> tuple[Model, Version]:
    model_id = await session.scalar(select(Version.model_id).where(Version.id == version_id))
    if model_id is None:
        raise NotFound("the version has been deleted meanwhile")
    model = await locked_model(session, model_id)
    version = await session.get(Version, version_id, populate_existing=True)
    if version is None:
        raise NotFound("the version has been deleted meanwhile")
    return model, version


async def next_number(session: AsyncSession, model_id: int) -> int:
    """Number a version that is being registered; others of the model wait for this one."""
    counting = update(Model).where(Model.id == model_id).values(last_number=Model.last_number + 1)
    return (await session.execute(counting.returning(Model.last_number))).scalar_one()
