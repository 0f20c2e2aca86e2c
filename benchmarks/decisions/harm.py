"""A guardrail inside a stage of planned length: how often it alarms, and how soon.

The product's rule has two bounds of z that the counts alone decide: one of spent error at every
fiftieth of the stage, one of a sequence at every look. They are asked for once. What is added for
candidates that fail after a healthy time takes a twentieth of the error and is left out of the
integration; `watched` asks the judge of rollouts itself, with all that it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.decisions import exact
from benchmarks.decisions.scenario import (
    BASELINE,
    MINIMUM_EFFECT,
    UNITS,
    Paths,
    Vector,
    converted,
    in_chunks,
    paths,
)
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.rollouts.domain.watch import NOTHING, Moment, watch
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.score import anytime_critical
from turnout.stats.spent_guardrail import SEQUENCE, Spending
from turnout.stats.verdict import Verdict

NAME = "**Turnout**, guardrail of a stage"
LOOKS = exact.LOOKS
STAGE = 3_600.0
"""Seconds."""

GUARDRAIL = Guardrail(metric="error_rate", max_increase=0.0)
SEED = 20_261_121

MODERATE = (
    MINIMUM_EFFECT
    * exact.DRIFTS["moderate"]
    / (MINIMUM_EFFECT / math.sqrt(2 * 0.105 * 0.895 / UNITS))
)
"""More errors, in points over the baseline's; one look at the end finds it with 80 %."""


def bounds() -> Vector:
    spending, found = Spending(), []
    for index, users in enumerate((UNITS * np.arange(1.0, LOOKS + 1) / LOOKS).tolist()):
        arm = converted(users, users * BASELINE)
        spending, spent = spending.look(
            arm, arm, share=(index + 1) / LOOKS, alpha=exact.GUARDRAIL_ALPHA
        )
        lasting = anytime_critical(
            arm,
            arm,
            alpha=SEQUENCE * exact.GUARDRAIL_ALPHA,
            tuned_at=GUARDRAIL.min_samples,
        )
        found.append(lasting if spent is None else min(spent, lasting))
    return np.array(found)


def alarms(seen: Paths, upper: Vector) -> NDArray[np.bool_]:
    return np.asarray((seen.pooled_z >= upper).any(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    replications: int
    innocent: float
    moderate: float


def simulated(upper: Vector, replications: int) -> Alarms:
    shares = [
        sum(
            int(alarms(seen, upper).sum())
            for seen in in_chunks(SEED, looks=LOOKS, effect=effect, replications=replications)
        )
        / replications
        for effect in (0.0, MODERATE)
    ]
    return Alarms(replications=replications, innocent=shares[0], moderate=shares[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Stages that the judge of rollouts has followed, and how often the bounds said the same."""

    stages: int
    same: int


def watched(upper: Vector, stages: int) -> Watched:
    rng = np.random.default_rng([SEED, 1])
    same = 0
    for effect in (0.0, MODERATE):
        seen = paths(rng, looks=LOOKS, effect=effect, replications=stages // 2)
        expected = alarms(seen, upper).tolist()
        same += sum(fails(seen, row) == alarm for row, alarm in enumerate(expected))
    return Watched(stages=2 * (stages // 2), same=same)


def fails(seen: Paths, replication: int) -> bool:
    """Whether the judge finds harm at any look; it stays found."""
    memory, failed = NOTHING, False
    for index in range(seen.looks):
        share = (index + 1) / seen.looks
        finding, memory = watch(
            GUARDRAIL,
            memory,
            _arm(seen.n[index], seen.treatment[replication, index]),
            _arm(seen.n[index], seen.control[replication, index]),
            Moment(served=share, seconds=share * STAGE),
            alpha=exact.GUARDRAIL_ALPHA,
        )
        failed = failed or finding.verdict is Verdict.FAIL
    return failed


def _arm(users: float, errors: float) -> ArmEvidence:
    return ArmEvidence(
        version_id=1,
        metrics={"error_rate": converted(users, errors)},
        latency=QuantileSketch(),
        predictions=int(users),
        last_at=None,
    )


def table(upper: Sequence[float]) -> list[exact.Watch]:
    return [exact.watch(NAME, tuple(upper)), *exact.guardrails()]
