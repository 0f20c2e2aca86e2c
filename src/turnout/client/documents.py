"""What the service answers, as it answers it: the fields of its OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Stage = Literal["development", "staging", "production", "archived", "rejected"]
Strategy = Literal["replace", "canary", "blue_green", "shadow", "ab_test"]
Bump = Literal["major", "minor", "patch", "prerelease"]
Document = Mapping[str, Any]


class Version(TypedDict):
    """One immutable release of a model, and what is said about it."""

    id: int
    model: str
    version: str
    stage: Stage
    aliases: Sequence[str]
    description: str
    owner: str | None
    tags: Sequence[str]
    metrics: Mapping[str, float]
    group_metrics: Mapping[str, Mapping[str, float]]
    run_id: str | None
    dataset_version: str | None
    dependencies: Sequence[str]
    changelog: str
    metadata: Document
    parent_version: str | None
    signature: Document | None
    artifact: Document | None
    uploaded: bool
    runtime: Document
    created_at: str
    created_by: str
    updated_at: str


class Move(TypedDict):
    """A step in a version's life."""

    from_stage: Stage
    to_stage: Stage
    at: str
    actor: str
    reason: str | None


class VersionWithHistory(Version):
    history: Sequence[Move]


class NextVersions(TypedDict):
    major: str
    minor: str
    patch: str
    prerelease: str


class Compared(TypedDict):
    """A version's value of a metric, beside the one it is held against."""

    value: float | None
    difference: float | None
    relative_difference: float | None
    judgement: Literal["better", "same", "worse"] | None


class MetricRow(TypedDict):
    metric: str
    improves_by: Literal["increase", "decrease"] | None
    values: Mapping[str, Compared]


class Column(TypedDict):
    version: str
    stage: Stage
    predictions: int
    signature_differences: Sequence[str]


class Comparison(TypedDict):
    """`live` is what the versions did from `since` to `until`; the rest is what was registered."""

    model: str
    against: str
    versions: Sequence[Column]
    metrics: Sequence[MetricRow]
    group_metrics: Mapping[str, Sequence[MetricRow]]
    live: Sequence[MetricRow]
    since: str
    until: str


class Rollout(TypedDict):
    """Where a rollout stands, and what its next step waits for."""

    id: str
    model: str
    candidate: str
    baseline: str | None
    strategy: Strategy
    phase: str
    weight: float
    stage: Document
    verdict: str
    reason: str
    waiting_for: str | None
    pause: str | None
    findings: Sequence[Document]
    goal: Document | None
    plan: Document
    starts_at: str | None
    restores: bool
    retries: str | None
    group: str | None
    created_by: str
    created_at: str
    finished_at: str | None


class Exposure(TypedDict):
    """What one variant was to get and what it got, in percent."""

    name: str
    version: str
    planned: float
    count: int
    share: float | None


class Distribution(TypedDict):
    """Planned against counted shares. With a `mismatch`, no comparison can be trusted."""

    split_id: int
    source: Literal["observed", "simulated"]
    units: int
    variants: Sequence[Exposure]
    statistic: float | None
    p_value: float | None
    mismatch: bool


class MissingFile(TypedDict):
    model: str
    version: str
    sha256: str


class ImportReport(TypedDict):
    """What was added. What was there already, and is the same, is not counted."""

    dry_run: bool
    models: int
    versions: int
    aliases: int
    gate_policies: int
    approvals: int
    missing_files: Sequence[MissingFile]
