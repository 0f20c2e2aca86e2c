"""Models and versions as a list that is searched: also by number, tag and source, and across
models."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    case,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.db import among
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.search import Comparison, Condition, Of, Order
from turnout.registry.domain.version import ModelDetails, ModelRef, VersionRecord
from turnout.registry.queries import record_of
from turnout.registry.tables import Alias, Model, Version

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    record: VersionRecord
    number: int
    aliases: tuple[str, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """`updated_at` is when the model or one of its versions was last changed, `aliases` lead to
    numbers, and `latest` is the last one registered of those in each stage."""

    ref: ModelRef
    details: ModelDetails
    created_at: datetime
    created_by: str
    updated_at: datetime
    aliases: Mapping[str, int]
    latest: tuple[ListedVersion, ...]


_CHANGED: Final = (
    select(func.max(Version.updated_at))
    .where(Version.model_id == Model.id)
    .correlate(Model)
    .scalar_subquery()
)
_MODEL_UPDATED: Final = func.greatest(Model.updated_at, _CHANGED)
_SOURCE: Final = type_coerce(Version.artifact, JSONB)["uri"].as_string()
_RUN: Final = type_coerce(Version.details, JSONB)["run_id"].as_string()
_OF_MODELS: Final[Mapping[Of, Any]] = {
    Of.NAME: Model.name,
    Of.CREATED: Model.created_at,
    Of.UPDATED: _MODEL_UPDATED,
}
_OF_VERSIONS: Final[Mapping[Of, Any]] = {
    Of.NAME: Model.name,
    Of.VERSION: Version.version,
    Of.NUMBER: Version.number,
    Of.RUN: _RUN,
    Of.SOURCE: _SOURCE,
    Of.CREATED: Version.created_at,
    Of.UPDATED: Version.updated_at,
}


async def models(
    session: AsyncSession,
    conditions: Sequence[Condition],
    *,
    order: Sequence[Order],
    names: Collection[str] | None,
    limit: int,
    offset: int = 0,
) -> list[ListedModel]:
    """Models that meet every condition; None names all of them."""
    query = select(Model, _MODEL_UPDATED)
    query = _narrowed(
        query, conditions, order, names=names, columns=_OF_MODELS, details=Model.details
    )
    rows = (await session.execute(query.limit(limit).offset(offset))).all()
    ids = [row.id for row, _ in rows]
    aliases = await _aliases(session, ids)
    latest = await latest_versions(session, ids)
    return [
        ListedModel(
            ref=ModelRef(id=row.id, name=row.name),
            details=row.details,
            created_at=row.created_at,
            created_by=row.created_by,
            updated_at=updated_at,
            aliases=aliases.get(row.id, {}),
            latest=tuple(latest.get(row.id, ())),
        )
        for row, updated_at in rows
    ]


async def model(session: AsyncSession, ref: ModelRef) -> ListedModel:
    named = Condition(of=Of.NAME, comparison=Comparison.IS, value=ref.name)
    (found,) = await models(session, [named], order=(), names=None, limit=1)
    return found


async def versions(
    session: AsyncSession,
    conditions: Sequence[Condition],
    *,
    order: Sequence[Order],
    names: Collection[str] | None,
    limit: int,
    offset: int = 0,
) -> list[ListedVersion]:
    """Versions of all models that meet every condition; None names all models."""
    query = _narrowed(
        _listed(), conditions, order, names=names, columns=_OF_VERSIONS, details=Version.details
    )
    return await _versions(session, query.limit(limit).offset(offset))


async def version(session: AsyncSession, version_id: int) -> ListedVersion:
    (found,) = await _versions(session, _listed().where(Version.id == version_id))
    return found


async def latest_versions(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int, list[ListedVersion]]:
    """Of each model and stage the version that was registered last, by the id of the model."""
    stages = func.unnest(literal([*Lifecycle], ARRAY(Text))).table_valued("stage").render_derived()
    last = (
        select(Version.id)
        .where(Version.model_id == Model.id, Version.stage == type_coerce(stages.c.stage, Text))
        .order_by(Version.number.desc())
        .limit(1)
        .correlate(Model, stages)
        .lateral("last")
    )
    ids = select(last.c.id).select_from(Model).join(stages, true()).join(last, true())
    query = _listed().where(Version.id.in_(ids.where(among(Model.id, model_ids))))
    found: dict[int, list[ListedVersion]] = {}
    for listed in await _versions(session, query.order_by(Version.number)):
        found.setdefault(listed.record.model_id, []).append(listed)
    return found


async def version_number(session: AsyncSession, model_id: int, number: int) -> int | None:
    """The id of the version with this number."""
    query = select(Version.id).where(Version.model_id == model_id, Version.number == number)
    found: int | None = await session.scalar(query)
    return found


async def version_ids(
    session: AsyncSession, model_id: int, *, stage: Lifecycle | None = None
) -> list[int]:
    query = select(Version.id).where(Version.model_id == model_id)
    if stage is not None:
        query = query.where(Version.stage == stage)
    return [*await session.scalars(query.order_by(Version.id))]


async def version_names(session: AsyncSession, model_id: int) -> list[str]:
    """Every version of a model, by its text."""
    return [*await session.scalars(select(Version.version).where(Version.model_id == model_id))]


def _listed() -> Select[Version, str]:
    return select(Version, Model.name).join(Model)


async def _versions(session: AsyncSession, query: Select[Version, str]) -> list[ListedVersion]:
    rows = await session.execute(query.execution_options(populate_existing=True))
    return [
        ListedVersion(
            record=record_of(row, name),
            number=row.number,
            aliases=tuple(row.aliases),
            updated_at=row.updated_at,
        )
        for row, name in rows
    ]


async def _aliases(session: AsyncSession, model_ids: Collection[int]) -> dict[int, dict[str, int]]:
    query = select(Alias.model_id, Alias.name, Version.number).join_from(Alias, Version)
    query = query.where(among(Alias.model_id, model_ids)).order_by(Alias.name)
    found: dict[int, dict[str, int]] = {}
    for model_id, name, number in await session.execute(query):
        found.setdefault(model_id, {})[name] = number
    return found


def _narrowed(
    query: Query,
    conditions: Sequence[Condition],
    order: Sequence[Order],
    *,
    names: Collection[str] | None,
    columns: Mapping[Of, Any],
    details: Any,
) -> Query:
    if names is not None:
        query = query.where(among(Model.name, names))
    for condition in conditions:
        tag = condition.of is Of.TAG
        column = _tag(details, condition.tag) if tag else columns[condition.of]
        met = _COMPARED[condition.comparison](column, condition.value)
        query = query.where(or_(column.is_(None), met) if condition.or_absent else met)
    for place in order:
        column = columns[place.of]
        query = query.order_by(column.desc() if place.descending else column.asc())
    return query


def _tag(details: Any, name: str) -> ColumnElement[str]:
    document = type_coerce(details, JSONB)
    as_such = case((document["tags"].has_key(name), ""))
    return func.coalesce(document["metadata"][name].as_string(), as_such)


def _literally(pattern: str) -> str:
    """Where % and _ stand for others, and nothing else has a meaning."""
    return pattern.replace("\\", "\\\\")


_COMPARED: Final[Mapping[Comparison, Callable[[Any, Any], ColumnElement[bool]]]] = {
    Comparison.IS: operator.eq,
    Comparison.IS_NOT: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.MORE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.AMONG: lambda column, values: column.in_(values),
    Comparison.NOT_AMONG: lambda column, values: column.not_in(values),
    Comparison.LIKE: lambda column, pattern: column.like(_literally(pattern)),
    Comparison.ILIKE: lambda column, pattern: column.ilike(_literally(pattern)),
}
