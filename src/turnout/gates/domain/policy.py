"""Gate policies: what a version must show before it enters a stage."""

import re
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Gt, Le, Len, MaxLen

from turnout.addresses import Reach, check_url
from turnout.quantities import STRICT, ByKind, Duration, Reading
from turnout.registry.domain.fields import Address, Label, Number, Summary
from turnout.registry.domain.version import VersionDetails

LONGEST_RUN: Final = timedelta(minutes=5)
_SECRET_VARIABLE = re.compile(r"(?!TURNOUT_)[A-Z][A-Z0-9_]*", re.ASCII)


class Good(StrEnum):
    """The good direction of a metric."""

    HIGHER = "higher"
    LOWER = "lower"


class Feat(StrEnum):
    """What a version can have shown on the road."""

    SHADOW = "shadow"
    EXPERIMENT = "experiment"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGate:
    """A metric of the version's own evaluation is at least `min`, at most `max`, or both."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["metric"] = "metric"
    metric: Label
    min: Number | None = None
    max: Number | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("a metric gate has a limit: min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is at most max")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionGate:
    """A metric is not worse than that of the version in production by more than `margin`."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["no_regression"] = "no_regression"
    metric: Label
    margin: Annotated[Number, Ge(0)] = 0.01
    good: Good = Good.HIGHER


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsGate:
    """Each protected group has the metric at least `min`, and they differ by at most `max_gap`.

    The groups named in `groups` must be there, and so must those that the version in production
    reports.
    """

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["groups"] = "groups"
    metric: Label
    min: Number | None = None
    max_gap: Annotated[Number, Ge(0)] | None = None
    groups: Annotated[tuple[Label, ...], MaxLen(1000)] = ()

    def __post_init__(self) -> None:
        if self.min is None and self.max_gap is None:
            raise ValueError("a groups gate has a limit: min, max_gap or both")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureGate:
    """The signature is known, and who calls the version in production can call this one as well."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["signature"] = "signature"


_DETAILS: Final = tuple(sorted(part.name for part in fields(VersionDetails)))
PRESENT: Final = (*_DETAILS, "parent_version", "signature", "artifact")


def check_field(name: str) -> str:
    key = name.removeprefix("metadata.")
    if name not in PRESENT and (key == name or not key):
        raise ValueError(
            f"{name!r} is not said of a version: there are {', '.join(PRESENT)}, and"
            " metadata.<key> for a key of the free metadata"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataGate:
    """These fields are filled in; `metadata.ticket` is the key `ticket` of the free metadata."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["metadata"] = "metadata"
    fields: Annotated[
        tuple[
            Annotated[str, Len(1, 100), Reading(check=check_field, describe={"type": "string"})],
            ...,
        ],
        Len(1, 100),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyGate:
    """The version, really run on sample inputs, answers within `p99_ms` 99 times out of 100.

    Without `inputs` (as for a prediction), some are made up from the signature. `unmeasurable`
    says what to make of a version that cannot be run from here, such as an `external` one.
    """

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["latency"] = "latency"
    p99_ms: Annotated[Number, Gt(0)] = 100
    inputs: Any = None
    unmeasurable: Literal["skip", "fail"] = "skip"


def check_deadline(value: timedelta) -> timedelta:
    if not timedelta() < value <= LONGEST_RUN:
        raise ValueError("a gate takes longer than nothing and at most 5 minutes")
    return value


Deadline = Annotated[
    Duration,
    Reading(check=check_deadline, describe={"type": "string", "examples": ["10s"]}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPointGate:
    """A Python function that is installed beside Turnout as an entry point of `turnout.gates`."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["entry_point"] = "entry_point"
    name: Label
    timeout: Deadline = timedelta(seconds=30)


def check_hook(url: str) -> str:
    """Accept an address that some installation may call; what this one may is checked then."""
    return check_url(url, Reach.PRIVATE)


def check_secret_env(name: str | None) -> None:
    if name is not None and not _SECRET_VARIABLE.fullmatch(name):
        raise ValueError(
            "secret_env is the name of an environment variable that does not begin with"
            " TURNOUT_, such as REVIEW_GATE_SECRET"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookGate:
    """A service that is sent the version's record and answers `{"passed": …, "reason": …}`.

    `secret_env` names the variable, in Turnout's environment, whose value signs the request.
    """

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = False

    kind: Literal["webhook"] = "webhook"
    name: Label
    url: Annotated[Address, Reading(check=check_hook, describe={"type": "string", "format": "uri"})]
    secret_env: Label | None = None
    timeout: Deadline = timedelta(seconds=30)

    def __post_init__(self) -> None:
        check_secret_env(self.secret_env)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsGate:
    """People have signed it off: the version's owner, or its model's, and so many `others`.

    With `four_eyes`, whoever registered the version or asks for the move counts for neither of
    the others, and at least one other person must have approved.
    """

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = True

    kind: Literal["approvals"] = "approvals"
    owner: bool = False
    others: Annotated[int, Ge(0), Le(20)] = 0
    four_eyes: bool = True

    def __post_init__(self) -> None:
        if not (self.owner or self.others or self.four_eyes):
            raise ValueError("an approvals gate asks somebody: owner, others or four_eyes")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceGate:
    """The version has succeeded in any of these: a shadow rollout, an experiment."""

    __pydantic_config__ = STRICT
    awaits_others: ClassVar[bool] = True

    kind: Literal["evidence"] = "evidence"
    any_of: Annotated[tuple[Feat, ...], Len(1, 10)] = (Feat.SHADOW, Feat.EXPERIMENT)


QuickGate = (
    MetricGate
    | RegressionGate
    | GroupsGate
    | SignatureGate
    | MetadataGate
    | ApprovalsGate
    | EvidenceGate
)
SlowGate = LatencyGate | EntryPointGate | WebhookGate
KINDS: Final = (
    MetricGate,
    RegressionGate,
    GroupsGate,
    SignatureGate,
    MetadataGate,
    LatencyGate,
    EntryPointGate,
    WebhookGate,
    ApprovalsGate,
    EvidenceGate,
)


Gate = Annotated[QuickGate | SlowGate, ByKind(KINDS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePolicy:
    """The gates before one stage; every one of them must be passed.

    With `on_failure: reject`, a version that fails for a reason of its own becomes *rejected*; one
    that only waits for a sign-off, for evidence or for a gate that could not say stays where it is.
    """

    __pydantic_config__ = STRICT

    gates: Annotated[tuple[Gate, ...], MaxLen(100)]
    on_failure: Literal["stay", "reject"] = "stay"

    def __post_init__(self) -> None:
        for place, gate in enumerate(self.gates):
            if gate in self.gates[:place]:
                raise ValueError(f"gates[{place}] is there twice")


STANDARD: Final = StagePolicy(
    gates=(
        MetricGate(metric="accuracy", min=0.85),
        MetricGate(metric="auc", min=0.80),
        RegressionGate(metric="accuracy", margin=0.01),
        RegressionGate(metric="auc", margin=0.01),
        GroupsGate(metric="accuracy", min=0.80),
        SignatureGate(),
        MetadataGate(fields=("description", "owner", "dataset_version")),
        LatencyGate(p99_ms=100),
    )
)
"""The ready-made policy."""

READY_MADE: Final = {"standard": STANDARD}


def read_stage_policy(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in READY_MADE:
        raise ValueError(f"{value!r} is no ready-made policy: there is {', '.join(READY_MADE)}")
    return READY_MADE[value]


@dataclass(frozen=True, slots=True)
class _OrReadyMade:
    """Let the name of a ready-made policy stand for it; OpenAPI shows both."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        read = {"type": "no-info", "function": read_stage_policy}
        return {"type": "function-before", "function": read, "schema": handler(source)}

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {"anyOf": [{"type": "string", "enum": list(READY_MADE)}, handler(schema)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What a version must show before it enters staging, and before it enters production.

    A stage that is left out has no gates. Other stages never have any: a version can be archived
    and rejected at any time. The word `"standard"` stands for the ready-made policy.
    """

    __pydantic_config__ = STRICT

    staging: Annotated[StagePolicy | None, _OrReadyMade()] = None
    production: Annotated[StagePolicy | None, _OrReadyMade()] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy(GatePolicy):
    __pydantic_config__ = STRICT

    reason: Summary | None = None
