"""How often a guardrail that is judged at every look fails an innocent candidate."""

import math

import numpy as np
import pytest

from tests.stats.arms import measured
from tests.stats.guardrails import against_baseline, against_limit
from turnout.stats.finding import Harm
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict


def _clustered(
    rng: np.random.Generator, events: int, units: int, rate: float, share: float
) -> list[tuple[UnitTotals, UnitTotals]]:
    """Two equal arms at 60 looks: units of Zipf size, whose own rates differ (ICC 0.05)."""
    popularity = 1 / np.arange(1, units + 1)
    unit = rng.choice(units, size=events, p=popularity / popularity.sum())
    own_rate = rng.beta(rate * 19, (1 - rate) * 19, units)
    failed = rng.random(events) < own_rate[unit]
    on_candidate = rng.random(units) < share
    looks = np.unique(np.geomspace(20, events, 60).astype(int))
    arms = []
    for look in looks:
        n = np.bincount(unit[:look], minlength=units) * 1.0
        x = np.bincount(unit[:look], weights=failed[:look], minlength=units)
        seen = n > 0
        candidate, baseline = seen & on_candidate, seen & ~on_candidate
        arms.append((measured(x[candidate], n[candidate]), measured(x[baseline], n[baseline])))
    return arms


@pytest.mark.parametrize(
    ("rate", "share"),
    [
        pytest.param(0.001, 0.1, id="one error in a thousand, a tenth of the units"),
        pytest.param(0.01, 0.01, id="one in a hundred, a hundredth of the units"),
        pytest.param(0.1, 0.5, id="one in ten, half of the units"),
        pytest.param(0.1, 0.9, id="one in ten, nearly all of the units"),
    ],
)
def test_equal_arms_rarely_fail_though_judged_at_every_look(rate: float, share: float) -> None:
    """At most 1 of 40: who fails 15 % of innocents would pass with a chance of 1.2 %."""
    rng = np.random.default_rng(20)
    false_alarms = 0
    for _ in range(40):
        looks = _clustered(rng, 6_000, 500, rate, share)
        findings = [against_baseline(c, b, 0.0) for c, b in looks]
        findings += [against_limit(c, rate) for c, _ in looks]
        false_alarms += any(finding.verdict is Verdict.FAIL for finding in findings)

    assert false_alarms <= 1


@pytest.mark.parametrize("harm", ["above", "below"])
def test_skewed_measurements_at_their_limit_rarely_fail(harm: Harm) -> None:
    rng = np.random.default_rng(21)
    false_alarms = 0
    for _ in range(100):
        values = rng.lognormal(0, 1, 3_000)
        looks = np.unique(np.geomspace(20, 3_000, 40).astype(int))
        findings = [
            against_limit(measured(values[:look]), math.exp(0.5), harm=harm, proportion=False)
            for look in looks
        ]
        false_alarms += any(finding.verdict is Verdict.FAIL for finding in findings)

    assert false_alarms <= 5


@pytest.mark.parametrize("harm", ["above", "below"])
def test_differences_at_their_limit_rarely_fail(harm: Harm) -> None:
    """Two measurements of one input each, both skewed, whose difference is not."""
    rng = np.random.default_rng(22)
    false_alarms = 0
    for _ in range(100):
        values = rng.lognormal(0, 1, 3_000) - rng.lognormal(0, 1, 3_000)
        looks = np.unique(np.geomspace(20, 3_000, 40).astype(int))
        findings = [
            against_limit(measured(values[:look]), 0.0, harm=harm, proportion=False, signed=True)
            for look in looks
        ]
        false_alarms += any(finding.verdict is Verdict.FAIL for finding in findings)

    assert false_alarms <= 5
