"""Is a limit kept? By the figure as it is, or by what it shows beyond chance.

The bound of a share is the mixture martingale of `stats.bernoulli`: exact, and it holds at every
look while a window fills. For confidences, which lie between 0 and 1, it holds as well: of all
such values with one mean, those that are 0 or 1 make the martingale the greatest. A percentile is
put to the same test, as the share of requests that were slower. The bound of a mean latency is
Student's, with the spread taken from the sketch.
"""

import math
from dataclasses import dataclass
from typing import Final

from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.thresholds import CONFIDENCE, Judge, Rule
from turnout.observations.domain.figures import Figures
from turnout.stats.bernoulli import log_evidence
from turnout.stats.quantile_sketch import GAMMA, RELATIVE_ACCURACY, QuantileSketch
from turnout.stats.verdict import Verdict

CLEARANCE: Final = 0.1
"""Who fires is over once it keeps this share of its limit free, so that it does not flap."""

_ENOUGH: Final = -math.log(1 - CONFIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`value` is the figure, over `n` predictions.

    Of drift, `whose` says whether it is the version's or the world's, and `features` which of them
    have moved.
    """

    verdict: Verdict
    value: float | None
    n: int
    reason: str
    whose: Whose | None = None
    features: tuple[str, ...] = ()


def judge(rule: Rule, figures: Figures) -> Judgement:
    """What is not known is no pass, and no failure either; what is no number is an error."""
    value, n = _read(rule, figures)
    if value is None or n == 0:
        return nothing_known(rule)
    if not math.isfinite(value):
        return Judgement(
            verdict=Verdict.ERROR, value=None, n=n, reason=f"{rule.metric} is not a number"
        )
    said = f"{_shown(rule, value)} over {n:,} predictions"
    if n < rule.fewest:
        return Judgement(
            verdict=Verdict.INSUFFICIENT_SAMPLE,
            value=value,
            n=n,
            reason=f"{said}: {rule.fewest:,} are needed",
        )
    return Judgement(verdict=_verdict(rule, figures, value, n), value=value, n=n, reason=said)


def nothing_known(rule: Rule) -> Judgement:
    reason = f"no prediction with {_known(rule)}"
    return Judgement(verdict=Verdict.NO_DATA, value=None, n=0, reason=reason)


def _verdict(rule: Rule, figures: Figures, value: float, n: int) -> Verdict:
    if _beyond(rule, value):
        if rule.judged_by is Judge.ESTIMATE or _shown_beyond(rule, figures, value, n):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if _clear(rule, value) else Verdict.INCONCLUSIVE


def _beyond(rule: Rule, value: float) -> bool:
    return value > rule.limit if rule.max is not None else value < rule.limit


def _clear(rule: Rule, value: float) -> bool:
    if rule.max is not None:
        return value <= rule.limit * (1 - CLEARANCE)
    return value >= rule.limit + (1 - rule.limit) * CLEARANCE


def _read(rule: Rule, figures: Figures) -> tuple[float | None, int]:
    """The figure, and over how many predictions."""
    if rule.quantile is not None:
        return figures.latencies.quantile(rule.quantile), figures.latencies.count
    rate = figures.error_rate
    return {
        "error_rate": (rate, figures.predictions),
        "success_rate": (None if rate is None else 1 - rate, figures.predictions),
        "accuracy": (figures.accuracy, figures.labelled),
        "confidence": (figures.confidence.value, figures.confidence.n),
        "cost": (figures.cost.value, figures.cost.n),
        "latency_mean": (figures.latency.value, figures.latency.n),
    }[rule.metric]


def _shown_beyond(rule: Rule, figures: Figures, value: float, n: int) -> bool:
    if rule.metric == "latency_mean":
        return _mean_shown_above(figures.latencies, value, n, rule.limit)
    if rule.quantile is not None:
        return _share_shown_above(figures.latencies.count_above(rule.limit), n, 1 - rule.quantile)
    share, limit = (value, rule.limit) if rule.max is not None else (1 - value, 1 - rule.limit)
    # Down to whole events: of a mean confidence, a little less than was seen.
    return _share_shown_above(min(n, math.floor(share * n + 1e-9)), n, limit)


def _share_shown_above(events: int, n: int, limit: float) -> bool:
    if limit <= 0:
        return events > 0
    if limit >= 1:
        return False
    return log_evidence(events, n, limit) >= _ENOUGH


def _mean_shown_above(latencies: QuantileSketch, mean: float, n: int, limit: float) -> bool:
    # Serving requests must not wait for scipy to load.
    from turnout.stats.tails import critical_value  # noqa: PLC0415

    squares = sum(
        count * (2 * GAMMA**index / (GAMMA + 1)) ** 2 for index, count in latencies.counts
    )
    # A value may lie this far from the middle of its bucket.
    inexact = (RELATIVE_ACCURACY * mean) ** 2
    variance = max(0.0, squares / n - mean**2) + inexact
    reach = critical_value(CONFIDENCE, "greater", n - 1) if n > 1 else math.inf
    return mean - reach * math.sqrt(variance / n) > limit


def _known(rule: Rule) -> str:
    match rule.metric:
        case "accuracy":
            return "a label"
        case "confidence" | "cost":
            return f"a {rule.metric}"
        case "error_rate" | "success_rate":
            return "an answer or an error"
        case _:
            return "a latency"


def _shown(rule: Rule, value: float) -> str:
    """The figure as it is read at night."""
    if rule.metric in {"error_rate", "success_rate", "accuracy"}:
        return f"{rule.metric} {value:.1%}"
    if rule.metric.startswith("latency"):
        return f"{rule.metric} {value:,.0f} ms"
    return f"{rule.metric} {value:.3g}"
