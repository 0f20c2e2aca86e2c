"""A shadow beside the version that answers, on the same inputs: for people to look at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import PROPORTIONS
from turnout.observations.domain.judging import totals
from turnout.observations.domain.pairs import ClassPair
from turnout.stats.guardrail import BURN_IN
from turnout.stats.quantile_guardrail import quantile_bounds
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.score import ScoreTest, anytime_critical
from turnout.stats.totals import UnitTotals

ALPHA: Final = 0.05 / 2
"""What each end of an interval may err by, over all looks together."""

TUNED_AT: Final = 1_000
"""Units at which the intervals are tightest."""

Interval = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The mean over pairs of answers, between `low` and `high` with 95 % confidence."""

    pairs: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A figure of both versions; their difference, shadow less served, lies between `low` and
    `high` with 95 % confidence."""

    served: float | None
    shadow: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """How often each version answered this class, for the same inputs."""

    label: str
    served: int
    shadow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowComparison:
    """What a shadow made of the inputs that were served.

    `agreement` is the share of inputs for which both said the same class; `confidence_shift` and
    `latency_shift` (milliseconds) are shadow less served, input by input, and `flips` lists the
    inputs on which the class would have changed. Pairs are of two answers: failures are in
    `error_rate`. Beyond 200 different pairs of classes the rest is counted under "". Intervals
    hold at every look; null is an end that is not known yet.
    """

    agreement: Paired
    confidence_shift: Paired
    latency_shift: Paired
    error_rate: Sides
    accuracy: Sides
    latency_p50: Sides
    latency_p99: Sides
    classes: tuple[ClassCounts, ...]
    flips: tuple[ClassPair, ...]


def compare(
    served: ArmEvidence | None, shadow: ArmEvidence | None, pairs: Sequence[ClassPair]
) -> ShadowComparison:
    """Compare two arms of one split; an arm is None before its first prediction."""
    return ShadowComparison(
        agreement=_paired("agreement", shadow),
        confidence_shift=_paired("confidence_shift", shadow),
        latency_shift=_paired("latency_shift", shadow),
        error_rate=_rates("error_rate", served, shadow),
        accuracy=_rates("accuracy", served, shadow),
        latency_p50=_quantiles(0.5, served, shadow),
        latency_p99=_quantiles(0.99, served, shadow),
        classes=_classes(pairs),
        flips=tuple(pair for pair in pairs if pair.served != pair.shadow),
    )


def _paired(metric: str, shadow: ArmEvidence | None) -> Paired:
    found = totals(metric, shadow)
    proportion = metric in PROPORTIONS
    low, high = _interval(ScoreTest(proportion=proportion, signed=not proportion), found)
    return Paired(pairs=round(found.n), value=found.rate, low=low, high=high)


def _rates(metric: str, served: ArmEvidence | None, shadow: ArmEvidence | None) -> Sides:
    old, new = totals(metric, served), totals(metric, shadow)
    return _sides(old.rate, new.rate, _interval(ScoreTest(proportion=True), new, old))


def _interval(test: ScoreTest, shadow: UnitTotals, served: UnitTotals | None = None) -> Interval:
    if min(arm.n for arm in (shadow, served) if arm is not None) < BURN_IN:
        return None, None
    critical = anytime_critical(shadow, served, alpha=ALPHA, tuned_at=TUNED_AT)
    return test.interval(shadow, served, below=critical, above=critical)


def _quantiles(q: float, served: ArmEvidence | None, shadow: ArmEvidence | None) -> Sides:
    """Each version's bound errs by half of what their difference may."""
    old, new = (arm.latency if arm else QuantileSketch() for arm in (served, shadow))
    old_low, old_high = quantile_bounds(old, q=q, alpha=ALPHA / 2)
    new_low, new_high = quantile_bounds(new, q=q, alpha=ALPHA / 2)
    interval = (_less(new_low, old_high), _less(new_high, old_low))
    return _sides(old.quantile(q), new.quantile(q), interval)


def _sides(served: float | None, shadow: float | None, interval: Interval) -> Sides:
    low, high = interval
    difference = _less(shadow, served)
    return Sides(served=served, shadow=shadow, difference=difference, low=low, high=high)


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _classes(pairs: Sequence[ClassPair]) -> tuple[ClassCounts, ...]:
    served: Counter[str] = Counter()
    shadow: Counter[str] = Counter()
    for pair in pairs:
        served[pair.served] += pair.n
        shadow[pair.shadow] += pair.n
    labels = sorted(served | shadow, key=lambda label: (-served[label], -shadow[label], label))
    return tuple(
        ClassCounts(label=label, served=served[label], shadow=shadow[label]) for label in labels
    )
