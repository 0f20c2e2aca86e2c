"""Models with all their versions and aliases as one document, and how it goes together with what
is here."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le

from turnout.errors import Conflict, Unprocessable
from turnout.quantities import STRICT, Moment, Text
from turnout.registry.domain.alias import AliasName
from turnout.registry.domain.fields import ModelName, VersionName
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import Artifact, Runtime, Sha256
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.signature import Signature
from turnout.registry.domain.version import ModelDetails, VersionDetails

FORMAT: Final = "turnout-registry"
FORMAT_VERSION: Final = 1
MOST_CONFLICTS: Final = 100


class Damaged(Unprocessable):
    """The document cannot be read, or contradicts itself."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(
            f"nothing was imported; {first['field']}: {first['reason']}{more}",
            errors=list(errors[:MOST_CONFLICTS]),
        )


class ImportConflicts(Conflict):
    def __init__(self, conflicts: "Sequence[Clash]") -> None:
        first = conflicts[0]
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        super().__init__(
            f"nothing was imported; {first.subject}: {first.reason}{more}",
            conflicts=[
                {"subject": clash.subject, "reason": clash.reason}
                for clash in conflicts[:MOST_CONFLICTS]
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveEntry:
    __pydantic_config__ = STRICT

    from_stage: Lifecycle
    to_stage: Lifecycle
    at: Moment
    actor: Text
    reason: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry(VersionDetails):
    """A version in full. `file_sha256` is the uploaded file, which travels apart. Its `number` is
    another one where that is taken: no contradiction."""

    __pydantic_config__ = STRICT

    version: VersionName
    number: Annotated[int, Ge(1), Le(10**9)] | None = field(default=None, compare=False)
    stage: Lifecycle
    parent_version: VersionName | None
    signature: Signature | None
    artifact: Artifact | None
    runtime: Runtime
    file_sha256: Sha256 | None
    created_at: Moment
    created_by: Text
    updated_at: Moment
    history: tuple[MoveEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntry:
    __pydantic_config__ = STRICT

    from_version: VersionName | None
    to_version: VersionName | None
    at: Moment
    actor: Text
    reason: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEntry:
    """An alias and where it led; one that was deleted has its history only."""

    __pydantic_config__ = STRICT

    alias: AliasName
    version: VersionName | None
    moved_at: Moment | None
    moved_by: Text | None
    history: tuple[StepEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry(ModelDetails):
    __pydantic_config__ = STRICT

    name: ModelName
    created_at: Moment
    created_by: Text
    updated_at: Moment
    last_number: Annotated[int, Ge(0), Le(10**9)] = field(default=0, compare=False)
    versions: tuple[VersionEntry, ...]
    aliases: tuple[AliasEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryDocument:
    """Models, versions and aliases with their histories; no rules, which belong to an installation.

    Files are named by their SHA-256 and are copied apart.
    """

    __pydantic_config__ = STRICT

    format: Literal["turnout-registry"]
    format_version: Literal[1]
    models: tuple[ModelEntry, ...]


@dataclass(frozen=True, slots=True)
class Clash:
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What a model of the document adds to what is here."""

    model: ModelEntry
    new: bool
    versions: tuple[VersionEntry, ...]
    aliases: tuple[AliasEntry, ...]

    @property
    def nothing(self) -> bool:
        return not (self.new or self.versions or self.aliases)


def contradictions(document: RegistryDocument) -> Iterator[Mapping[str, str]]:
    """Say where a document that reads well cannot be true."""
    for name in _twice(model.name for model in document.models):
        yield {"field": "body.models", "reason": f"{name} is listed twice"}
    for place, model in enumerate(document.models):
        field = f"body.models[{place}]"
        yield from ({"field": field, "reason": reason} for reason in _impossible(model))


def _impossible(model: ModelEntry) -> Iterator[str]:
    known = {version.version: version for version in model.versions}
    yield from (
        f"version {name} is listed twice" for name in _twice(v.version for v in model.versions)
    )
    yield from (f"alias {name} is listed twice" for name in _twice(a.alias for a in model.aliases))
    if sum(version.stage is Lifecycle.PRODUCTION for version in model.versions) > 1:
        yield "more than one version is in production"
    for version in model.versions:
        if version.history and version.history[-1].to_stage is not version.stage:
            yield f"version {version.version} is in {version.stage}, but its history ends elsewhere"
    for alias in model.aliases:
        if alias.version is not None and alias.version not in known:
            yield f"alias {alias.alias} leads to {alias.version}, which is not listed"
        if (alias.version is None) != (alias.moved_at is None) or (alias.version is None) != (
            alias.moved_by is None
        ):
            yield f"alias {alias.alias} needs version, moved_at and moved_by, or none of them"
    for moment in _moments(model):
        if moment.tzinfo is None:
            yield f"{moment.isoformat()} is a time without a zone"


def _moments(model: ModelEntry) -> Iterator[datetime]:
    yield from (model.created_at, model.updated_at)
    for version in model.versions:
        yield from (version.created_at, version.updated_at)
        yield from (move.at for move in version.history)
    for alias in model.aliases:
        yield from (alias.moved_at,) if alias.moved_at else ()
        yield from (step.at for step in alias.history)


def additions(model: ModelEntry, here: ModelEntry | None) -> tuple[Additions, list[Clash]]:
    """What of a model is new, and what contradicts what is here.

    What is the same is left alone, so that importing again changes nothing.
    """
    if here is None:
        added = Additions(model=model, new=True, versions=model.versions, aliases=model.aliases)
        return added, []
    path = f"models/{model.name}"
    clashes = list(_differing(path, _bare(here), _bare(model)))
    versions = {version.version: version for version in here.versions}
    aliases = {alias.alias: alias for alias in here.aliases}
    for version in model.versions:
        if version.version in versions:
            at = f"{path}/versions/{version.version}"
            clashes += _differing(at, versions[version.version], version)
    for alias in model.aliases:
        if alias.alias in aliases:
            clashes += _differing(f"{path}/aliases/{alias.alias}", aliases[alias.alias], alias)
    new = tuple(version for version in model.versions if version.version not in versions)
    clashes += _second_in_production(path, here, new)
    added = Additions(
        model=model,
        new=False,
        versions=new,
        aliases=tuple(alias for alias in model.aliases if alias.alias not in aliases),
    )
    return added, clashes


def numbered(
    versions: Sequence[VersionEntry], *, taken: Collection[int], last: int
) -> tuple[list[int], int]:
    """The numbers that versions get where others have theirs, and the last one given: each keeps
    its own unless that is taken."""
    given = set(taken)
    kept: list[int | None] = []
    for version in versions:
        own = None if version.number in given else version.number
        kept.append(own)
        if own is not None:
            given.add(own)
    last = max((last, *given))
    counting = itertools.count(last + 1)
    numbers = [next(counting) if number is None else number for number in kept]
    return numbers, max((last, *numbers))


def in_order(model: ModelEntry) -> ModelEntry:
    """The one order in which a model is written, whoever registered what first."""
    return replace(
        model,
        versions=tuple(
            sorted(model.versions, key=lambda v: (SemVer.parse(v.version).precedence, v.version))
        ),
        aliases=tuple(sorted(model.aliases, key=lambda alias: alias.alias)),
    )


def _bare(model: ModelEntry) -> ModelEntry:
    return replace(model, versions=(), aliases=())


def _differing(subject: str, here: Any, sent: Any) -> Iterator[Clash]:
    names = [
        part.name
        for part in fields(here)
        if part.compare and getattr(here, part.name) != getattr(sent, part.name)
    ]
    if names:
        yield Clash(subject, f"{', '.join(names)} differ from what is here")


def _second_in_production(
    path: str, here: ModelEntry, new: Sequence[VersionEntry]
) -> Iterator[Clash]:
    current = [v.version for v in here.versions if v.stage is Lifecycle.PRODUCTION]
    for version in new:
        if current and version.stage is Lifecycle.PRODUCTION:
            yield Clash(
                f"{path}/versions/{version.version}",
                f"is in production, but here {current[0]} is, and there can be only one",
            )


def _twice(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
