"""Taking a look: whether it counts, what it finds, and what the next one needs to know."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from turnout.stats import goal_reason
from turnout.stats.anytime import anytime_p_value
from turnout.stats.effect import effect, too_few
from turnout.stats.goal import (
    GoalClaim,
    GoalFinding,
    GoalLook,
    GoalState,
    GoalStatus,
)
from turnout.stats.goal_bounds import (
    EARLIEST_FUTILITY,
    At,
    Bounds,
    Level,
    beta_for,
    bounds,
    critical_at_the_end,
)
from turnout.stats.intervals import difference, relative
from turnout.stats.sequential import conditional_power, predictive_power
from turnout.stats.stopped import claimed
from turnout.stats.tails import normal_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turnout.stats.effect import Effect, Stratum
    from turnout.stats.goal import GoalDesign

#: Of the planned information, what a look must add; at most two hundred looks count.
_LEAST_INCREMENT = 0.005

#: A final look that adds less than this is the last look over again, and not another one.
_LEAST_FINAL_INCREMENT = 1e-4

#: The level at which the anytime-valid p-value is most sensitive; changed on the way, it is void.
_TUNED_FOR = 0.95


def take(
    design: GoalDesign,
    state: GoalState,
    strata: Sequence[Stratum],
    *,
    proportion: bool,
    final: bool,
) -> tuple[GoalState, GoalFinding]:
    found = effect(strata, proportion=proportion)
    if found is None:
        return state, _nothing(state)
    lacking = too_few(strata, proportion=proportion)
    idle = _idle(design, state, found, lacking, final=final)
    if idle is None:
        state = _looked(design, state, found, trusted=lacking is None, final=final)
    note = lacking if idle is None else f"no look: {idle}"
    return state, _finding(
        design, state, found, strata, proportion=proportion, counted=idle is None, note=note
    )


def describe(
    design: GoalDesign, state: GoalState, strata: Sequence[Stratum], *, proportion: bool
) -> GoalFinding:
    found = effect(strata, proportion=proportion)
    if found is None:
        return _nothing(state)
    idle = goal_reason.ENDED if state.ended else goal_reason.NOT_DUE
    return _finding(
        design,
        state,
        found,
        strata,
        proportion=proportion,
        counted=False,
        note=f"no look: {idle}",
    )


def _nothing(state: GoalState) -> GoalFinding:
    return GoalFinding(
        status=state.looks[-1].status if state.ended else GoalStatus.NO_DATA,
        looks=len(state.looks),
        reason=goal_reason.NOTHING,
    )


def _idle(
    design: GoalDesign, state: GoalState, found: Effect, lacking: str | None, *, final: bool
) -> str | None:
    """Why this is no look; None when it is one."""
    if state.ended and not _may_be_found_yet(design, state):
        return goal_reason.ENDED
    if final or state.ended:
        return None
    if not design.early_stopping:
        return "one look is planned, at the end"
    if lacking is not None:
        return lacking
    if not state.looks or state.alpha != design.alpha:
        return None
    return None if _grown(design, state, found, _LEAST_INCREMENT) else goal_reason.NOTHING_NEW


def _may_be_found_yet(design: GoalDesign, state: GoalState) -> bool:
    """At a level that was raised after the end, on what the last look had seen."""
    shown = state.looks[-1].status in {GoalStatus.WIN, GoalStatus.HARM}
    return not shown and state.alpha is not None and design.alpha > state.alpha


def _grown(design: GoalDesign, state: GoalState, found: Effect, least: float) -> bool:
    """Whether units and information are both that much more; estimates of variance may fall."""
    last, now = state.looks[-1], _at(design, state, found)
    return now[0] - last.fraction >= least and now[1] - last.information >= least / 5


def _at(design: GoalDesign, state: GoalState, found: Effect) -> At:
    assert state.max_information is not None
    return found.size / design.size, found.information / state.max_information


def _looked(
    design: GoalDesign, state: GoalState, found: Effect, *, trusted: bool, final: bool
) -> GoalState:
    state = _planned(design, state, found)
    at, earlier = _at(design, state, found), state.looks
    z, value = normal_score(found.statistic, found.degrees_of_freedom), found.value
    if state.ended:
        z, value = earlier[-1].z, earlier[-1].effect
    least = _LEAST_FINAL_INCREMENT if final else _LEAST_INCREMENT
    if earlier and (state.ended or not _grown(design, state, found, least)):
        # The same data at a raised level, or for the last time: no second look at them.
        at, earlier = (earlier[-1].fraction, earlier[-1].information), earlier[:-1]
    end = final or state.ended or at[0] >= 1
    looks = (*_history(earlier), at)
    level = _level(design, state)
    after = bounds(level, looks, final=end)
    status = _status(design, level, after, looks, z, trusted=trusted)
    futile = state.futile or status is GoalStatus.FUTILE
    if end and status is GoalStatus.CONTINUE:
        status = GoalStatus.FUTILE if futile else GoalStatus.NOT_SHOWN
    return replace(
        state,
        alpha=design.alpha,
        looks=(*earlier, _look(at, after, value, z, status, trusted=trusted)),
        p_value=_least_p_value(state, z, at) if trusted else state.p_value,
        futile=futile,
        claim=_claim(state, after, z) if trusted and status is not GoalStatus.CONTINUE else None,
        ended=end or status in {GoalStatus.WIN, GoalStatus.HARM},
    )


def _planned(design: GoalDesign, state: GoalState, found: Effect) -> GoalState:
    """Fix what the plan leaves to the variance, which is pooled and so shows no effect.

    The unit of information at the first look; beta when it is first due, and the variance better
    known.
    """
    maximum = found.information * design.size / found.size
    drift = design.minimum_effect * math.sqrt(maximum)
    if state.max_information is None:
        state = replace(state, max_information=maximum, drift=drift)
    searches = design.early_stopping and design.futility is not None and state.beta is None
    if searches and found.size / design.size >= EARLIEST_FUTILITY:
        beta = beta_for(design.beta, alpha=design.alpha, drift=drift)
        state = replace(state, beta=beta)
    return state


def _level(design: GoalDesign, state: GoalState) -> Level:
    assert state.drift is not None
    return Level(alpha=design.alpha, beta=state.beta, drift=state.drift)


def _history(looks: Sequence[GoalLook]) -> tuple[At, ...]:
    return tuple((look.fraction, look.information) for look in looks)


def _status(
    design: GoalDesign,
    level: Level,
    after: Bounds,
    looks: tuple[At, ...],
    z: float,
    *,
    trusted: bool,
) -> GoalStatus:
    z = z if design.good == "up" else -z
    bound, elapsed = after.last.bound, looks[-1][0]
    if trusted and bound is not None and abs(z) >= bound:
        return GoalStatus.WIN if z > 0 else GoalStatus.HARM
    if after.futility_bound is not None and z <= after.futility_bound:
        return GoalStatus.FUTILE
    if level.beta is not None and design.futility is not None and elapsed < 1:
        conditional, _ = _chances(level, looks, z)
        if conditional < design.futility:
            return GoalStatus.FUTILE
    return GoalStatus.CONTINUE


def _chances(level: Level, looks: tuple[At, ...], z: float) -> tuple[float, float]:
    """Conditional and predictive power: of winning when all the planned units are in."""
    elapsed, information = looks[-1]
    critical = critical_at_the_end(level.alpha, looks)
    drift = level.drift * math.sqrt(information / elapsed)
    return (
        conditional_power(z, elapsed, critical=critical, drift=drift),
        predictive_power(z, elapsed, critical=critical),
    )


def _look(
    at: At, after: Bounds, value: float, z: float, status: GoalStatus, *, trusted: bool
) -> GoalLook:
    return GoalLook(
        fraction=at[0],
        information=at[1],
        bound=after.last.bound if trusted else None,
        futility_bound=after.futility_bound,
        spent=after.last.spent,
        z=z,
        effect=value,
        status=status,
    )


def _least_p_value(state: GoalState, z: float, at: At) -> float:
    p_value = anytime_p_value(z, 1.0, at[1], confidence=_TUNED_FOR, tuned_at=1.0)
    assert p_value is not None
    return p_value if state.p_value is None else min(p_value, state.p_value)


def _claim(state: GoalState, after: Bounds, z: float) -> GoalClaim:
    """Of the side that z is on. The futility bound does not bind, so it is no part of the walk,
    nor is the other side's, whose error is spent for itself."""
    assert state.max_information is not None
    test = after.efficacy
    result = claimed(
        abs(z),
        test.steps,
        [math.inf if look.bound is None else look.bound for look in test.looks[:-1]],
        confidence=1 - 2 * test.alpha,
    )
    unit = math.copysign(1 / math.sqrt(state.max_information), z)
    low, high = sorted(unit * drift for drift in result.interval)
    return GoalClaim(
        p_value=min(1.0, 2 * result.p_value),
        estimate=unit * result.drift,
        estimate_interval=(low, high),
    )


