import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from annotated_types import MaxLen, MinLen

from turnout.observations.domain.followed import Followed
from turnout.observations.domain.guardrails import Guardrail
from turnout.quantities import BASIS_POINTS, STRICT, Duration, Moment, Text, Weight, percent
from turnout.registry.domain.fields import VersionName
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.retreat import LONGEST

EXTENSION: Final = timedelta(minutes=10)
"""How much longer than its bake time a stage may wait for evidence, at the least."""

DEFAULT_GUARDRAILS: Final = (
    Guardrail(metric="error_rate", max=0.10),
    Guardrail(metric="latency_mean", max=10_000),
    Guardrail(metric="success_rate", min=0.95),
)
"""The limits of a rollout that states none."""

LONGEST_SEARCH: Final = timedelta(days=7)
"""How long a stage looks for its goal, unless it says otherwise."""


class Strategy(StrEnum):
    """What a list of stages is called, and the list that is used when none is given."""

    REPLACE = "replace"
    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    SHADOW = "shadow"
    AB_TEST = "ab_test"


class OnConflict(StrEnum):
    """What a new rollout does when another one of its model is under way."""

    REJECT = "reject"
    QUEUE = "queue"
    SUPERSEDE = "supersede"


class OnDeadline(StrEnum):
    """What becomes of a rollout whose stage has not passed within its longest duration."""

    PAUSE = "pause"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A share of the traffic for the candidate, for at least the time `bake`.

    The stage ends when the bake time is over, every guardrail passes, and, with `approval`, a
    person has approved. A stage that has not passed by `max_duration` pauses the rollout, or rolls
    it back, as `on_deadline` says; the default is three times the bake time, and at least ten
    minutes more than it. Time spent paused counts towards neither; time in which no worker was
    there to look, not towards `max_duration`. With `shadow` the candidate gets a copy of the
    traffic and answers nobody; the weight is then 0. Without `guardrails` the rollout's own apply.
    With `warm_up`, what is seen in that time after the stage was entered is not counted, and the
    bake time starts behind it.

    With a `goal`, the stage is an A/B test: it passes when the candidate is shown to be better,
    and is rolled back when it is shown to be worse. When the search is futile, or has ended
    without a finding, the rollout is aborted after the bake time: the baseline stays, and the
    candidate is not quarantined. `max_duration` is then seven days, unless stated.
    """

    __pydantic_config__ = STRICT

    weight: Weight
    bake: Duration
    guardrails: Annotated[tuple[Guardrail, ...], MaxLen(50)] | None = None
    approval: bool = False
    shadow: bool = False
    max_duration: Duration | None = None
    on_deadline: OnDeadline = OnDeadline.PAUSE
    goal: StageGoal | None = None
    warm_up: Duration = timedelta()

    def __post_init__(self) -> None:
        if self.shadow and self.weight:
            raise ValueError(
                "a shadow stage answers nobody, so its weight is 0: put the share that is to be"
                " answered by the candidate into a stage of its own"
            )
        if self.max_duration is not None and self.max_duration < self.bake:
            raise ValueError("max_duration is shorter than bake: the stage could never end")
        if self.goal is not None and not 0 < self.weight < BASIS_POINTS:
            raise ValueError(
                "a goal compares the candidate with the baseline, so both must answer: give its"
                " stage a weight between 0 and 100, such as 50"
            )
        if self.guardrails and not self.weight and not self.shadow:
            raise ValueError(
                "the candidate sees no traffic at weight 0, so its guardrails would have no data:"
                ' set "shadow": true to mirror the traffic, or leave the guardrails out'
            )
        for guardrail in self.guardrails or ():
            if guardrail.paired and not self.shadow:
                raise ValueError(
                    f"{guardrail.metric} compares a shadow with what is served, and this stage"
                    f' has no shadow: put it into a stage with "shadow": true'
                )
            if guardrail.relative and self.weight == BASIS_POINTS:
                raise ValueError(
                    f"no baseline runs beside a candidate at 100 %, so {guardrail.metric} cannot"
                    f" be compared there: put {guardrail.rule} into an earlier stage and an"
                    f" absolute limit (max or min) here"
                )

    @property
    def longest(self) -> timedelta:
        if self.max_duration is not None:
            return self.max_duration
        if self.goal is not None:
            return max(LONGEST_SEARCH, self.bake)
        return max(3 * self.bake, self.bake + EXTENSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rollout set out to do.

    It never changes; who changes the stages to come makes a new version. `reserved` is how many
    guardrails the error rate was divided among at the start: later versions have no more of them.
    Without `rollback_over` a rollback moves all traffic at once.
    """

    strategy: Strategy
    stages: tuple[Stage, ...]
    guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS
    promote: bool = True
    on_conflict: OnConflict = OnConflict.REJECT
    rollback_over: Duration | None = None
    version: int = 1
    reserved: int = 0

    def limits(self, index: int) -> tuple[Guardrail, ...]:
        """The guardrails of a stage, part by part: its own, or those of the plan that can be
        judged there."""
        stage = self.stages[index]
        stated = stage.guardrails
        if stated is None:
            stated = tuple(
                guardrail
                for guardrail in self.guardrails
                if (stage.weight or stage.shadow)
                and (stage.shadow or not guardrail.paired)
                and (stage.weight < BASIS_POINTS or not guardrail.relative)
            )
        return tuple(part for guardrail in stated for part in guardrail.parts)

    def followed(self, index: int) -> tuple[Followed, ...]:
        """The metrics of a stage of which only some predictions count."""
        goal = self.stages[index].goal
        asked = (*self.limits(index), *((goal,) if goal else ()))
        return tuple(found.followed for found in asked if found.followed)

    @property
    def gates(self) -> int:
        """Among how many guardrails the rate of false rollbacks is divided, over the whole plan."""
        gating = sum(
            not guardrail.dry_run
            for index in range(len(self.stages))
            for guardrail in self.limits(index)
        )
        return max(self.reserved, gating)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is asked of a new rollout.

    Without `baseline`, the version that answers now. Without `stages`, the strategy's own list.
    `guardrails` apply in every stage that states none; those against the baseline are left out at
    100 %, where none runs, and those of a shadow where the candidate answers. With `promote: false`
    (for plans that only shadow) the candidate is measured and not promoted. `goal` is what an
    `ab_test` is about; in a list of stages, write it into the stage that is to decide it.

    With `starts_at`, it starts by itself at that time; with `start_approval`, it waits at 0 % until
    a person approves. When another rollout of the model is under way, `on_conflict` says whether
    this one is refused (`reject`), starts when the other has ended (`queue`), or aborts the other
    and takes its place (`supersede`). `override_quarantine` starts a version that was rolled back
    before, `override_freeze` starts in a freeze window; then `reason` says why.

    A rollback moves all traffic at once. With `rollback_over`, such as `2m`, the candidate keeps
    three quarters of its share, then a half, then one, and none at the end of that time, for
    a baseline that needs time to grow; harm that shows again meanwhile ends it at once.
    """

    __pydantic_config__ = STRICT

    candidate: VersionName
    strategy: Strategy = Strategy.CANARY
    baseline: VersionName | None = None
    stages: Annotated[tuple[Stage, ...], MinLen(1), MaxLen(100)] | None = None
    guardrails: Annotated[tuple[Guardrail, ...], MaxLen(50)] | None = None
    goal: StageGoal | None = None
    promote: bool = True
    starts_at: Moment | None = None
    start_approval: bool = False
    on_conflict: OnConflict = OnConflict.REJECT
    rollback_over: Duration | None = None
    override_quarantine: bool = False
    override_freeze: bool = False
    reason: Annotated[Text, MaxLen(2000)] | None = None

    def __post_init__(self) -> None:
        _check_goal(self)
        check_plan(self.plan())
        if self.starts_at is not None and self.starts_at.tzinfo is None:
            raise ValueError("write starts_at with its offset, such as 2026-03-02T22:00:00+01:00")
        if self.rollback_over is not None and not timedelta() < self.rollback_over <= LONGEST:
            raise ValueError(
                "rollback_over lies between 0 and 1h, for the candidate goes on answering until"
                " then: leave it out to roll back at once"
            )
        check_reasons(self.reason, quarantine=self.override_quarantine, freeze=self.override_freeze)

    def plan(self) -> Plan:
        """The stages in full: a plan that promotes ends at 100 %."""
        stages = self.stages or _DEFAULT_STAGES[self.strategy]
        if self.goal is not None:
            stages = tuple(
                replace(stage, goal=self.goal) if 0 < stage.weight < BASIS_POINTS else stage
                for stage in stages
            )
        if self.stages is None and not self.promote:
            stages = tuple(stage for stage in stages if stage.shadow) or stages
        if self.promote:
            stages = complete(stages)
        if self.start_approval:
            stages = (START_APPROVAL, *stages)
        return Plan(
            strategy=self.strategy,
            stages=stages,
            guardrails=DEFAULT_GUARDRAILS if self.guardrails is None else self.guardrails,
            promote=self.promote,
            on_conflict=self.on_conflict,
            rollback_over=self.rollback_over,
        )


def complete(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    if stages[-1].weight == BASIS_POINTS:
        return stages
    return (*stages, Stage(weight=BASIS_POINTS, bake=timedelta(), guardrails=()))


def check_plan(plan: Plan) -> None:
    """Raise ValueError for stages that do not follow from one another, or cannot be judged."""
    _check_order(plan.stages)
    _check_pairs(plan)
    _check_maturities(plan)
    if not plan.promote:
        _check_measures_only(plan.stages)


def check_reasons(reason: str | None, *, quarantine: bool = False, freeze: bool = False) -> None:
    """Refuse to go over a quarantine or a freeze window without saying why."""
    if (reason or "").strip():
        return
    if quarantine:
        raise ValueError("override_quarantine needs a reason: why may this version run again?")
    if freeze:
        raise ValueError("override_freeze needs a reason: why can this not wait?")


def _check_goal(launch: Launch) -> None:
    if launch.goal is None:
        if launch.strategy is Strategy.AB_TEST and launch.stages is None:
            raise ValueError(
                "an A/B test needs a goal: what is the candidate to improve? For instance"
                ' {"metric": "accuracy", "minimum_detectable_effect": 0.02}'
            )
        return
    if launch.stages is not None:
        raise ValueError("this plan lists its stages: write the goal into the stage that decides")
    if launch.strategy is not Strategy.AB_TEST:
        raise ValueError(
            f'a goal is for the strategy "ab_test" or for a stage of your own, not for the'
            f" stages of {launch.strategy}"
        )


def _check_order(stages: tuple[Stage, ...]) -> None:
    for index, (before, stage) in enumerate(itertools.pairwise(stages), start=1):
        if stage.weight <= before.weight and before != START_APPROVAL:
            raise ValueError(
                f"weights must rise from stage to stage: stages[{index}] has"
                f" {percent(stage.weight)} % after {percent(before.weight)} %"
            )


def _check_pairs(plan: Plan) -> None:
    paired = [guardrail.metric for guardrail in plan.guardrails if guardrail.paired]
    if paired and not any(stage.shadow for stage in plan.stages):
        raise ValueError(
            f"{paired[0]} compares a shadow with what is served, and no stage of this plan has"
            f' a shadow: begin with one that has "shadow": true'
        )


def _check_maturities(plan: Plan) -> None:
    for index, stage in enumerate(plan.stages):
        for found in plan.followed(index):
            if found.age is not None and found.age >= stage.longest:
                raise ValueError(
                    f"stages[{index}] lasts at most {stage.longest}, so no prediction in it comes"
                    f" to be {found.age} old: give it a longer bake or max_duration, or"
                    f" {found.metric} a shorter maturity"
                )


def _check_measures_only(stages: tuple[Stage, ...]) -> None:
    for index, stage in enumerate(stages):
        if stage.weight:
            raise ValueError(
                f"promote: false is for a plan that only shadows, but stages[{index}] answers"
                f" {percent(stage.weight)} % of the traffic"
            )


START_APPROVAL: Final = Stage(weight=0, bake=timedelta(), guardrails=(), approval=True)
"""Before the first stage: the candidate is loaded and answers nobody until a person approves."""

_BAKE = timedelta(minutes=10)
_WATCH = timedelta(hours=1)
_DEFAULT_STAGES: Final[Mapping[Strategy, tuple[Stage, ...]]] = {
    Strategy.REPLACE: (Stage(weight=BASIS_POINTS, bake=_BAKE),),
    Strategy.CANARY: tuple(
        Stage(weight=weight, bake=_BAKE) for weight in range(1_000, BASIS_POINTS + 1, 1_000)
    ),
    Strategy.BLUE_GREEN: (
        Stage(weight=0, shadow=True, bake=_BAKE),
        Stage(weight=BASIS_POINTS, bake=_BAKE),
    ),
    Strategy.SHADOW: (
        Stage(weight=0, shadow=True, bake=_WATCH),
        Stage(weight=BASIS_POINTS, bake=_BAKE),
    ),
    Strategy.AB_TEST: (
        Stage(weight=BASIS_POINTS // 2, bake=_WATCH),
        Stage(weight=BASIS_POINTS, bake=_BAKE),
    ),
}
