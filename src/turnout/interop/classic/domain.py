"""The words of the classic versioning paths, and what they mean here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le

from turnout.errors import Conflict, NotFound
from turnout.experiments.domain.plan import Plan, Treatment
from turnout.experiments.domain.state import Status
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.judging import totals
from turnout.observations.domain.metric import Goal
from turnout.quantities import BASIS_POINTS, STRICT, Reading
from turnout.registry.domain.fields import MODEL_NAME, Prose, Summary, VersionName
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Stage, Strategy
from turnout.stats.totals import UnitTotals
from turnout.traffic.domain.split import Spread

FEWEST_UNITS: Final = 100
"""Per variant, below which no test is concluded, unless a smaller one was asked for."""

PHASES: Final = tuple(
    Stage(weight=weight, bake=timedelta(minutes=10), max_duration=timedelta(days=7))
    for weight in range(BASIS_POINTS // 10, BASIS_POINTS + 1, BASIS_POINTS // 10)
)
"""A canary waits for feedback rather than to be paused for want of it."""

LIMITS: Final = (
    Guardrail(metric="error_rate", max=0.10),
    Guardrail(metric="accuracy", max_decrease=0.05, min_samples=FEWEST_UNITS),
)
"""What a canary must keep to: a test is about being right. Its latency may not be known."""

VariantName = Literal["control", "treatment"]


class NoModelYet(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "no model is registered yet: POST /api/v1/models/{model}/versions registers a version,"
            " and its model with it"
        )


class SeveralModels(Conflict):
    def __init__(self, names: Sequence[str]) -> None:
        such = f", such as {' and '.join(names)}," if names else ""
        super().__init__(
            f"several models are registered{such} and these paths name"
            f" none: set TURNOUT_CLASSIC_MODEL to the one that they mean",
            models=list(names),
        )


class AbTestNotFound(NotFound):
    def __init__(self, test_id: str) -> None:
        super().__init__(f"there is no A/B test {test_id!r}", test_id=test_id)


class AbTestExists(Conflict):
    def __init__(self, test_id: str) -> None:
        super().__init__(
            f"there is an A/B test {test_id!r} already: choose another test_id", test_id=test_id
        )


class AbTestNotRunning(Conflict):
    def __init__(self, test_id: str, status: Status) -> None:
        what = "start it first" if status is Status.DRAFT else "its variants get no more feedback"
        super().__init__(
            f"A/B test {test_id!r} is {status}: {what}", test_id=test_id, test_status=status
        )


class AbTestEnded(Conflict):
    def __init__(self, test_id: str, status: Status) -> None:
        what = "start it first" if status is Status.DRAFT else "there is nothing left to conclude"
        super().__init__(
            f"A/B test {test_id!r} is {status}: {what}", test_id=test_id, test_status=status
        )


class AlreadyStarted(Conflict):
    def __init__(self, test_id: str) -> None:
        super().__init__(f"A/B test {test_id!r} has been started already", test_id=test_id)


class Assignment(StrEnum):
    """How requests fall to the variants; a canary grows by 10 points a phase."""

    RANDOM = "RANDOM"
    ROUND_ROBIN = "ROUND_ROBIN"
    STICKY = "STICKY"
    CANARY = "CANARY"


def check_test_id(text: str) -> str:
    if not MODEL_NAME.fullmatch(text):
        raise ValueError(
            "a test_id has 1 to 100 letters, digits, dots, dashes and underscores, and begins with"
            " a letter or digit, such as two-against-one"
        )
    return text


AbTestId = Annotated[
    str,
    Reading(
        check=check_test_id,
        describe={
            "type": "string",
            "pattern": f"^{MODEL_NAME.pattern}$",
            "examples": ["two-against-one"],
        },
    ),
]


def read_share(value: object) -> object:
    """Read a share between 0 and 1 as basis points; text and true are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a share is a number between 0 and 1, such as 0.2")  # noqa: TRY004
    exact = Decimal(str(value)) * BASIS_POINTS if 0 < value < 1 else Decimal()
    if not exact or exact != exact.to_integral_value():
        raise ValueError(
            f"the treatment's share lies between 0 and 1 and has at most four decimals, such as"
            f" 0.2, not {value}"
        )
    return int(exact)


Share = Annotated[
    int,
    Reading(
        read=read_share,
        show=lambda weight: weight / BASIS_POINTS,
        describe={
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "description": "What the treatment gets of the traffic",
            "examples": [0.2],
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTest:
    """Two versions of the model, compared by how often they are right.

    `target_sample_size` is where the search for a difference ends, in answers with feedback of the
    variant that gets the least traffic. For a canary neither size nor split is heeded: the
    treatment gets 10 % at first, 10 points more after every ten minutes in which it did no harm,
    and in the end everything.
    """

    __pydantic_config__ = STRICT

    test_id: AbTestId | None = None
    name: Summary = ""
    description: Prose = ""
    control_version: VersionName
    treatment_version: VersionName
    traffic_split: Share = BASIS_POINTS // 2
    strategy: Assignment = Assignment.STICKY
    target_sample_size: Annotated[int, Ge(1), Le(10**9)] = 1000

    def __post_init__(self) -> None:
        if self.control_version == self.treatment_version:
            raise ValueError(
                f"{self.control_version} is control and treatment: compare two different versions"
            )

    @property
    def canary(self) -> bool:
        return self.strategy is Assignment.CANARY

    @property
    def versions(self) -> tuple[str, str]:
        return self.control_version, self.treatment_version

    def version(self, variant: VariantName) -> str:
        return self.control_version if variant == "control" else self.treatment_version


def plan(test: ABTest, key: str) -> Plan:
    return Plan(
        key=key,
        name=test.name,
        description=test.description,
        control=test.control_version,
        treatments=(Treatment(version=test.treatment_version, weight=test.traffic_split),),
        strategy=Spread(test.strategy.lower()),
        goal=Goal(metric="accuracy"),
        min_sample_size=min(test.target_sample_size, FEWEST_UNITS),
        target_sample_size=test.target_sample_size,
    )


def launch(test: ABTest, key: str) -> Launch:
    return Launch(
        candidate=test.treatment_version,
        baseline=test.control_version,
        strategy=Strategy.CANARY,
        stages=PHASES,
        guardrails=LIMITS,
        reason=f"A/B test {key} started",
    )


def canary_status(phase: Phase, *, concluded: bool) -> Status:
    """An experiment's words for where a canary stands."""
    if concluded or phase is Phase.SUCCEEDED:
        return Status.CONCLUDED
    if phase.terminal:
        return Status.STOPPED
    return Status.PAUSED if phase is Phase.PAUSED else Status.RUNNING


def added(metric: str, arms: Sequence[Mapping[int, ArmEvidence]], version_id: int) -> UnitTotals:
    """What a version adds up to over the phases of a test."""
    return sum((totals(metric, arm.get(version_id)) for arm in arms), start=UnitTotals())
