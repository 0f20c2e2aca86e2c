"""Latencies that go on from one request to the next, with the same mean of 50 ms in both arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.releases.traffic import Arms, Course, Release, Series, Vector, measured
from turnout.stats.totals import UnitTotals
from turnout.stats.waves import Past, Waves

MEAN: Final = 50.0
SPREAD: Final = 10.0
CORRELATION: Final = 0.8
DAY: Final = 1_440


@dataclass(frozen=True, kw_only=True)
class OfUsers:
    """Every user asks once in each window, and who was slow once is likely slow the next time."""

    def __call__(self, rng: np.random.Generator, course: Course) -> Release:
        candidate, baseline = (
            {"latency_mean": self._arm(rng, int(n[0]), course.windows)}
            for n in (course.candidate, course.baseline)
        )
        arms = Arms(candidate=candidate, baseline=baseline)
        gauges = _going_on(rng, DAY, course.requests, SPREAD)
        return Release(whole=arms, even=arms, waves=_known(course, MEAN + gauges))

    def _arm(self, rng: np.random.Generator, users: int, windows: int) -> Series:
        total = np.zeros(users)
        sums, totals = [], []
        for seen, gauge in enumerate(_going_on(rng, windows, users, SPREAD), start=1):
            total += MEAN + gauge
            sums.append(float((MEAN + gauge).sum()))
            x = float(total.sum())
            totals.append(
                UnitTotals(
                    units=users,
                    n=users * seen,
                    n2=users * seen**2,
                    x=x,
                    x2=float(total @ total),
                    xn=seen * x,
                )
            )
        return Series(n=np.full(windows, users), x=np.array(sums), totals=tuple(totals))


@dataclass(frozen=True, kw_only=True)
class OfTimes:
    """Every request is of another user, and all of a window are slow or fast together: those of
    both arms where the reason is `shared`, such as the load, or those of one arm at a time."""

    shared: bool
    spread: float = 5.0

    def __call__(self, rng: np.random.Generator, course: Course) -> Release:
        blocks = _going_on(rng, course.windows, 2, self.spread).T
        if self.shared:
            blocks[1] = blocks[0]
        candidate, baseline = (
            {"latency_mean": measured(course, n, self._values(rng, n, block))}
            for n, block in zip((course.candidate, course.baseline), blocks, strict=True)
        )
        arms = Arms(candidate=candidate, baseline=baseline)
        block = _going_on(rng, DAY, 1, self.spread)
        before = MEAN + block + rng.normal(0, SPREAD, (DAY, course.requests))
        return Release(whole=arms, even=arms, waves=_known(course, before))

    def _values(
        self, rng: np.random.Generator, n: np.typing.NDArray[np.int64], block: Vector
    ) -> Vector:
        return MEAN + np.repeat(block, n) + rng.normal(0, SPREAD, int(n.sum()))


def _known(course: Course, before: Vector) -> Waves | None:
    """What a day of the baseline tells, when it had all the traffic: a row for each window."""
    n = np.full(len(before), float(course.requests))
    past = Past(n=n.tolist(), x=before.sum(axis=1).tolist(), variance=float(before.var()))
    return Waves.apart(past, None)


def _going_on(rng: np.random.Generator, times: int, gauges: int, spread: float) -> Vector:
    """An autoregression of order one for each gauge, stationary from the start."""
    steps = rng.normal(0, spread, (times, gauges))
    found = np.empty_like(steps)
    found[0] = steps[0]
    for time in range(1, times):
        found[time] = CORRELATION * found[time - 1] + np.sqrt(1 - CORRELATION**2) * steps[time]
    return found
