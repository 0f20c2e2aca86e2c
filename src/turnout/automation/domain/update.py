"""An update: what is asked for, how far it has come, and who may not ask for what."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from annotated_types import MaxLen, MinLen

from turnout.automation.domain.cron import CronText, next_run, parse
from turnout.errors import Conflict, NotFound
from turnout.monitoring.domain.thresholds import DRIFT
from turnout.observations.domain.guardrails import Guardrail
from turnout.quantities import STRICT, Reading, Text
from turnout.registry.domain.alias import MARK, read_alias
from turnout.registry.domain.fields import Summary, check_version
from turnout.rollouts.domain.freezes import ZoneName
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Stage, Strategy

LATEST: Final = "latest"


class UpdateTrigger(StrEnum):
    MANUAL = "manual"
    SCHEDULED = "scheduled"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    NEW_DATA = "new_data"


class UpdateState(StrEnum):
    REQUESTING = "requesting"
    """The training pipeline is being asked for a new version."""

    TRAINING = "training"
    """The pipeline was asked; the version that it registers is waited for."""

    QUEUED = "queued"
    VALIDATING = "validating"
    ROLLING_OUT = "rolling_out"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    """By a rule, by a gate, or by the state of the model."""

    UNNEEDED = "unneeded"
    """What it would lead to answers already."""

    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in _OVER

    @property
    def under_way(self) -> bool:
        """It counts towards the number of updates at once."""
        return self in _UNDER_WAY


_UNDER_WAY: Final = frozenset({UpdateState.VALIDATING, UpdateState.ROLLING_OUT})
_OVER: Final = (
    frozenset(UpdateState)
    - _UNDER_WAY
    - {UpdateState.REQUESTING, UpdateState.TRAINING, UpdateState.QUEUED}
)


OUTCOMES: Final = {
    Phase.SUCCEEDED: UpdateState.SUCCEEDED,
    Phase.ROLLED_BACK: UpdateState.ROLLED_BACK,
    Phase.ABORTED: UpdateState.FAILED,
    Phase.FAILED: UpdateState.FAILED,
}
"""What becomes of an update when its rollout has ended so."""


def called_for_by(metric: object) -> UpdateTrigger:
    """Tell a finding of drift from a limit that was broken, by what was watched."""
    return UpdateTrigger.DRIFT if metric in DRIFT else UpdateTrigger.PERFORMANCE


def check_target(text: str) -> str:
    if text == LATEST:
        return text
    if text.startswith(MARK):
        read_alias(text.removeprefix(MARK))
        return text
    return check_version(text)


Target = Annotated[
    str,
    Reading(
        check=check_target,
        describe={
            "type": "string",
            "description": "A version, `latest`, or `@` and an alias",
            "examples": ["latest", "2.0.0", "@challenger"],
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateWish:
    """What an update is to do.

    `target` is looked up when the update begins: `latest` is then the version of the highest
    precedence that is no prerelease and neither rejected nor archived. Strategy, stages, guardrails
    and goal are those of a rollout. With `retrain`, the training pipeline of the update policy is
    called first, and the version that it registers is the target.
    """

    __pydantic_config__ = STRICT

    target: Target = LATEST
    strategy: Strategy = Strategy.CANARY
    stages: Annotated[tuple[Stage, ...], MinLen(1), MaxLen(100)] | None = None
    guardrails: Annotated[tuple[Guardrail, ...], MaxLen(50)] | None = None
    goal: StageGoal | None = None
    retrain: bool = False
    notes: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        if self.retrain and self.target != LATEST:
            raise ValueError("with retrain, the target is the version that comes back: name none")
        self.launch("0.0.0")

    def launch(self, version: str) -> Launch:
        """The rollout that it leads to."""
        return Launch(
            candidate=version,
            strategy=self.strategy,
            stages=self.stages,
            guardrails=self.guardrails,
            goal=self.goal,
            reason=self.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpdate(UpdateWish):
    """A wish, and what made it come up: `new_data` is for the pipeline that has brought a new
    `dataset_version`."""

    __pydantic_config__ = STRICT

    trigger: Literal["manual", "drift", "performance", "new_data"] = "manual"
    dataset_version: Summary | None = None
    reason: Annotated[Text, MaxLen(2000)] | None = None

    @property
    def wish(self) -> UpdateWish:
        return UpdateWish(
            target=self.target,
            strategy=self.strategy,
            stages=self.stages,
            guardrails=self.guardrails,
            goal=self.goal,
            retrain=self.retrain,
            notes=self.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an update comes from. `requested_by` is who answers for it, and whom the gates hold it
    against; `version_id` is the target where that is known beforehand."""

    trigger: UpdateTrigger
    requested_by: str
    reason: str
    cause: str | None = None
    dataset_version: str | None = None
    version_id: int | None = None
    schedule_id: UUID | None = None
    slot: datetime | None = None
    event_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpdateSchedule:
    """An update at each of these times, in this time zone."""

    __pydantic_config__ = STRICT

    cron: CronText
    zone: ZoneName = "UTC"
    update: UpdateWish = UpdateWish()
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def after(self, now: datetime) -> datetime:
        found = next_run(parse(self.cron), self.zone, now)
        assert found is not None  # `check_cron`
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    __pydantic_config__ = STRICT

    reason: Annotated[Text, MinLen(1), MaxLen(2000)]


class UpdateNotFound(NotFound):
    def __init__(self, update_id: UUID) -> None:
        super().__init__(f"there is no update {update_id}", update=str(update_id))


class ScheduleNotFound(NotFound):
    def __init__(self, schedule_id: UUID) -> None:
        super().__init__(f"there is no update schedule {schedule_id}", schedule=str(schedule_id))


class UpdateOver(Conflict):
    def __init__(self, update_id: UUID, state: UpdateState) -> None:
        super().__init__(
            f"update {update_id} has ended ({state}), so there is nothing to cancel",
            update=str(update_id),
            state=state,
        )


class NoPipeline(Conflict):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} has no training pipeline to call: PUT an update policy with `retraining`",
            model=model,
        )
