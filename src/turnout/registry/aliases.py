"""What sets, moves and deletes an alias; each with its step in the alias's history."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.registry import queries
from turnout.registry.domain.alias import Aim, AliasNotFound, check_expected
from turnout.registry.domain.version import VersionRef
from turnout.registry.locks import locked_model
from turnout.registry.tables import Alias, AliasMove, Model


async def point(
    session: AsyncSession, model_id: int, name: str, aim: Aim, *, actor: str, now: datetime
) -> tuple[Alias, VersionRef]:
    """Let an alias lead to a version, atomically; one that leads there already stays as it is."""
    model = await locked_model(session, model_id)
    version = await queries.version(session, model_id, aim.version)
    alias, before = await _found(session, model_id, name)
    check_expected(name, expected=aim.expected, found=before)
    if alias is None:
        alias = Alias(model_id=model_id, name=name)
        session.add(alias)
    elif before == version.version:
        return alias, version
    alias.version_id, alias.moved_at, alias.moved_by = version.id, now, actor
    _note(session, model, name, before, version.version, actor=actor, now=now, reason=aim.reason)
    await session.flush()
    return alias, version


async def drop(
    session: AsyncSession,
    model_id: int,
    name: str,
    *,
    expected: str | None,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    model = await locked_model(session, model_id)
    alias, before = await _found(session, model_id, name)
    if alias is None:
        raise AliasNotFound(model.name, name)
    check_expected(name, expected=expected, found=before)
    await session.delete(alias)
    _note(session, model, name, before, None, actor=actor, now=now, reason=reason)


async def _found(
    session: AsyncSession, model_id: int, name: str
) -> tuple[Alias | None, str | None]:
    alias = await session.get(Alias, (model_id, name), populate_existing=True)
    if alias is None:
        return None, None
    versions = await queries.versions_by_id(session, [alias.version_id])
    return alias, versions[alias.version_id].version


def _note(
    session: AsyncSession,
    model: Model,
    name: str,
    before: str | None,
    after: str | None,
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    session.add(
        AliasMove(
            model_id=model.id,
            alias=name,
            from_version=before,
            to_version=after,
            at=now,
            actor=actor,
            reason=reason,
        )
    )
    audit(
        session,
        actor=actor,
        action="alias.moved" if after else "alias.deleted",
        subject=f"models/{model.name}/aliases/{name}",
        before={"version": before} if before else None,
        after={"version": after} if after else None,
        reason=reason,
        now=now,
    )
