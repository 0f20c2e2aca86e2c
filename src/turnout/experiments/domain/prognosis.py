"""The arithmetic of the planner, behind numpy and scipy.

What is promised is what the test of `stats.goal` keeps. Each treatment has its share of the error
rate; and since a winner ships only when every guardrail that must be proved is, those share the
chance of missing it (Schultzberg, Ankargren & Frånberg 2024).
"""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Final

from turnout.errors import Unprocessable
from turnout.experiments.domain.aim import MOST_UNITS, Aim, Past
from turnout.experiments.domain.forecast import (
    Assumptions,
    Chance,
    Expected,
    Forecast,
    SampleSize,
    Source,
    Ways,
)
from turnout.quantities import BASIS_POINTS
from turnout.stats import course
from turnout.stats.baseline import Baseline
from turnout.stats.course import Course
from turnout.stats.sizing import control_units, least_effect

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
LONGEST: Final = timedelta(days=3650)

_CURVE: Final = range(11)
"""The points of the power curve, in fifths of the minimum detectable effect."""


class EffectTooSmall(Unprocessable):
    def __init__(self, effect: float) -> None:
        super().__init__(
            f"an effect of {effect:g} takes more than {MOST_UNITS:,} units: plan for a larger one",
            field="minimum_detectable_effect",
        )


def units(aim: Aim, baseline: Baseline) -> float:
    """Units of all variants with which each treatment finds the effect with the power asked for,
    at most."""
    found = _single(aim, baseline) * _planned(aim).inflation
    if found > MOST_UNITS:
        raise EffectTooSmall(aim.effect)
    return found


def forecast(
    aim: Aim, past: Past, baseline: Baseline, *, baseline_is: Source, pace_is: Source | None
) -> Forecast:
    tests, needed = _planned(aim), units(aim, baseline)
    least = aim.min_sample_size * BASIS_POINTS / min(aim.weights)
    planned = max(needed, least)
    ahead = _attainable(aim, past)
    reached = planned if ahead is None else min(ahead, planned)
    can, reason = _conclusion(aim, past, baseline, planned=planned, ahead=ahead)
    at_hand = _with(aim, tests, share=reached / needed)
    enough = _with(aim, tests, share=planned / needed) or tests
    looked = enough.after(least / planned)
    return Forecast(
        can_conclude=can,
        reason=reason,
        ways=_ways(aim, past, baseline, planned=planned, ahead=ahead) if can is False else None,
        sample_size=_sizes(aim, planned),
        single_look=math.ceil(_single(aim, baseline)),
        expected=tuple(_expected(aim, past, looked, planned, times=times) for times in range(3)),
        duration=_duration(past, planned),
        power=at_hand.under(1).power if at_hand else 0.0,
        detectable_effect=None if ahead is None else _detectable(aim, baseline, ahead),
        power_curve=tuple(
            Chance(effect=step * aim.effect / 5, power=enough.under(step / 5).power)
            for step in _CURVE
        ),
        assumptions=Assumptions(
            baseline=baseline.value,
            baseline_is=baseline_is,
            unit_variance=baseline.variance,
            units_per_day=past.units_per_day,
            units_per_day_is=pace_is,
            measured_share=past.measured_share,
            label_delay=past.label_delay,
            alpha=aim.alpha,
            beta=aim.beta,
            looks=aim.looks,
        ),
    )


def _expected(aim: Aim, past: Past, test: Course, planned: float, *, times: int) -> Expected:
    """If the true effect is so many times the one looked for."""
    found = test.under(times).expected * planned
    return Expected(
        effect=times * aim.effect, units=math.ceil(found), duration=_duration(past, found)
    )


def _planned(aim: Aim) -> Course:
    return course.planned(alpha=aim.alpha, beta=aim.beta, looks=aim.looks, futility=aim.futility)


def _with(aim: Aim, tests: Course, *, share: float) -> Course | None:
    """The same test with so many of the units it needs; None without any."""
    if share <= 0:
        return None
    if share == 1:
        return tests
    return course.given(
        alpha=aim.alpha,
        beta=aim.beta,
        looks=aim.looks,
        futility=aim.futility,
        drift=tests.drift * math.sqrt(share),
    )


