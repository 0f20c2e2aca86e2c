"""Models with their versions and aliases, out of one database and into another."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.registry import queries
from turnout.registry.domain.document import (
    FORMAT,
    FORMAT_VERSION,
    Additions,
    AliasEntry,
    Clash,
    ModelEntry,
    MoveEntry,
    RegistryDocument,
    StepEntry,
    VersionEntry,
    additions,
    in_order,
    numbered,
)
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import ModelDetails, VersionDetails
from turnout.registry.locks import whole_registry
from turnout.registry.tables import Alias, AliasMove, LifecycleTransition, Model, Version

Entry = TypeVar("Entry", ModelEntry, VersionEntry, AliasEntry, MoveEntry, StepEntry)
Details = TypeVar("Details", ModelDetails, VersionDetails)

PAGE: Final = 100
_MODELS: Final = TypeAdapter(ModelEntry)


async def exported(session: AsyncSession) -> AsyncIterator[bytes]:
    """Write the document piece by piece, but for its end: never more than one model is in memory.

    The same registry is always written in the same bytes: nothing in them tells when, or from
    which database.
    """
    yield f'{{"format":"{FORMAT}","format_version":{FORMAT_VERSION},"models":['.encode()
    after: str | None = None
    while page := await queries.models(session, limit=PAGE, after=after):
        for row in page:
            entry = await _entry(session, row)
            yield (b",\n" if after is not None else b"\n") + _MODELS.dump_json(entry)
            after = row.name
            session.expunge_all()
    yield b"\n]"


async def compared(
    session: AsyncSession, document: RegistryDocument
) -> tuple[list[Additions], list[Clash]]:
    """What a document adds to what is here, and where it contradicts it; until the transaction is
    over, this stays so."""
    await whole_registry(session)
    planned: list[Additions] = []
    clashes: list[Clash] = []
    for entry in document.models:
        row = await session.scalar(select(Model).where(Model.name == entry.name))
        here = None if row is None else await _entry(session, row)
        added, found = additions(in_order(entry), here)
        planned.append(added)
        clashes += found
    return planned, clashes


async def add(
    session: AsyncSession,
    planned: Iterable[Additions],
    *,
    actor: str,
    now: datetime,
    reason: str | None,
) -> None:
    for added in planned:
        if not added.nothing:
            await _add(session, added, actor=actor, now=now, reason=reason)


async def _entry(session: AsyncSession, row: Model) -> ModelEntry:
    versions = (
        await session.scalars(
            select(Version)
            .where(Version.model_id == row.id)
            .order_by(Version.precedence, Version.version)
        )
    ).all()
    ids = [version.id for version in versions]
    moves = await _grouped(session, LifecycleTransition, LifecycleTransition.version_id.in_(ids))
    entries = tuple(
        _filled(
            VersionEntry,
            version.details,
            version,
            history=tuple(_filled(MoveEntry, move) for move in moves.get(version.id, ())),
        )
        for version in versions
    )
    names = {version.id: version.version for version in versions}
    aliases = tuple([entry async for entry in _aliases(session, row.id, names)])
    return _filled(ModelEntry, row.details, row, versions=entries, aliases=aliases)


async def _grouped(
    session: AsyncSession, kind: type[LifecycleTransition], condition: Any
) -> dict[int, list[LifecycleTransition]]:
    found: dict[int, list[LifecycleTransition]] = {}
    for move in await session.scalars(select(kind).where(condition).order_by(kind.id)):
        found.setdefault(move.version_id, []).append(move)
    return found


async def _aliases(
    session: AsyncSession, model_id: int, versions: dict[int, str]
) -> AsyncIterator[AliasEntry]:
    steps: dict[str, list[StepEntry]] = {}
    moves = select(AliasMove).where(AliasMove.model_id == model_id).order_by(AliasMove.id)
    for move in await session.scalars(moves):
        steps.setdefault(move.alias, []).append(_filled(StepEntry, move))
    found = await session.scalars(select(Alias).where(Alias.model_id == model_id))
    now = {alias.name: alias for alias in found}
    for name in sorted(steps.keys() | now.keys()):
        alias = now.get(name)
        yield AliasEntry(
            alias=name,
            version=versions[alias.version_id] if alias else None,
            moved_at=alias.moved_at if alias else None,
            moved_by=alias.moved_by if alias else None,
            history=tuple(steps.get(name, ())),
        )


async def _add(
    session: AsyncSession, added: Additions, *, actor: str, now: datetime, reason: str | None
) -> None:
    entry = added.model
    if added.new:
        session.add(
            Model(
                name=entry.name,
                details=_details(ModelDetails, entry),
                created_at=entry.created_at,
                created_by=entry.created_by,
                updated_at=entry.updated_at,
            )
        )
        await session.flush()
    model = (await session.scalars(select(Model).where(Model.name == entry.name))).one()
    await _add_versions(session, model, added)
    await _add_aliases(session, model.id, added.aliases)
    audit(
        session,
        actor=actor,
        action="model.imported",
        subject=f"models/{entry.name}",
        after={
            "versions": [version.version for version in added.versions],
            "aliases": [alias.alias for alias in added.aliases],
        },
        reason=reason,
        now=now,
    )


async def _add_versions(session: AsyncSession, model: Model, added: Additions) -> None:
    versions = added.versions
    taken = await session.scalars(select(Version.number).where(Version.model_id == model.id))
    last = max(model.last_number, added.model.last_number if added.new else 0)
    numbers, model.last_number = numbered(versions, taken=taken.all(), last=last)
    rows = [
        Version(
            model_id=model.id,
            number=number,
            precedence=SemVer.parse(entry.version).precedence,
            details=_details(VersionDetails, entry),
            **_of(
                entry,
                "version stage parent_version signature artifact runtime file_sha256"
                " created_at created_by updated_at",
            ),
        )
        for entry, number in zip(versions, numbers, strict=True)
    ]
    session.add_all(rows)
    await session.flush()
    moves = [
        {"version_id": row.id, **_of(move, "from_stage to_stage at actor reason")}
        for row, entry in zip(rows, versions, strict=True)
        for move in entry.history
    ]
    if moves:
        await session.execute(insert(LifecycleTransition), moves)


async def _add_aliases(session: AsyncSession, model_id: int, aliases: Iterable[AliasEntry]) -> None:
    present = [alias for alias in aliases if alias.version is not None]
    ids = await queries.version_ids(session, model_id, [str(alias.version) for alias in present])
    for alias in present:
        session.add(
            Alias(
                model_id=model_id,
                name=alias.alias,
                version_id=ids[str(alias.version)],
                **_of(alias, "moved_at moved_by"),
            )
        )
    await session.flush()
    steps = [
        {
            "model_id": model_id,
            "alias": alias.alias,
            **_of(step, "from_version to_version at actor reason"),
        }
        for alias in aliases
        for step in alias.history
    ]
    if steps:
        await session.execute(insert(AliasMove), steps)


def _of(entry: object, names: str) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names.split()}


def _details(kind: type[Details], entry: Details) -> Details:
    return kind(**{part.name: getattr(entry, part.name) for part in fields(kind)})


def _filled(kind: type[Entry], *sources: object, **known: Any) -> Entry:
    """Fill an entry with what is known, and else with what the first source says that has it."""
    values = {
        part.name: next(getattr(one, part.name) for one in sources if hasattr(one, part.name))
        for part in fields(kind)
        if part.name not in known
    }
    return kind(**values, **known)
