"""One comparison at a time: does the lift's interval cover, do test and interval agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.decisions.rivals import FIXED_BOUND, LEVEL
from benchmarks.decisions.scenario import BASELINE
from turnout.stats.comparison import (
    Comparison,
    compare_means,
    compare_proportions,
    lift,
)
from turnout.stats.moments import Moments, Proportion

Alternative = Literal["two-sided", "greater", "less"]

LIFTS = (0.0, 0.1, 0.5, 1.0)
USERS = 5_000

_SWAPPED: dict[Alternative, Alternative] = {
    "two-sided": "two-sided",
    "greater": "less",
    "less": "greater",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often an interval for a lift contains it, and disagrees with the test of a difference."""

    lift: float
    fieller: float
    contradictions: int
    divided: float
    """By the limits of the difference over the control's rate, its error left out."""
    delta: float


def coverage(rng: np.random.Generator, true: float, replications: int) -> Coverage:
    control = rng.binomial(USERS, BASELINE, replications)
    treatment = rng.binomial(USERS, BASELINE * (1 + true), replications)
    covered = contradictions = 0
    for x, y in zip(control.tolist(), treatment.tolist(), strict=True):
        arms = Proportion(USERS, x), Proportion(USERS, y)
        relative, absolute = lift(*arms, confidence=1 - LEVEL), compare_proportions(*arms)
        assert relative.interval is not None
        low, high = relative.interval
        assert low is not None
        assert high is not None
        covered += low <= true <= high
        contradictions += _excludes(relative, 0.0) != _excludes(absolute, 0.0)
    return Coverage(
        lift=true,
        fieller=covered / replications,
        contradictions=contradictions,
        divided=_covers(control, treatment, true, with_control=False),
        delta=_covers(control, treatment, true, with_control=True),
    )


def _covers(
    control: np.ndarray, treatment: np.ndarray, true: float, *, with_control: bool
) -> float:
    p, q = control / USERS, treatment / USERS
    variance = (p * (1 - p) + q * (1 - q)) / USERS / p**2
    if with_control:
        variance = (q * (1 - q) + p * (1 - p) * (q / p) ** 2) / USERS / p**2
    return float((np.abs(q / p - 1 - true) <= FIXED_BOUND * np.sqrt(variance)).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """Violations in so many random inputs."""

    inputs: int
    duality: int
    swap: int
    unit: int


def laws(rng: np.random.Generator, *, proportions: int, means: int) -> Laws:
    """Test and interval are one; neither the order of the arms nor the unit matters."""
    broken = np.zeros(3, dtype=int)
    for arms, alternative, margin in _random_proportions(rng, proportions):
        result = compare_proportions(*arms, alternative=alternative, margin=margin)
        control, treatment = arms
        swapped = compare_proportions(
            treatment, control, alternative=_SWAPPED[alternative], margin=margin
        )
        broken += (_dual(result, alternative, margin), not _mirrored(result, swapped), 0)
    for pair in random_means(rng, means):
        alternative = _ALTERNATIVES[int(rng.integers(3))]
        a, b = (_moments(*arm) for arm in pair)
        factor, shift = float(10 ** rng.uniform(-6, 6)), float(rng.uniform(-100, 100))
        result = compare_means(a, b, alternative=alternative)
        swapped = compare_means(b, a, alternative=_SWAPPED[alternative])
        moved = compare_means(
            *(_moved(arm, factor, shift) for arm in (a, b)), alternative=alternative
        )
        broken += (
            _dual(result, alternative, 0.0),
            not _mirrored(result, swapped),
            not _same(result.p_value, moved.p_value),
        )
    duality, swap, unit = broken.tolist()
    return Laws(inputs=proportions + means, duality=duality, swap=swap, unit=unit)


_ALTERNATIVES: Sequence[Alternative] = ("two-sided", "greater", "less")

Arm = tuple[int, float, float]
"""n, mean and standard deviation."""


def random_means(rng: np.random.Generator, count: int) -> Iterator[tuple[Arm, Arm]]:
    for _ in range(count):
        n, m = rng.integers(2, 10_000, 2).tolist()
        deviations = 10 ** rng.uniform(-3, 3, 2)
        gap = rng.normal(0, 3) * math.hypot(deviations[0] / n**0.5, deviations[1] / m**0.5)
        mean = float(rng.uniform(-10, 10))
        yield (n, mean, float(deviations[0])), (m, mean + gap, float(deviations[1]))


def _random_proportions(
    rng: np.random.Generator, count: int
) -> Iterator[tuple[tuple[Proportion, Proportion], Alternative, float]]:
    for _ in range(count):
        n, m = np.rint(10 ** rng.uniform(0.5, 5, 2)).astype(int).tolist()
        rate = rng.beta(0.5, 2)
        other = min(1.0, rate * rng.lognormal(0, 0.2))
        arms = (
            Proportion(n, int(rng.binomial(n, rate))),
            Proportion(m, int(rng.binomial(m, other))),
        )
        alternative = _ALTERNATIVES[int(rng.integers(3))]
        margin = 0.0 if alternative == "two-sided" else float(rng.choice([0.0, 0.001, 0.02]))
        yield arms, alternative, margin


def _moments(n: int, mean: float, deviation: float) -> Moments:
    return Moments(n, mean, deviation**2 * (n - 1))


def _moved(arm: Moments, factor: float, shift: float) -> Moments:
    return Moments(arm.n, arm.mean * factor + shift * factor, arm.m2 * factor**2)


def _dual(result: Comparison, alternative: Alternative, margin: float) -> bool:
    """Whether p-value and interval contradict each other, rounding of the level aside."""
    if result.p_value is None or _same(result.p_value, 1 - result.confidence):
        return False
    null = margin if alternative == "less" else -margin
    return _excludes(result, null) != (result.p_value < 1 - result.confidence)


def _excludes(result: Comparison, value: float) -> bool:
    if result.interval is None:
        return False
    low, high = result.interval
    return (low is not None and low > value) or (high is not None and high < value)


def _mirrored(result: Comparison, swapped: Comparison) -> bool:
    if result.interval is None or swapped.interval is None:
        return result.interval is swapped.interval
    ends = zip(result.interval, reversed(swapped.interval), strict=True)
    return _same(result.p_value, swapped.p_value) and all(
        one is other if one is None or other is None else math.isclose(one, -other, abs_tol=1e-9)
        for one, other in ends
    )


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-300)
