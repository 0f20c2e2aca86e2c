"""What MLflow's client sends and reads. Fields that it may learn to send are ignored, not refused:
its versions are not ours to follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from annotated_types import Len, MaxLen

from turnout.interop.mlflow.domain.filters import SEMVER
from turnout.interop.mlflow.domain.stages import SHOWN, Stage
from turnout.interop.mlflow.domain.tags import origin, tags
from turnout.quantities import Reading, check_line, check_text
from turnout.registry.catalogue import ListedModel, ListedVersion
from turnout.registry.domain.alias import AliasName
from turnout.registry.domain.fields import Address, ModelName, Prose, Summary

Key = Annotated[
    str,
    Len(1, 250),
    Reading(check=check_line, describe={"type": "string", "minLength": 1, "maxLength": 250}),
]
Value = Annotated[
    str,
    MaxLen(100_000),
    Reading(check=check_text, describe={"type": "string", "maxLength": 100_000}),
]
Number = str | int
"""A version's number, which MLflow writes as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    key: Key
    value: Value = ""


Tags = Annotated[tuple[Tag, ...], MaxLen(1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    name: ModelName
    tags: Tags = ()
    description: Prose = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    name: str
    new_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    name: str
    description: Prose = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTag:
    name: str
    key: Key
    value: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAlias:
    name: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlias:
    name: str
    alias: AliasName
    version: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    name: str
    source: Address
    run_id: Summary = ""
    run_link: Summary = ""
    tags: Tags = ()
    description: Prose = ""
    model_id: Summary = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    name: str
    version: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDescription:
    name: str
    version: Number
    description: Prose = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTag:
    name: str
    version: Number
    key: Key
    value: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTransition:
    name: str
    version: Number
    stage: str
    archive_existing_versions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesOf:
    name: str
    stages: Annotated[tuple[str, ...], MaxLen(100)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str
    current_stage: Stage
    description: str
    source: str
    run_id: str
    run_link: str
    model_id: str
    status: str
    tags: Sequence[Tag]
    aliases: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasOf:
    alias: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str
    description: str
    latest_versions: Sequence[ModelVersion]
    tags: Sequence[Tag]
    aliases: Sequence[AliasOf]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Done; there is nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneModel:
    registered_model: RegisteredModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModels:
    registered_models: Sequence[RegisteredModel]
    next_page_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneVersion:
    model_version: ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVersions:
    model_versions: Sequence[ModelVersion]
    next_page_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    artifact_uri: str


def version_view(listed: ListedVersion) -> ModelVersion:
    record = listed.record
    said = origin(record.metadata)
    location = (record.artifact.uri if record.artifact else None) or ""
    return ModelVersion(
        name=record.model,
        version=str(listed.number),
        creation_timestamp=_milliseconds(record.created_at),
        last_updated_timestamp=_milliseconds(listed.updated_at),
        user_id=record.created_by,
        current_stage=SHOWN[record.stage],
        description=record.description,
        source=said.source or location,
        run_id=record.run_id or "",
        run_link=said.run_link or "",
        model_id=said.model_id or "",
        status="READY",
        tags=[
            *(Tag(key=key, value=value) for key, value in tags(record) if key != SEMVER),
            Tag(key=SEMVER, value=record.version),
        ],
        aliases=listed.aliases,
    )


def model_view(listed: ListedModel) -> RegisteredModel:
    newest = {SHOWN[one.record.stage]: one for one in listed.latest}  # in the order of numbers
    return RegisteredModel(
        name=listed.ref.name,
        creation_timestamp=_milliseconds(listed.created_at),
        last_updated_timestamp=_milliseconds(listed.updated_at),
        user_id=listed.created_by,
        description=listed.details.description,
        latest_versions=[version_view(one) for one in newest.values()],
        tags=[Tag(key=key, value=value) for key, value in tags(listed.details)],
        aliases=[
            AliasOf(alias=alias, version=str(number)) for alias, number in listed.aliases.items()
        ],
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