def _single(aim: Aim, baseline: Baseline) -> float:
    """Units of all variants for one look; the treatment that has it hardest says how many."""
    control, *treatments = aim.weights
    return max(
        control_units(
            baseline,
            aim.effect,
            alpha=aim.alpha,
            beta=aim.beta,
            ratio=weight / control,
            good=aim.good,
        )
        * BASIS_POINTS
        / control
        for weight in treatments
    )


def _detectable(aim: Aim, baseline: Baseline, total: float) -> float | None:
    """The least effect that so many units of all variants find with the power asked for."""
    control, *treatments = aim.weights
    if total * min(aim.weights) < aim.min_sample_size * BASIS_POINTS:
        return None
    found = [
        least_effect(
            baseline,
            total * control / BASIS_POINTS / _planned(aim).inflation,
            alpha=aim.alpha,
            beta=aim.beta,
            ratio=weight / control,
            good=aim.good,
        )
        for weight in treatments
    ]
    return None if None in found else max(effect for effect in found if effect is not None)


def _sizes(aim: Aim, total: float) -> SampleSize:
    control, *treatments = (math.ceil(total * weight / BASIS_POINTS) for weight in aim.weights)
    return SampleSize(
        control=control, treatments=tuple(treatments), total=control + sum(treatments)
    )


def _daily(past: Past) -> float | None:
    return None if past.units_per_day is None else past.units_per_day * past.measured_share


def _attainable(aim: Aim, past: Past) -> float | None:
    """The units whose outcomes are in before the time is up; None where the pace is not known."""
    daily = _daily(past)
    if daily is None:
        return None
    return min(MOST_UNITS, daily * max(0.0, (aim.max_duration - past.label_delay) / DAY))


def _duration(past: Past, total: float) -> timedelta | None:
    """Until so many units have come and most of their outcomes, too; None beyond ten years."""
    daily = _daily(past)
    if not daily or total / daily > LONGEST / DAY:
        return None
    return total / daily * DAY + past.label_delay


def _conclusion(
    aim: Aim, past: Past, baseline: Baseline, *, planned: float, ahead: float | None
) -> tuple[bool | None, str]:
    if not baseline.reaches(aim.effect, aim.good):
        way = "rise" if aim.good == "up" else "fall"
        return False, (
            f"the control is at {baseline.value:.4g}, and a share cannot {way} by {aim.effect:g}"
            f" from there"
        )
    size = f"{_sizes(aim, planned).total:,} units in all"
    if ahead is None:
        return None, f"at most {size} are needed; at which pace they come is not known"
    if ahead >= planned:
        taken = _duration(past, planned)
        assert taken is not None
        return True, f"at most {size} are needed, and they come within {spelt(taken)}"
    return False, (
        f"at most {size} are needed, and within {spelt(aim.max_duration)} only"
        f" {math.floor(ahead):,} come"
    )


def _ways(aim: Aim, past: Past, baseline: Baseline, *, planned: float, ahead: float | None) -> Ways:
    effect = None if not ahead else _detectable(aim, baseline, ahead)
    if not baseline.reaches(aim.effect, aim.good):
        return Ways(minimum_detectable_effect=effect)
    taken = _duration(past, planned)
    equal = replace(aim, weights=_equal(len(aim.weights)))
    enough = max(units(equal, baseline), aim.min_sample_size * BASIS_POINTS / min(equal.weights))
    return Ways(
        max_duration=None if taken is None else math.ceil(taken / HOUR) * HOUR,
        minimum_detectable_effect=effect,
        weights=equal.weights if ahead is not None and enough <= ahead else None,
    )


def _equal(arms: int) -> tuple[int, ...]:
    share = BASIS_POINTS // arms
    return (BASIS_POINTS - share * (arms - 1), *(share,) * (arms - 1))


def spelt(duration: timedelta) -> str:
    """In days, or in hours if that is less than two days."""
    if duration < 2 * DAY:
        return f"{duration / HOUR:.3g} hours"
    return f"{duration / DAY:.3g} days"
