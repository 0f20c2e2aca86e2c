"""Models and their versions: what is said of them, and how other slices see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen

from turnout.errors import Conflict, NotFound, Unprocessable
from turnout.quantities import STRICT
from turnout.registry.domain.fields import (
    Document,
    Label,
    ModelName,
    Number,
    Prose,
    Summary,
    VersionName,
)
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import Artifact, ExternalRuntime, Runtime
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.signature import Signature


class ModelNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model {name!r}", model=name)


class VersionNotFound(NotFound):
    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"{model} has no version {version}", model=model, version=version)


class NoProductionVersion(NotFound):
    def __init__(self, model: str) -> None:
        super().__init__(f"{model} has no version in production", model=model)


class MalformedVersion(Unprocessable):
    pass


class ModelExists(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is a model {name!r} already", model=name)


class VersionExists(Conflict):
    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"{model} {version} is registered already, and a version never changes: register"
            " the next one",
            model=model,
            version=version,
        )


class StillUsed(Conflict):
    """What is to be deleted serves, or something refers to it."""


def read_version(text: str) -> SemVer:
    """Parse a version that stands outside a body, such as in a path."""
    try:
        return SemVer.parse(text)
    except ValueError as error:
        raise MalformedVersion(str(error), version=text) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A model as other slices know it."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRef:
    """A version as other slices know it: what is needed to route to it and to run it."""

    id: int
    model_id: int
    model: str
    version: str
    stage: Lifecycle
    runtime: Runtime
    artifact: Artifact | None
    signature: Signature | None
    file_sha256: str | None
    """Fingerprint of the file in the artifact store; None while nothing has been uploaded."""


Tags = Annotated[tuple[Label, ...], MaxLen(100)]
Metrics = Annotated[Mapping[Label, Number], MaxLen(1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetails:
    """What people say about a model; may be edited at any time."""

    __pydantic_config__ = STRICT

    description: Prose = ""
    owner: Summary | None = None
    tags: Tags = ()
    metadata: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel(ModelDetails):
    __pydantic_config__ = STRICT

    name: ModelName
    reason: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDetails:
    """What people say about a version; may be edited at any time, unlike what it *is*."""

    __pydantic_config__ = STRICT

    description: Prose = ""
    owner: Summary | None = None
    tags: Tags = ()
    metrics: Metrics = field(default_factory=dict)
    group_metrics: Annotated[Mapping[Label, Metrics], MaxLen(1000)] = field(default_factory=dict)
    run_id: Summary | None = None
    dataset_version: Summary | None = None
    dependencies: Annotated[tuple[Summary, ...], MaxLen(2000)] = ()
    changelog: Prose = ""
    metadata: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion(VersionDetails):
    """A registration: the details, and what will never change."""

    __pydantic_config__ = STRICT

    version: VersionName
    parent_version: VersionName | None = None
    signature: Signature | None = None
    artifact: Artifact | None = None
    runtime: Runtime = field(default_factory=ExternalRuntime)
    reason: Summary | None = None

    def __post_init__(self) -> None:
        if self.parent_version == self.version:
            raise ValueError("parent_version is the version this one came from, not itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord(VersionDetails):
    """All that is known of a version: what gates judge, and what they are sent."""

    id: int
    model_id: int
    model: str
    version: str
    stage: Lifecycle
    parent_version: str | None
    signature: Signature | None
    artifact: Artifact | None
    file_sha256: str | None
    runtime: Runtime
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> VersionRef:
        return VersionRef(
            **{part.name: getattr(self, part.name) for part in fields(VersionRef)},
        )
