"""Figures as an engineer reads them."""

import math
from datetime import timedelta
from typing import Final

from turnout.experiments.domain.plan import Plan
from turnout.observations.domain.metric import Metric
from turnout.stats.goal import GoalStatus, Interval

STANDS: Final = {
    GoalStatus.WIN: "does better",
    GoalStatus.HARM: "does worse",
    GoalStatus.FUTILE: "is unlikely to be shown better",
    GoalStatus.CONTINUE: "is not decided yet",
    GoalStatus.NOT_SHOWN: "was not shown to differ",
    GoalStatus.NO_DATA: "cannot be compared yet",
}
"""How a treatment stands against the control."""


def units(plan: Plan, count: int) -> str:
    """`random` draws each request for itself, so there it is requests that are counted."""
    noun = "unit" if plan.by_unit else "request"
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def more_units(plan: Plan, count: int) -> str:
    number, noun = units(plan, count).split(" ")
    return f"{number} more {noun}"


def value(metric: Metric, number: float) -> str:
    if metric.share:
        return f"{100 * number:.4g} %"
    return f"{_plain(number)}{_unit(metric)}"


def change(metric: Metric, number: float) -> str:
    if metric.share:
        return _points(f"{100 * number:+.3g}")
    return f"{_signed(number)}{_unit(metric)}"


def size(metric: Metric, number: float) -> str:
    """A difference without a direction, such as the least that matters."""
    if metric.share:
        return _points(f"{100 * number:.3g}")
    return f"{_plain(number)}{_unit(metric)}"


def between(metric: Metric, interval: Interval) -> str | None:
    """None where an end is open, which says too little to be read out."""
    low, high = interval
    if low is None or high is None:
        return None
    if metric.share:
        return f"between {100 * low:+.3g} and {change(metric, high)}"
    return f"between {_signed(low)} and {change(metric, high)}"


def relative(number: float) -> str:
    return f"{100 * number:+.3g} %"


def share(number: float) -> str:
    return f"{100 * number:.3g} %"


def listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def about(duration: timedelta) -> str:
    """Rounded up, in the unit that a person would use."""
    minutes = duration / timedelta(minutes=1)
    if minutes <= 1:
        return "a minute"
    if minutes < 100:
        return f"{math.ceil(minutes)} minutes"
    if minutes < 48 * 60:
        return f"{math.ceil(minutes / 60)} hours"
    return f"{math.ceil(minutes / 60 / 24)} days"


def _points(number: str) -> str:
    return f"{number} point" if number.lstrip("+-") == "1" else f"{number} points"


def _unit(metric: Metric) -> str:
    milliseconds = " ms" if metric.metric == "latency_mean" else ""
    return f"{milliseconds} per unit" if metric.per == "unit" else milliseconds


def _plain(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 10_000 else f"{number:.4g}"


def _signed(number: float) -> str:
    return f"{number:+,.0f}" if abs(number) >= 10_000 else f"{number:+.3g}"
