"""Whole experiments on made-up units: wrong conclusions are as rare as the plan promises."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
import pytest
from scipy import stats

from tests.experiments.trials import (
    ANOTHER,
    CONTROL,
    DAY,
    TREATMENT,
    analysed,
    arm,
    plan,
    running,
)
from tests.factories import NOON
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Conclusion, Sequences
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal
from turnout.stats.goal import GoalStatus
from turnout.stats.power import sample_size_proportions

LOOKS: Final = 3
RATE: Final = 0.5
EFFECT: Final = 0.1
PER_SIDE: Final = 0.025
INFLATION: Final = 1.07
"""Looking early costs so many more units for the same power (statistics: HSD -3)."""
TARGET: Final = int(INFLATION * sample_size_proportions(RATE, EFFECT, confidence=0.95, power=0.8))

PLAN: Final = plan(
    goal=Goal(metric="accuracy", minimum_detectable_effect=EFFECT),
    min_sample_size=50,
    target_sample_size=TARGET,
    guardrails=(Guardrail(metric="error_rate", max_increase=0.05),),
    futility_threshold=None,
)


def run(random: np.random.Generator, of: Plan, rates: Mapping[str, float]) -> Counter[str]:
    """One experiment to its end: its conclusion, and what was found of any treatment."""
    units, right, memory = Counter[str](), Counter[str](), Sequences()
    for day in range(1, LOOKS + 1):
        new = round(len(rates) * TARGET * day / LOOKS) - units.total()
        shares = random.multinomial(new, [1 / len(rates)] * len(rates))
        for (version, rate), share in zip(rates.items(), shares, strict=True):
            units[version] += int(share)
            right[version] += int(random.binomial(share, rate))
        now = NOON + (of.max_duration if day == LOOKS else day * DAY)
        arms = {name: arm(units[name], right[name], last_at=now) for name in rates}
        analysis, memory = analysed(
            ExperimentEvidence(arms=arms),
            of=of,
            progress=running(TARGET),
            sequences=memory,
            now=now,
        )
        if analysis.conclusion is not Conclusion.KEEP_RUNNING:
            statuses = {found.finding.status for found in analysis.comparisons}
            return Counter([analysis.conclusion, *statuses])
    raise AssertionError("the last day brings a conclusion")


def simulate(seed: int, times: int, of: Plan, rates: Mapping[str, float]) -> Counter[str]:
    random = np.random.default_rng(seed)
    return sum((run(random, of, rates) for _ in range(times)), start=Counter())


def at_most(chance: float, times: int) -> float:
    """What a count exceeds once in a thousand times, if the chance is that."""
    return float(stats.binom.ppf(0.999, times, chance))


def test_a_treatment_that_makes_no_difference_seldom_wins_or_does_harm() -> None:
    said = simulate(1, 300, PLAN, {CONTROL: RATE, TREATMENT: RATE})

    assert said[GoalStatus.WIN] <= at_most(PER_SIDE, 300)
    assert said[GoalStatus.HARM] <= at_most(PER_SIDE, 300)
    assert said[GoalStatus.WIN] + said[GoalStatus.HARM] > 0
    assert said[Conclusion.SHIP] == said[GoalStatus.WIN]
    assert said[Conclusion.INVALID] == 0


@pytest.mark.parametrize(
    ("effect", "conclusion"),
    [(EFFECT, Conclusion.SHIP), (-EFFECT, Conclusion.KEEP_CONTROL)],
    ids=["better", "worse"],
)
def test_the_effect_that_matters_is_found_with_the_power_promised(
    effect: float, conclusion: Conclusion
) -> None:
    said = simulate(2, 100, PLAN, {CONTROL: RATE, TREATMENT: RATE + effect})
    missed = 100 - said[GoalStatus.WIN if effect > 0 else GoalStatus.HARM]

    assert missed <= at_most(1 - PLAN.power, 100)
    assert said[conclusion] >= 100 - missed


def test_none_of_two_that_make_no_difference_wins_more_often_than_one_may() -> None:
    two = plan(
        TREATMENT,
        ANOTHER,
        goal=PLAN.goal,
        min_sample_size=50,
        target_sample_size=TARGET,
        futility_threshold=None,
    )
    said = simulate(3, 80, two, {CONTROL: RATE, TREATMENT: RATE, ANOTHER: RATE})

    assert said[GoalStatus.WIN] <= at_most(PER_SIDE, 80)
    assert said[GoalStatus.HARM] <= at_most(PER_SIDE, 80)
