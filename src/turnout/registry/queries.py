from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Row, Select, select, tuple_, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.registry.domain.alias import MARK, AliasNotFound, read_alias
from turnout.registry.domain.fields import MODEL_NAME
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import (
    ModelNotFound,
    ModelRef,
    VersionDetails,
    VersionNotFound,
    VersionRecord,
    VersionRef,
    read_version,
)
from turnout.registry.tables import Alias, AliasMove, LifecycleTransition, Model, Version

_MODEL_REF = select(Model.id, Model.name)
_VERSION_REF = select(
    Version.id,
    Version.model_id,
    Model.name.label("model"),
    Version.version,
    Version.stage,
    Version.runtime,
    Version.artifact,
    Version.signature,
    Version.file_sha256,
).join_from(Version, Model)


async def model(session: AsyncSession, name: str) -> ModelRef:
    # A name that cannot exist is not looked up: PostgreSQL refuses some texts, such as NUL.
    if not MODEL_NAME.fullmatch(name):
        raise ModelNotFound(name)
    found = await session.execute(_MODEL_REF.where(Model.name == name))
    row = found.mappings().one_or_none()
    if row is None:
        raise ModelNotFound(name)
    return ModelRef(**row)


async def model_row(session: AsyncSession, name: str) -> Model:
    found = await model(session, name)
    return (await session.scalars(select(Model).where(Model.id == found.id))).one()


async def models_by_id(session: AsyncSession, ids: Collection[int]) -> dict[int, ModelRef]:
    rows = await session.execute(_MODEL_REF.where(among(Model.id, ids)))
    return {row["id"]: ModelRef(**row) for row in rows.mappings()}


async def version(session: AsyncSession, model_id: int, text: str) -> VersionRef:
    """Find a version by its text, in any accepted spelling, or by `@` and an alias."""
    if text.startswith(MARK):
        return await aliased_version(session, model_id, text.removeprefix(MARK))
    name = str(read_version(text))
    found = await session.execute(
        _VERSION_REF.where(Version.model_id == model_id, Version.version == name)
    )
    row = found.mappings().one_or_none()
    if row is None:
        models = await models_by_id(session, [model_id])
        raise VersionNotFound(models[model_id].name, name)
    return VersionRef(**row)


async def aliased_version(session: AsyncSession, model_id: int, alias: str) -> VersionRef:
    name = read_alias(alias)
    query = _VERSION_REF.join(Alias, Alias.version_id == Version.id)
    found = await session.execute(query.where(Alias.model_id == model_id, Alias.name == name))
    row = found.mappings().one_or_none()
    if row is None:
        models = await models_by_id(session, [model_id])
        raise AliasNotFound(models[model_id].name, name)
    return VersionRef(**row)


async def version_row(session: AsyncSession, version_id: int) -> Version:
    return (await session.scalars(select(Version).where(Version.id == version_id))).one()


async def versions_by_id(session: AsyncSession, ids: Collection[int]) -> dict[int, VersionRef]:
    rows = await session.execute(_VERSION_REF.where(among(Version.id, ids)))
    return {row["id"]: VersionRef(**row) for row in rows.mappings()}


async def rejected(session: AsyncSession, ids: Collection[int]) -> frozenset[int]:
    """Which of these versions are rejected."""
    if not ids:
        return frozenset()
    query = select(Version.id).where(among(Version.id, ids), Version.stage == Lifecycle.REJECTED)
    return frozenset(await session.scalars(query))


async def details(session: AsyncSession, version_ids: Collection[int]) -> dict[int, VersionDetails]:
    """What is said about these versions, by their ids."""
    query = select(Version.id, Version.details).where(among(Version.id, version_ids))
    return {row.id: row.details for row in await session.execute(query)}


async def records(session: AsyncSession, ids: Collection[int]) -> dict[int, VersionRecord]:
    """All that is known of versions, by id."""
    query = select(Version, Model.name).join(Model).where(among(Version.id, ids))
    rows = await session.execute(query.execution_options(populate_existing=True))
    return {row.id: record_of(row, name) for row, name in rows}


def record_of(row: Version, model: str) -> VersionRecord:
    return VersionRecord(
        **{part.name: getattr(row.details, part.name) for part in fields(VersionDetails)},
        id=row.id,
        model_id=row.model_id,
        model=model,
        version=row.version,
        stage=row.stage,
        parent_version=row.parent_version,
        signature=row.signature,
        artifact=row.artifact,
        file_sha256=row.file_sha256,
        runtime=row.runtime,
        created_at=row.created_at,
        created_by=row.created_by,
    )


async def owner(session: AsyncSession, model_id: int) -> str | None:
    """Who owns a model, as it says itself."""
    row = await session.get(Model, model_id)
    return row.details.owner if row else None


async def named_model_ids(session: AsyncSession, names: Collection[str]) -> dict[str, int]:
    """Look up models by their names; those that do not exist are left out."""
    rows = await session.execute(select(Model.name, Model.id).where(among(Model.name, names)))
    return {row.name: row.id for row in rows}


async def version_names(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int, tuple[int, str]]:
    """The model and the canonical text of every version of these models, by its id."""
    query = select(Version.id, Version.model_id, Version.version)
    rows = await session.execute(query.where(among(Version.model_id, model_ids)))
    return {version_id: (model_id, version) for version_id, model_id, version in rows}


async def version_ids(
    session: AsyncSession, model_id: int, names: Collection[str]
) -> dict[str, int]:
    """Look up versions by their canonical text; those that do not exist are left out."""
    rows = await session.execute(
        select(Version.version, Version.id).where(
            Version.model_id == model_id, among(Version.version, names)
        )
    )
    return {row.version: row.id for row in rows}


