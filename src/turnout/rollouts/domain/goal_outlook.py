"""When the goal of an A/B stage will be decided, before there is a candidate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from turnout.quantities import BASIS_POINTS, Duration
from turnout.rollouts.domain.goals import BETA, INFLATION, LEAST_UNITS, StageGoal
from turnout.rollouts.domain.plan import Stage
from turnout.stats.baseline import Baseline

DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalPast:
    """A goal's metric of the baseline as it has been; it becomes known of so many of the units
    that come in a day, and so late."""

    units_per_day: float | None
    baseline: Baseline | None = None
    delay: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalForecast:
    """What the goal of a stage takes.

    `sample_size` is the most units of the candidate, and `decides_after` when they and their
    outcomes are in: the answer may be clear before. Null where it cannot be told.
    """

    goal: StageGoal
    sample_size: int | None
    decides_after: Duration | None
    in_time: bool | None
    reason: str


def goal_outlook(stage: Stage, pasts: Mapping[StageGoal, GoalPast]) -> GoalForecast | None:
    """None for a stage without a goal."""
    goal = stage.goal
    if goal is None:
        return None
    past = pasts.get(goal)
    size = _size(goal, stage, past)
    if past is None or size is None:
        return _unknown(goal, size, f"nothing is known of {goal.metric} of late")
    if not past.units_per_day:
        return _unknown(goal, size, "the model has had no traffic of late")
    daily = past.units_per_day * stage.weight / BASIS_POINTS
    after = None
    if size / daily < LONGEST / DAY:
        after = timedelta(seconds=math.ceil(size / daily * 86_400)) + past.delay
    in_time = after is not None and after <= stage.longest
    come = math.floor(daily * max(0.0, (stage.longest - past.delay) / DAY))
    needed = f"the candidate needs at most {size:,} units"
    return GoalForecast(
        goal=goal,
        sample_size=size,
        decides_after=after,
        in_time=in_time,
        reason=f"{needed}, which come in time"
        if in_time
        else f"{needed}, and before the stage's time is up {come:,} come",
    )


def _unknown(goal: StageGoal, size: int | None, reason: str) -> GoalForecast:
    return GoalForecast(
        goal=goal, sample_size=size, decides_after=None, in_time=None, reason=reason
    )


def _size(goal: StageGoal, stage: Stage, past: GoalPast | None) -> int | None:
    if goal.target_sample_size is not None:
        return goal.target_sample_size
    if past is None or past.baseline is None:
        return None
    # Serving requests must not wait for numpy and scipy to load.
    from turnout.stats.sizing import control_units  # noqa: PLC0415

    ratio = stage.weight / (BASIS_POINTS - stage.weight)
    control = control_units(
        past.baseline,
        goal.minimum_detectable_effect,
        alpha=goal.alpha,
        beta=BETA,
        ratio=ratio,
        good="up" if goal.improves_by == "increase" else "down",
    )
    units = INFLATION * control * ratio
    return max(LEAST_UNITS, round(units)) if math.isfinite(units) else None
