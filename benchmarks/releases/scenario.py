"""Releases of one kind: the plan, what is true of both versions, and how many to simulate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from zlib import crc32

import numpy as np

from benchmarks.releases.traffic import Arms, Course, Release, Vector, counted, evened, measured
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.outlook import History, Known, outlook
from turnout.rollouts.domain.plan import DEFAULT_GUARDRAILS, Launch, Stage
from turnout.stats.baseline import Baseline
from turnout.stats.power import sample_size_proportions

SEED: Final = 20_261_123

Simulate = Callable[[np.random.Generator, Course], Release]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens, and how often to let it happen.

    `limit` is what a window must not exceed for those who look at windows, `metric` what they and
    those who compare arms look at. Harm, if there is any, begins with window `onset`.
    """

    name: str
    course: Course
    simulate: Simulate
    limit: float
    releases: int
    metric: str = "error_rate"
    onset: int = 0

    def drawn(self, releases: range) -> Iterator[Release]:
        """Each release from a seed of its own, whoever draws it."""
        for release in releases:
            yield self.simulate(
                np.random.default_rng([SEED, crc32(self.name.encode()), release]), self.course
            )


@dataclass(frozen=True, kw_only=True)
class Errors:
    """The true error rates, either one for all windows or one for each.

    With `latency`, every request takes a time of its own, with a mean of 200 ms in both arms.
    """

    candidate: float | Vector
    baseline: float | Vector
    latency: bool = False

    def __call__(self, rng: np.random.Generator, course: Course) -> Release:
        arms, sizes = [], (course.candidate, course.baseline)
        for n, rate in zip(sizes, (self.candidate, self.baseline), strict=True):
            arm = {"error_rate": counted(course, n, rng.binomial(n, rate).astype(np.float64))}
            if self.latency:
                arm["latency_mean"] = measured(course, n, rng.gamma(2, 100, int(n.sum())))
            arms.append(arm)
        whole = Arms(candidate=arms[0], baseline=arms[1])
        return Release(whole=whole, even=evened(rng, course, whole, "error_rate"))


def canary(*stages: Stage, guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS) -> Launch:
    return Launch(candidate="2.0.0", stages=stages, guardrails=guardrails)


MINUTE: Final = timedelta(minutes=1)
DAY_LONG: Final = timedelta(days=1)
DAY_STAGE: Final = timedelta(minutes=144)

NOT_MORE: Final = Guardrail(metric="error_rate", max_increase=0.0)

DAY: Final = Course(
    plan=canary(
        *(Stage(weight=weight, bake=DAY_STAGE) for weight in range(1_000, 10_001, 1_000))
    ).plan(),
    window=4 * MINUTE,
    requests=400,
)
"""The stages and guardrails of the default canary, over a day instead of a hundred minutes."""

BUSY_DAY: Final = replace(DAY, requests=10 * DAY.requests)

COMPARED_DAY: Final = Course(
    plan=canary(
        *(Stage(weight=weight, bake=DAY_STAGE) for weight in range(1_000, 9_001, 1_000)),
        Stage(weight=10_000, bake=DAY_STAGE, guardrails=()),
        guardrails=(NOT_MORE,),
    ).plan(),
    window=4 * MINUTE,
    requests=400,
)

FEW: Final = Course(
    plan=canary(
        Stage(
            weight=1_000,
            bake=20 * MINUTE,
            guardrails=(Guardrail(metric="success_rate", min=0.95),),
        )
    ).plan(),
    window=MINUTE,
    requests=200,
)

EACH: Final = 10
"""Requests of either arm in a window of a planned stage."""


def planned(rate: float, harmful: float) -> Course:
    """One stage at 50 % that has, at its end, the requests with which a single test at one-sided
    5 % finds this harm with a chance of 80 %."""
    needed = sample_size_proportions(
        rate, harmful - rate, confidence=0.95, power=0.8, alternative="greater"
    )
    return _one_stage(round(needed / EACH))


def forecast_to_show(rate: float, harmful: float) -> Course:
    """One stage at 50 %, as long as the product's own forecast says this harm takes to show with
    a chance of 80 %."""
    known = Known(
        per_prediction=1.0,
        baseline=Baseline(value=rate, variance=rate * (1 - rate), proportion=True),
    )
    for windows in itertools.count(10):
        course = _one_stage(windows)
        history = History(
            predictions_per_day=course.requests * (DAY_LONG / course.window),
            metrics={NOT_MORE.series: known},
        )
        found = outlook(course.plan.stages[0], NOT_MORE, history, alpha=1 - NOT_MORE.confidence)
        if found.shows is not None and found.shows <= harmful - rate:
            return course
    raise AssertionError("longer stages show less and less harm")


def _one_stage(windows: int) -> Course:
    stage = Stage(weight=5_000, bake=windows * MINUTE, guardrails=(NOT_MORE,))
    return Course(plan=canary(stage).plan(), window=MINUTE, requests=2 * EACH)


RAMP: Final = Course(
    plan=canary(
        *(
            Stage(weight=weight, bake=40 * MINUTE, guardrails=(NOT_MORE,))
            for weight in (500, 2_500, 5_000)
        )
    ).plan(),
    window=MINUTE,
    requests=200,
)

LATE: Final = Course(
    plan=canary(Stage(weight=1_000, bake=100 * MINUTE)).plan(), window=MINUTE, requests=200
)

LATENCY: Final = Course(
    plan=canary(
        Stage(
            weight=5_000,
            bake=40 * MINUTE,
            guardrails=(Guardrail(metric="latency_mean", max_increase=0.0),),
        )
    ).plan(),
    window=MINUTE,
    requests=160,
)
