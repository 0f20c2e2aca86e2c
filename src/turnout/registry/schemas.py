"""What the registry answers, and edits as JSON merge patches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Body, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import to_jsonable_python

from turnout.registry import examples
from turnout.registry.domain.fields import Document, Summary
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import Artifact, Runtime
from turnout.registry.domain.signature import Signature
from turnout.registry.domain.version import ModelDetails, VersionDetails
from turnout.registry.tables import Alias, AliasMove, LifecycleTransition, Model, Version

View = TypeVar(
    "View", "ModelView", "VersionView", "Move", "VersionWithHistory", "AliasView", "AliasStep"
)
Details = TypeVar("Details", ModelDetails, VersionDetails)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView(ModelDetails):
    id: int
    name: str
    created_at: datetime
    created_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView(VersionDetails):
    id: int
    model: str
    version: str
    stage: Lifecycle
    aliases: Sequence[str]
    parent_version: str | None
    signature: Signature | None
    artifact: Artifact | None
    uploaded: bool
    runtime: Runtime
    created_at: datetime
    created_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A step in a version's life."""

    from_stage: Lifecycle
    to_stage: Lifecycle
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWithHistory(VersionView):
    history: Sequence[Move]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    alias: str
    version: str
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasStep:
    """A move of an alias; without a version before it was set, and after it was deleted."""

    from_version: str | None
    to_version: str | None
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextVersions:
    major: str
    minor: str
    patch: str
    prerelease: str


def model_view(row: Model) -> ModelView:
    return _filled(ModelView, row.details, row)


def version_view(model: str, row: Version) -> VersionView:
    uploaded = row.file_sha256 is not None
    return _filled(VersionView, row.details, row, model=model, uploaded=uploaded)


def version_with_history(
    model: str, row: Version, history: Sequence[LifecycleTransition]
) -> VersionWithHistory:
    moves = [_filled(Move, step) for step in history]
    return _filled(VersionWithHistory, version_view(model, row), history=moves)


def alias_view(row: Alias, version: str) -> AliasView:
    return _filled(AliasView, row, alias=row.name, version=version)


def alias_step(row: AliasMove) -> AliasStep:
    return _filled(AliasStep, row)


def _filled(kind: type[View], *sources: object, **known: Any) -> View:
    """Fill a view with what is known, and else with what the first source says that has it."""
    values = {
        part.name: next(getattr(one, part.name) for one in sources if hasattr(one, part.name))
        for part in fields(kind)
        if part.name not in known
    }
    return kind(**values, **known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch(Generic[Details]):
    """An RFC 7396 merge patch: `null` resets a field, objects are merged, lists replaced."""

    kind: type[Details]
    changes: Mapping[str, Any]
    reason: str | None

    def __call__(self, details: Details) -> Details:
        merged = merge(to_jsonable_python(details), self.changes)
        edited: Details = _validated(self.kind, merged, at=("body",))
        return edited


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _validated(kind: Any, value: Any, *, at: tuple[str, ...]) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise RequestValidationError(
            [{**found, "loc": (*at, *found["loc"])} for found in error.errors()]
        ) from None


def _patch(kind: type[Details], body: Mapping[str, Any]) -> Patch[Details]:
    changes = dict(body)
    reason = _validated(Summary | None, changes.pop("reason", None), at=("body", "reason"))
    return Patch(kind=kind, changes=changes, reason=reason)


def _patch_schema(kind: type[Details]) -> WithJsonSchema:
    """Describe a patch of details: any of its fields, null to reset one, and a reason."""
    properties = {"reason": {"type": "string", "maxLength": 500, "title": "Reason"}}
    properties |= TypeAdapter(kind).json_schema()["properties"]
    nullable = {
        name: {
            "title": described["title"],
            "anyOf": described.get("anyOf", [_without_default(described), {"type": "null"}]),
        }
        for name, described in properties.items()
    }
    return WithJsonSchema({"type": "object", "properties": nullable, "additionalProperties": False})


def _without_default(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in {"default", "title"}}


def _model_patch(
    body: Annotated[
        Document, _patch_schema(ModelDetails), Body(openapi_examples=examples.MODEL_EDIT)
    ],
) -> Patch[ModelDetails]:
    return _patch(ModelDetails, body)


def _version_patch(
    body: Annotated[
        Document, _patch_schema(VersionDetails), Body(openapi_examples=examples.VERSION_EDIT)
    ],
) -> Patch[VersionDetails]:
    return _patch(VersionDetails, body)


ModelPatch = Annotated[Patch[ModelDetails], Depends(_model_patch)]
VersionPatch = Annotated[Patch[VersionDetails], Depends(_version_patch)]