def _finding(
    design: GoalDesign,
    state: GoalState,
    found: Effect,
    strata: Sequence[Stratum],
    *,
    proportion: bool,
    counted: bool,
    note: str | None,
) -> GoalFinding:
    z = normal_score(found.statistic, found.degrees_of_freedom)
    last = state.looks[-1] if state.looks else None
    critical = math.inf if last is None or last.bound is None else last.bound
    lift = relative(strata, proportion=proportion, critical=critical)
    finding = GoalFinding(
        status=GoalStatus.CONTINUE,
        effect=found.value,
        control=found.control,
        treatment=found.treatment,
        standard_error=math.sqrt(found.variance),
        z=z,
        interval=difference(strata, proportion=proportion, critical=critical),
        relative_effect=lift.value,
        relative_interval=lift.interval,
        counted=counted,
        reason="",
    )
    if last is not None:
        finding = _with_looks(finding, state, last)
    if last is not None and not state.ended:
        good = z if design.good == "up" else -z
        conditional, predictive = _chances(_level(design, state), _history(state.looks), good)
        finding = replace(finding, conditional_power=conditional, predictive_power=predictive)
    return replace(finding, reason=goal_reason.sentence(finding, note, proportion=proportion))


def _with_looks(finding: GoalFinding, state: GoalState, last: GoalLook) -> GoalFinding:
    claim = state.claim
    finding = replace(
        finding,
        status=last.status,
        fraction=last.fraction,
        bound=last.bound,
        futility_bound=last.futility_bound,
        spent=last.spent,
        looks=len(state.looks),
        p_value=state.p_value,
        p_kind="anytime",
    )
    if claim is None:
        return finding
    return replace(
        finding,
        p_value=claim.p_value,
        p_kind="stage-wise",
        estimate=claim.estimate,
        estimate_interval=claim.estimate_interval,
    )
