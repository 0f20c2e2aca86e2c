"""The scenarios, healthy ones first."""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.releases.latency import MEAN, OfTimes, OfUsers
from benchmarks.releases.scenario import (
    BUSY_DAY,
    COMPARED_DAY,
    DAY,
    FEW,
    LATE,
    LATENCY,
    RAMP,
    Errors,
    Scenario,
    forecast_to_show,
    planned,
)

BASE: Final = 0.02
DOUBLED: Final = planned(BASE, 2 * BASE)
HALF_MORE: Final = planned(BASE, 1.5 * BASE)
LONGER: Final = forecast_to_show(BASE, 2 * BASE)

ONSET: Final = 80

_SLOW = 1.2 * MEAN
_MOVING = np.linspace(BASE, 3 * BASE, RAMP.windows)
_LATE = np.where(np.arange(LATE.windows) < ONSET, 0.03, 0.3)

FEW_REQUESTS: Final = Scenario(
    name="3 % errors, 20 requests a window",
    course=FEW,
    simulate=Errors(candidate=0.03, baseline=0.03),
    limit=0.05,
    releases=2_000,
)
A_DAY: Final = Scenario(
    name="a day at the defaults, 3 % errors",
    course=DAY,
    simulate=Errors(candidate=0.03, baseline=0.03, latency=True),
    limit=0.05,
    releases=600,
)
AT_THE_LIMIT: Final = Scenario(
    name="a day at the defaults, exactly at the limit of 5 % errors",
    course=DAY,
    simulate=Errors(candidate=0.05, baseline=0.05, latency=True),
    limit=0.05,
    releases=200,
)
COMPARED: Final = Scenario(
    name="a day, “no more errors than the baseline”, which has as many",
    course=COMPARED_DAY,
    simulate=Errors(candidate=0.03, baseline=0.03),
    limit=0.05,
    releases=200,
)
MOVING: Final = Scenario(
    name="ramp of 5, 25, 50 % while the errors of both go from 2 to 6 %",
    course=RAMP,
    simulate=Errors(candidate=_MOVING, baseline=_MOVING),
    limit=0.05,
    releases=400,
)
SAME: Final = Scenario(
    name="a planned stage, 2 % errors in both",
    course=DOUBLED,
    simulate=Errors(candidate=BASE, baseline=BASE),
    limit=0.05,
    releases=400,
)
USERS: Final = Scenario(
    name="latency, correlation 0.8 within users",
    course=LATENCY,
    simulate=OfUsers(),
    metric="latency_mean",
    limit=_SLOW,
    releases=1_000,
)
SHARED_TIMES: Final = Scenario(
    name="latency, correlation 0.8 in time, both arms together",
    course=LATENCY,
    simulate=OfTimes(shared=True),
    metric="latency_mean",
    limit=_SLOW,
    releases=1_000,
)
OWN_TIMES: Final = Scenario(
    name="latency, correlation 0.8 in time, each arm by itself",
    course=LATENCY,
    simulate=OfTimes(shared=False),
    metric="latency_mean",
    limit=_SLOW,
    releases=500,
)

GROSS_DAY: Final = Scenario(
    name="errors × 5 (3 → 15 %), day at the defaults, 1,000 requests a minute",
    course=BUSY_DAY,
    simulate=Errors(candidate=0.15, baseline=0.03),
    limit=0.05,
    releases=500,
)
GROSS_QUIET: Final = Scenario(
    name="errors × 5 (3 → 15 %), day at the defaults, 100 requests a minute",
    course=DAY,
    simulate=Errors(candidate=0.15, baseline=0.03),
    limit=0.05,
    releases=500,
)
GROSS: Final = Scenario(
    name="errors × 5 (2 → 10 %), stage planned for × 2",
    course=DOUBLED,
    simulate=Errors(candidate=5 * BASE, baseline=BASE),
    limit=0.05,
    releases=500,
)
GROSS_LONGER: Final = Scenario(
    name="errors × 5 (2 → 10 %), stage planned for × 1.5",
    course=HALF_MORE,
    simulate=Errors(candidate=5 * BASE, baseline=BASE),
    limit=0.05,
    releases=300,
)
MODERATE: Final = Scenario(
    name="errors × 2 (2 → 4 %), stage planned for × 2",
    course=DOUBLED,
    simulate=Errors(candidate=2 * BASE, baseline=BASE),
    limit=0.05,
    releases=1_000,
)
MODERATE_LONGER: Final = Scenario(
    name="errors × 2 (2 → 4 %), stage as long as the forecast says",
    course=LONGER,
    simulate=Errors(candidate=2 * BASE, baseline=BASE),
    limit=0.05,
    releases=400,
)
BEGINS_LATE: Final = Scenario(
    name="errors × 10 (3 → 30 %) after 80 of 100 minutes, defaults",
    course=LATE,
    simulate=Errors(candidate=_LATE, baseline=0.03, latency=True),
    limit=0.05,
    releases=200,
    onset=ONSET,
)

HEALTHY: Final = (
    FEW_REQUESTS,
    A_DAY,
    AT_THE_LIMIT,
    COMPARED,
    SAME,
    MOVING,
    USERS,
    SHARED_TIMES,
    OWN_TIMES,
)
HARMFUL: Final = (
    GROSS_DAY,
    GROSS_QUIET,
    GROSS,
    GROSS_LONGER,
    MODERATE,
    MODERATE_LONGER,
    BEGINS_LATE,
)
