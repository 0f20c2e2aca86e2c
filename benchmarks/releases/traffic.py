"""What a release sees: requests in windows of equal length, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain.plan import Plan
from turnout.stats.totals import UnitTotals
from turnout.stats.waves import Waves

Vector = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Course:
    """A plan as it goes when nothing holds it up: the stage of every window.

    `requests` are those of both arms in a window, which are divided by the stage's weight.
    """

    plan: Plan
    window: timedelta
    requests: int

    @cached_property
    def stage(self) -> Counts:
        lasting = [stage.bake // self.window for stage in self.plan.stages]
        return np.repeat(np.arange(len(lasting)), lasting)

    @cached_property
    def candidate(self) -> Counts:
        weights = np.array([stage.weight for stage in self.plan.stages])
        return self.requests * weights[self.stage] // BASIS_POINTS

    @cached_property
    def baseline(self) -> Counts:
        return self.requests - self.candidate

    @property
    def windows(self) -> int:
        return len(self.stage)

    def ends(self, stage: int) -> int:
        """The last window of a stage."""
        return int(np.flatnonzero(self.stage == stage)[-1])


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric of one arm: in each window the events and the sum of their values, and after it
    the totals of its stage so far."""

    n: Counts
    x: Vector
    totals: tuple[UnitTotals, ...]

    @cached_property
    def mean(self) -> Vector:
        """NaN where a window had no event, as a query for a rate says."""
        return np.where(self.n > 0, self.x / np.maximum(self.n, 1), math.nan)


@dataclass(frozen=True, kw_only=True)
class Arms:
    candidate: Mapping[str, Series]
    baseline: Mapping[str, Series]


@dataclass(frozen=True, kw_only=True)
class Release:
    """`whole` is all that either version answered. `even` are arms of equal size, a part of the
    larger one chosen at random: what peers compare that want it so. `waves` are those of the
    difference in latency, as a day of the baseline alone tells them."""

    whole: Arms
    even: Arms
    waves: Waves | None = None


def counted(course: Course, n: Counts, x: Vector) -> Series:
    """Of a proportion, with every event from a unit of its own."""
    seen, found = _since(course, n), _since(course, x)
    totals = tuple(
        UnitTotals(units=int(units), n=units, n2=units, x=count, x2=count, xn=count)
        for units, count in zip(seen.tolist(), found.tolist(), strict=True)
    )
    return Series(n=n, x=x, totals=totals)


def measured(course: Course, n: Counts, values: Vector) -> Series:
    """Of measurements, in the order of the windows, with every one from a unit of its own."""
    ends = np.concatenate(([0], np.cumsum(n)))
    sums, squares = (
        np.diff(np.concatenate(([0.0], np.cumsum(each)))[ends]) for each in (values, values**2)
    )
    rows = zip(
        *(_since(course, each).tolist() for each in (n, sums, squares)),
        strict=True,
    )
    totals = tuple(
        UnitTotals(units=int(units), n=units, n2=units, x=x, x2=x2, xn=x) for units, x, x2 in rows
    )
    return Series(n=n, x=sums, totals=totals)


def _since(course: Course, values: NDArray[np.generic]) -> Vector:
    """Added up since the stage of each window began."""
    sums = np.cumsum(values, dtype=np.float64)
    first = np.searchsorted(course.stage, course.stage)
    return sums - np.concatenate(([0.0], sums))[first]


def evened(rng: np.random.Generator, course: Course, arms: Arms, metric: str) -> Arms:
    """Of each arm as many events in every window as the smaller arm has, chosen at random."""
    series = (arms.candidate[metric], arms.baseline[metric])
    n = np.minimum(series[0].n, series[1].n)
    candidate, baseline = (
        {metric: counted(course, n, _drawn(rng, each, n).astype(np.float64))} for each in series
    )
    return Arms(candidate=candidate, baseline=baseline)


def _drawn(rng: np.random.Generator, series: Series, n: Counts) -> Counts:
    count = series.x.astype(np.int64)
    return np.asarray(rng.hypergeometric(count, series.n - count, n))
