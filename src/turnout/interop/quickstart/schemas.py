"""Bodies of the quick start, and what it shows of a version."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from turnout.interop.quickstart.domain import MODEL, Entry, Status, full_version, present, status
from turnout.interop.quickstart.queries import Stand
from turnout.observations.domain.figures import Figures
from turnout.quantities import STRICT, Check, Reading, Text, Weight
from turnout.registry.domain.fields import Label, Prose
from turnout.registry.domain.runtime import DemoSentimentRuntime, Runtime
from turnout.registry.domain.semver import LONGEST, SemVer
from turnout.traffic.domain.overrides import Unit


def check_label(label: str) -> str:
    SemVer.parse(full_version(label))
    return label


def read_user(value: object) -> object:
    """A number is a fine name for a user."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


VersionLabel = Annotated[
    Label,
    MaxLen(LONGEST),
    Reading(
        check=check_label,
        describe={
            "type": "string",
            "maxLength": LONGEST,
            "description": "A semantic version; `v1` and `1.0` are taken for `1.0.0`",
            "examples": ["1.0.0"],
        },
    ),
]
User = Annotated[
    Unit,
    Reading(
        read=read_user,
        describe={
            "type": ["string", "integer"],
            "description": "The same user gets the same version, as long as the shares stay",
            "examples": ["user-42"],
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Without a `runtime`, the version is answered for by the built-in demo."""

    __pydantic_config__ = STRICT

    name: Label
    version: VersionLabel
    accuracy: Annotated[float, Ge(0), Le(1)] | None = None
    description: Prose = ""
    runtime: Runtime = field(default_factory=DemoSentimentRuntime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """0 deactivates."""

    __pydantic_config__ = STRICT

    traffic_percent: Weight


def check_said(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing to predict from: send some text")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`model_version` forces a version, by what it was registered as; `user_id` keeps a user with
    one version."""

    __pydantic_config__ = STRICT

    text: Annotated[Text, MinLen(1), MaxLen(20_000), Check(check_said)]
    model_version: Label | None = None
    user_id: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How the answer came about. `demo` says that the built-in demo gave it, and no model of
    yours; `reason` is `split` where the shares decided, `single` where only one model is active,
    `forced` where the request named its version."""

    demo: bool
    answered_by: str | None
    reason: str
    latency_ms: float
    turnout_model: str = MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerView:
    """`prediction_id` is what feedback about this answer names later."""

    prediction: Any
    confidence: float | None
    model_version: str
    model_id: str
    prediction_id: str
    metadata: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    model_id: str
    name: str
    version: str
    status: Status
    traffic_percent: Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of the last 7 days, seconds after it was seen. `accuracy` is over the answers of which
    feedback came, and null without any."""

    request_count: int = 0
    error_rate: float | None = None
    avg_latency_ms: float | None = None
    avg_confidence: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry(Registered):
    """`accuracy` is what was claimed at registration; `performance` what was measured since."""

    description: str
    accuracy: float | None
    created_at: datetime
    performance: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    models: Sequence[ModelEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPerformance(Registered):
    """What a model did in the last 7 days, seconds after it was seen."""

    request_count: int
    error_rate: float | None
    avg_latency_ms: float | None
    avg_confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    models: Sequence[ModelPerformance]
    recommendation: str


def registered(entry: Entry) -> Registered:
    return Registered(
        model_id=entry.model_id,
        name=entry.name,
        version=entry.label,
        status=Status.INACTIVE,
        traffic_percent=0,
    )


def models_view(stand: Stand, only: Status | None) -> list[ModelEntry]:
    weights = present(stand.entries, stand.split)
    views = []
    for entry in stand.entries:
        said = stand.said[entry.version_id]
        view = ModelEntry(
            model_id=entry.model_id,
            name=entry.name,
            version=entry.label,
            status=status(entry.version_id, stand.split),
            traffic_percent=weights.get(entry.version_id, 0),
            description=said.description,
            accuracy=said.accuracy,
            created_at=said.created_at,
            performance=measured(stand.figures.get(entry.version_id)),
        )
        if only is None or view.status is only:
            views.append(view)
    return views


def performance_view(stand: Stand) -> list[ModelPerformance]:
    """Of what serves, or was asked within the window."""
    return [
        ModelPerformance(
            model_id=view.model_id,
            name=view.name,
            version=view.version,
            status=view.status,
            traffic_percent=view.traffic_percent,
            request_count=view.performance.request_count,
            error_rate=view.performance.error_rate,
            avg_latency_ms=view.performance.avg_latency_ms,
            avg_confidence=view.performance.avg_confidence,
            accuracy=view.performance.accuracy,
        )
        for view in models_view(stand, None)
        if view.performance.request_count or view.status is not Status.INACTIVE
    ]


def measured(figures: Figures | None) -> Measured:
    if figures is None:
        return Measured()
    return Measured(
        request_count=figures.predictions,
        error_rate=figures.error_rate,
        avg_latency_ms=figures.latency.value,
        avg_confidence=figures.confidence.value,
        accuracy=figures.accuracy,
    )
