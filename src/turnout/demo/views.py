"""What the demo reads from the service's answers; other members of them are passed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    metric: str
    max: float | None
    min: float | None
    max_increase: float | None
    max_decrease: float | None

    def __str__(self) -> str:
        rules = {
            "at most {:g}": self.max,
            "at least {:g}": self.min,
            "at most {:g} above": self.max_increase,
            "at most {:g} below": self.max_decrease,
        }
        stated = [rule.format(limit) for rule, limit in rules.items() if limit is not None]
        return f"{self.metric} {stated[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    verdict: str
    candidate: float | None
    baseline: float | None
    n_candidate: int
    n_baseline: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    guardrail: Guardrail
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    index: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    stages: Sequence[PlannedStage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    id: str
    candidate: str
    baseline: str | None
    phase: str
    stage: Stage
    plan: Plan
    reason: str
    waiting_for: str | None
    findings: Sequence[Judged]
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A transition; `evidence` is the id of the look that it was decided on."""

    step: int
    at: datetime
    event: str
    weight: float
    verdict: str | None
    reason: str
    actor: str
    evidence: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    id: int
    at: datetime
    verdict: str
    reason: str
    findings: Sequence[Judged]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    items: Sequence[Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Newest first."""

    items: Sequence[Look]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    version: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    variants: Sequence[Variant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one version has shown in the last hour."""

    version: str
    predictions: int
    error_rate: float | None
    labelled: int
    accuracy: float | None
    latency_p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    versions: Sequence[Arm]