async def current_version(session: AsyncSession, model_id: int) -> VersionRef | None:
    """The version in production."""
    found = await session.execute(
        _VERSION_REF.where(Version.model_id == model_id, Version.stage == Lifecycle.PRODUCTION)
    )
    row = found.mappings().one_or_none()
    return None if row is None else VersionRef(**row)


async def newest_version(session: AsyncSession, model_id: int) -> SemVer | None:
    """The registered version of the highest precedence, whatever its stage."""
    text = await session.scalar(
        select(Version.version).where(Version.model_id == model_id).order_by(*_NEWEST_FIRST)
    )
    return None if text is None else SemVer.parse(text)


_NEWEST_FIRST = (Version.precedence.desc(), Version.id.desc())


async def latest_release(session: AsyncSession, model_id: int) -> VersionRef | None:
    """The version of the highest precedence that is no prerelease and may still serve."""
    found = await session.execute(
        _VERSION_REF.where(
            Version.model_id == model_id,
            Version.stage.not_in([Lifecycle.REJECTED, Lifecycle.ARCHIVED]),
            Version.version.regexp_match("^[^+-]*(\\+|$)"),
        )
        .order_by(*_NEWEST_FIRST)
        .limit(1)
    )
    row = found.mappings().one_or_none()
    return None if row is None else VersionRef(**row)


async def versions_naming(
    session: AsyncSession, key: str, values: Collection[str]
) -> Sequence[tuple[str, int, int]]:
    """Versions whose free metadata has one of these texts under a key: the text, the ids of the
    model and of the version, in the order of their registration."""
    named = type_coerce(Version.details, JSONB)["metadata"][key].as_string()
    query = select(named, Version.model_id, Version.id).where(among(named, values))
    return [tuple(row) for row in await session.execute(query.order_by(Version.id))]


async def trained_on(session: AsyncSession, model_id: int, dataset_version: str) -> Sequence[int]:
    """The versions of a model that name this version of the data, the oldest first."""
    named = type_coerce(Version.details, JSONB)["dataset_version"].as_string()
    query = select(Version.id).where(Version.model_id == model_id, named == dataset_version)
    return (await session.scalars(query.order_by(Version.id))).all()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRange:
    metric: str
    least: float | None = None
    most: float | None = None


async def models(
    session: AsyncSession,
    *,
    names: Collection[str] | None = None,
    limit: int,
    after: str | None,
) -> Sequence[Model]:
    """Models by name, behind the name `after`; None names all of them."""
    query = select(Model).order_by(Model.name).limit(limit)
    if names is not None:
        query = query.where(among(Model.name, names))
    if after is not None:
        query = query.where(Model.name > after)
    return (await session.scalars(query)).all()


async def model_ids(session: AsyncSession, names: Collection[str] | None = None) -> Sequence[int]:
    """The ids of all models, or of those that are named."""
    query = select(Model.id)
    if names is not None:
        query = query.where(among(Model.name, names))
    return (await session.scalars(query)).all()


async def versions(
    session: AsyncSession,
    model_id: int,
    *,
    stage: Lifecycle | None = None,
    tags: Sequence[str] = (),
    ranges: Sequence[MetricRange] = (),
    limit: int,
    after: tuple[str, int] | None = None,
) -> Sequence[Version]:
    """Versions of one model that meet every condition, newest precedence first.

    `after` is the (precedence, id) of the last one that is known. A version without a metric is
    in no range of it.
    """
    query = select(Version).where(Version.model_id == model_id)
    if stage is not None:
        query = query.where(Version.stage == stage)
    if tags:
        query = query.where(Version.indexed_tags.contains(list(tags)))
    for condition in ranges:
        query = _within(query, condition)
    if after is not None:
        query = query.where(tuple_(Version.precedence, Version.id) < after)
    return (await session.scalars(query.order_by(*_NEWEST_FIRST).limit(limit))).all()


def _within(query: Select[Version], condition: MetricRange) -> Select[Version]:
    value = type_coerce(Version.details, JSONB)["metrics"][condition.metric].as_float()
    if condition.least is not None:
        query = query.where(value >= condition.least)
    if condition.most is not None:
        query = query.where(value <= condition.most)
    return query


async def history(session: AsyncSession, version_id: int) -> Sequence[LifecycleTransition]:
    """The version's moves between stages, oldest first."""
    query = (
        select(LifecycleTransition)
        .where(LifecycleTransition.version_id == version_id)
        .order_by(LifecycleTransition.id)
    )
    return (await session.scalars(query)).all()


async def aliases(
    session: AsyncSession, model_id: int, *, limit: int, after: str | None
) -> Sequence[Row[Alias, str]]:
    """The aliases of a model by name, behind the name `after`, each with its version's text."""
    query = select(Alias, Version.version).join_from(Alias, Version)
    query = query.where(Alias.model_id == model_id).order_by(Alias.name).limit(limit)
    if after is not None:
        query = query.where(Alias.name > after)
    return (await session.execute(query)).all()


async def alias_moves(
    session: AsyncSession, model_id: int, alias: str, *, limit: int, after: int | None
) -> Sequence[AliasMove]:
    """Where an alias led, newest first, before the move with the id `after`."""
    query = select(AliasMove).where(AliasMove.model_id == model_id, AliasMove.alias == alias)
    if after is not None:
        query = query.where(AliasMove.id < after)
    return (await session.scalars(query.order_by(AliasMove.id.desc()).limit(limit))).all()
