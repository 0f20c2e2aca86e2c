"""Before a rollout: how long its stages take, how much each will see, and what that can show."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from turnout.quantities import Duration, Weight
from turnout.rollouts.domain.goal_outlook import GoalForecast, goal_outlook
from turnout.rollouts.domain.outlook import History, LimitForecast, outlook, shares
from turnout.rollouts.domain.plan import Plan, Stage

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Predictions by the end of the bake time, at today's pace."""

    candidate: int
    baseline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """`can_conclude` is whether every guardrail that counts can be passed in time, and whether
    the goal, if there is one, is decided by then."""

    index: int
    weight: Weight
    shadow: bool
    approval: bool
    starts_after: Duration
    ends_after: Duration
    warm_up: Duration
    bake: Duration
    max_duration: Duration
    samples: Samples | None
    guardrails: tuple[LimitForecast, ...]
    goal: GoalForecast | None
    can_conclude: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutForecast:
    """What a rollout would come to.

    `refusal` says why it could not be started now. `duration` is without approvals, if nothing
    goes wrong; `max_duration` is when, at the latest, it has finished or paused. A model's first
    version goes live at once.
    """

    can_conclude: bool | None
    reason: str
    refusal: str | None
    first_version: bool
    candidate: str
    baseline: str | None
    predictions_per_day: float | None
    duration: Duration
    max_duration: Duration
    stages: tuple[StageForecast, ...]


def stages(plan: Plan, history: History) -> tuple[StageForecast, ...]:
    """Each stage at today's pace; the later ones start when those before them can end.

    Takes up to a second: call it in a thread.
    """
    found: list[StageForecast] = []
    starts_after = timedelta()
    gates = max(1, plan.gates)
    for index, stage in enumerate(plan.stages):
        limits = tuple(
            outlook(stage, limit, history, alpha=(1 - limit.confidence) / gates)
            for limit in plan.limits(index)
        )
        goal = goal_outlook(stage, history.goals)
        waits = [limit.decides_after for limit in limits if not limit.guardrail.dry_run]
        waits.append(goal.decides_after if goal else None)
        needed = max((wait for wait in waits if wait is not None), default=timedelta())
        ends_after = starts_after + stage.warm_up + min(max(stage.bake, needed), stage.longest)
        found.append(
            _stage(
                index,
                stage,
                span=(starts_after, ends_after),
                limits=limits,
                goal=goal,
                pace=history.predictions_per_day,
            )
        )
        starts_after = ends_after
    return tuple(found)


def _stage(
    index: int,
    stage: Stage,
    *,
    span: tuple[timedelta, timedelta],
    limits: tuple[LimitForecast, ...],
    goal: GoalForecast | None,
    pace: float | None,
) -> StageForecast:
    gating = [in_time for _, in_time, _ in _gates(limits, goal)]
    can = False if False in gating else None if None in gating else True
    samples = None
    if pace is not None:
        candidate, baseline = (round(share * pace * (stage.bake / DAY)) for share in shares(stage))
        samples = Samples(candidate=candidate, baseline=baseline)
    return StageForecast(
        index=index,
        weight=stage.weight,
        shadow=stage.shadow,
        approval=stage.approval,
        starts_after=span[0],
        ends_after=span[1],
        warm_up=stage.warm_up,
        bake=stage.bake,
        max_duration=stage.longest,
        samples=samples,
        guardrails=limits,
        goal=goal,
        can_conclude=can,
    )


def _gates(
    limits: tuple[LimitForecast, ...], goal: GoalForecast | None
) -> list[tuple[str, bool | None, str]]:
    """What must be passed to end a stage, whether that can be in time, and why."""
    found = [
        (str(limit.guardrail), limit.in_time, limit.reason)
        for limit in limits
        if not limit.guardrail.dry_run
    ]
    return found if goal is None else [*found, (str(goal.goal), goal.in_time, goal.reason)]


def forecast(
    plan: Plan, history: History, *, candidate: str, baseline: str | None, refusal: str | None
) -> RolloutForecast:
    """What becomes of a rollout. Takes up to a second: call it in a thread."""
    first = baseline is None and refusal is None
    found = () if first else stages(plan, history)
    can, reason = _conclusion(found, first=first, refusal=refusal)
    last = found[-1] if found else None
    return RolloutForecast(
        can_conclude=can,
        reason=reason,
        refusal=refusal,
        first_version=first,
        candidate=candidate,
        baseline=baseline,
        predictions_per_day=history.predictions_per_day,
        duration=last.ends_after if last else timedelta(),
        max_duration=sum(
            (stage.warm_up + stage.max_duration for stage in found), start=timedelta()
        ),
        stages=found,
    )


def _conclusion(
    found: tuple[StageForecast, ...], *, first: bool, refusal: str | None
) -> tuple[bool | None, str]:
    if refusal is not None:
        return False, f"it could not be started now: {refusal}"
    if first:
        return True, "the model's first version goes live at once"
    gates = [
        (in_time, f"stages[{stage.index}], {gate}: {reason}")
        for stage in found
        for gate, in_time, reason in _gates(stage.guardrails, stage.goal)
    ]
    for answer in (False, None):
        for in_time, reason in gates:
            if in_time is answer:
                return answer, reason
    return True, "every guardrail has in time what a pass takes"
