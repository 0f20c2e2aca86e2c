"""What the candidate of a stage is to improve, and how that is followed."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from annotated_types import Ge

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.judging import totals
from turnout.observations.domain.metric import Goal
from turnout.quantities import BASIS_POINTS, STRICT
from turnout.stats.baseline import Baseline
from turnout.stats.effect import Stratum, per_exposed_unit
from turnout.stats.goal import GoalDesign, GoalFinding, GoalState, GoalStatus, look
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

EXPOSURE: Final = "error_rate"
"""Every prediction is an error or none, so this metric has all units that were exposed."""

LEAST_UNITS: Final = 100
"""In each arm, before the goal is looked at."""

BETA: Final = 0.2
"""The chance to miss an improvement of the minimum detectable effect."""

INFLATION: Final = 1.09
"""What looking on the way costs at most, in units: HSD(-3) with futility HSD(-8) is at 1.081 for
a hundred looks, and a few more are allowed."""

LEAST_NEWS: Final = 0.005
"""Of the planned units, what a look must add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGoal(Goal):
    """What the candidate is to improve before its stage passes.

    The stage has passed when the candidate is shown to be better than the baseline, by looks that
    together err with a chance of at most (1 - confidence_level)/2. `minimum_detectable_effect` is
    the least improvement that matters: one of that size is found with a chance of 80 %. The search
    ends after `target_sample_size` units of the candidate; without it, their number follows from
    how much the first units differ.
    """

    __pydantic_config__ = STRICT

    target_sample_size: Annotated[int, Ge(LEAST_UNITS)] | None = None
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        Goal.__post_init__(self)
        if not 0.5 < self.confidence_level < 1:
            raise ValueError("confidence_level lies between 0.5 and 1, such as 0.95")

    @property
    def alpha(self) -> float:
        """Of one side: better, and worse."""
        return (1 - self.confidence_level) / 2

    def __str__(self) -> str:
        return f"{self.metric} to {self.improves_by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalMemory:
    """Of the goal of one split: the units that were planned, and what the looks so far have left.

    `units` are those of the candidate at the last look.
    """

    target: int | None = None
    units: int = 0
    state: GoalState = field(default_factory=GoalState)
    finding: GoalFinding | None = None


def pursue(
    goal: StageGoal,
    memory: GoalMemory,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    *,
    weight: int,
    final: bool,
) -> tuple[GoalFinding, GoalMemory]:
    """Look at the goal, if enough is new since the last look or this is the `final` one.

    What was found stands until the next look, and for good once the search has ended.
    """
    if memory.state.ended and memory.finding is not None:
        return memory.finding, memory
    try:
        stratum = Stratum(control=_measured(goal, baseline), treatment=_measured(goal, candidate))
        units = stratum.treatment.units
        if min(units, stratum.control.units) < LEAST_UNITS:
            return _too_early(stratum), memory
        ratio = (BASIS_POINTS - weight) / weight
        target = memory.target or _target(goal, stratum, ratio=ratio)
        if target is None:
            return _undecided("nothing varies yet, so nothing can be compared"), memory
        last = memory.finding
        if last is not None and not final and units - memory.units < LEAST_NEWS * target:
            return last, memory
        design = _design(goal, target, ratio=ratio)
        state, finding = look(
            design, memory.state, [stratum], proportion=goal.proportion, final=final
        )
    except (ValueError, ArithmeticError) as error:
        return _undecided(f"the recorded figures cannot be right: {error}"), memory
    return finding, replace(memory, target=target, units=units, state=state, finding=finding)


def verdict(finding: GoalFinding) -> Verdict:
    """The goal in the words of guardrails. Whoever does not find an improvement found no harm."""
    match finding.status:
        case GoalStatus.WIN:
            return Verdict.PASS
        case GoalStatus.HARM:
            return Verdict.FAIL
        case GoalStatus.NO_DATA:
            return Verdict.NO_DATA
        case GoalStatus.FUTILE | GoalStatus.NOT_SHOWN | GoalStatus.CONTINUE:
            return Verdict.INCONCLUSIVE


def _measured(goal: StageGoal, arm: ArmEvidence | None) -> UnitTotals:
    recorded = totals(goal.series, arm)
    if goal.per == "outcome":
        return recorded
    return per_exposed_unit(totals(EXPOSURE, arm), recorded)


def _design(goal: StageGoal, target: int, *, ratio: float) -> GoalDesign:
    return GoalDesign(
        minimum_effect=goal.minimum_detectable_effect,
        good="up" if goal.improves_by == "increase" else "down",
        alpha=goal.alpha,
        beta=BETA,
        units=target,
        ratio=ratio,
    )


def _target(goal: StageGoal, stratum: Stratum, *, ratio: float) -> int | None:
    """The candidate's units, by how the units of both arms together vary: that tells nothing of
    which is better, so it may be looked at before anything is planned."""
    if goal.target_sample_size is not None:
        return goal.target_sample_size
    # Most of what imports this follows no goal, and must not wait for scipy to load.
    from turnout.stats.sizing import control_units  # noqa: PLC0415

    seen = Baseline.of(stratum.control + stratum.treatment, proportion=goal.proportion)
    if seen is None:
        return None
    control = control_units(
        seen,
        goal.minimum_detectable_effect,
        alpha=goal.alpha,
        beta=BETA,
        ratio=1 / ratio,
        good="up" if goal.improves_by == "increase" else "down",
    )
    return max(LEAST_UNITS, round(INFLATION * control / ratio))


def _too_early(stratum: Stratum) -> GoalFinding:
    fewest = min(stratum.control.units, stratum.treatment.units)
    if not fewest:
        return GoalFinding(status=GoalStatus.NO_DATA, reason="no data in one of the arms")
    return _undecided(f"{fewest} of at least {LEAST_UNITS} units in each arm")


def _undecided(reason: str) -> GoalFinding:
    return GoalFinding(status=GoalStatus.CONTINUE, reason=f"not decided yet: {reason}")
