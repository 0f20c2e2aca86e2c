"""Before an experiment: how many units it needs, how long that takes, and what it can show."""

import math
from dataclasses import dataclass
from typing import Final

from turnout.experiments.domain.aim import MOST_UNITS, Aim, Past
from turnout.experiments.domain.forecast import Forecast, Source
from turnout.experiments.domain.plan import Plan
from turnout.quantities import BASIS_POINTS
from turnout.stats.baseline import Baseline

_WIDEST: Final = Baseline(value=0.5, variance=0.25, proportion=True)
"""No share of single events varies more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The size at which the search ends, in units of the variant with the least traffic."""

    target_sample_size: int
    reason: str


def settle(plan: Plan, past: Past) -> Settlement:
    """Fix the size of an experiment that starts; where nothing is known, what is surely enough.

    A metric of which nothing is known but that it is a share is taken to vary as much as one can.
    Of any other, no size can be told: then the experiment ends with its `max_duration`, and the
    goal is looked at once, with all of the error rate. Refused for an effect that no number of
    units would find. Takes up to a second: call it in a thread.
    """
    if plan.target_sample_size is not None:
        return Settlement(target_sample_size=plan.target_sample_size, reason="as planned")
    aim, baseline = Aim.of(plan), past.baseline
    if baseline is None and not plan.goal.share:
        return Settlement(
            target_sample_size=MOST_UNITS,
            reason=f"nothing is known of {plan.goal.metric} yet, so max_duration ends the search",
        )
    # Serving requests must not wait for numpy and scipy to load.
    from turnout.experiments.domain.prognosis import units  # noqa: PLC0415

    total = units(aim, baseline or _WIDEST)
    target = max(plan.min_sample_size, math.ceil(total * min(aim.weights) / BASIS_POINTS))
    value = "is not known" if baseline is None else f"has been {baseline.value:.4g}"
    return Settlement(
        target_sample_size=target,
        reason=f"{plan.goal.metric} {value}: {target:,} units in the smallest variant find an"
        f" effect of {aim.effect:g} with a chance of {aim.power:.0%}",
    )


def forecast(
    aim: Aim, past: Past, baseline: Baseline, *, baseline_is: Source, pace_is: Source | None
) -> Forecast:
    """What becomes of a plan. Takes up to a second: call it in a thread."""
    from turnout.experiments.domain import prognosis  # noqa: PLC0415  (as above)

    return prognosis.forecast(aim, past, baseline, baseline_is=baseline_is, pace_is=pace_is)
