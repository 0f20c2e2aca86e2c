"""Rates by the lesser of two statistics: what they promise, by the true distribution of counts."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.stats.arms import alike, counts, measured
from turnout.stats.rates import Rates
from turnout.stats.score import ScoreTest, anytime_critical
from turnout.stats.spent_guardrail import CHANGE, SEQUENCE, Spending
from turnout.stats.totals import UnitTotals

ALPHA = 0.05


def criticals(looks: int, n: int, m: int | None) -> list[float]:
    """What z is held against at so many looks of a stage, each with n events and m beside."""
    spending, found = Spending(), []
    for look in range(1, looks + 1):
        candidate, baseline = counts(0, of=n * look), None if m is None else counts(0, of=m * look)
        spending, spent = spending.look(candidate, baseline, share=look / looks, alpha=ALPHA)
        lasting = anytime_critical(candidate, baseline, alpha=SEQUENCE * ALPHA, tuned_at=100)
        found.append(lasting if spent is None else min(spent, lasting))
    return found


def shows(candidate: UnitTotals, baseline: UnitTotals | None, limit: float, z: float) -> bool:
    effect = candidate.offset - (0.0 if baseline is None else baseline.offset)
    return effect - Rates.of(candidate, baseline).room(z) > limit


def failures(rate: float, *, looks: int, n: int) -> float:
    """The chance that a rate at its limit ever fails, exactly."""
    going_on, failed, errors = np.ones(1), 0.0, 0
    for look, z in enumerate(criticals(looks, n, None), start=1):
        going_on = np.convolve(going_on, stats.binom.pmf(np.arange(n + 1), n, rate))
        while errors <= n * look and not shows(counts(errors, of=n * look), None, rate, z):
            errors += 1
        failed += going_on[errors:].sum()
        going_on = going_on[:errors]
    return float(failed)


def failures_beside(rate: float, beside: float, *, looks: int, n: int, m: int, most: int) -> float:
    """The same of two arms, exactly but for more than so many errors."""
    going_on, ends = np.zeros((most, most)), []
    going_on[0, 0] = 1
    one, other = (
        np.array([stats.binom.pmf(np.arange(most) - had, k, p) for had in range(most)])
        for k, p in ((n, rate), (m, beside))
    )
    for look, z in enumerate(criticals(looks, n, m), start=1):
        going_on, failed, errors = one.T @ going_on @ other, 0.0, 0
        for theirs in np.flatnonzero(going_on.sum(axis=0) > 1e-6).tolist():
            baseline = counts(theirs, of=m * look)
            while (
                errors < min(most, n * look)
                and going_on[errors:, theirs].sum() > 1e-6
                and not shows(counts(errors, of=n * look), baseline, 0, z)
            ):
                errors += 1
            if going_on[errors:, theirs].sum() > 1e-6:
                failed += going_on[errors:, theirs].sum()
                going_on[errors:, theirs] = 0
        ends.append(failed)
    return float(sum(ends))


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.5, 0.95])
@pytest.mark.parametrize(("looks", "n"), [(36, 20), (50, 4)])
def test_a_rate_at_its_limit_fails_as_rarely_as_promised(rate: float, looks: int, n: int) -> None:
    assert failures(rate, looks=looks, n=n) <= (1 - CHANGE) * ALPHA


@pytest.mark.parametrize(("n", "m"), [(20, 20), (10, 90), (90, 10)])
@pytest.mark.parametrize("rate", [0.005, 0.03])
def test_equal_arms_fail_as_rarely_as_promised(rate: float, n: int, m: int) -> None:
    found = failures_beside(rate, rate, looks=20, n=n, m=m, most=110)

    assert found <= (1 - CHANGE) * ALPHA


def test_twice_the_errors_are_mostly_found_in_the_stage_of_a_single_test() -> None:
    """One look at the end, with 900 events of either arm, finds them with a chance of 80 %."""
    found = failures_beside(0.04, 0.02, looks=45, n=20, m=20, most=75)

    assert found >= 0.7


def test_the_bound_is_where_the_lesser_statistic_turns() -> None:
    """Below the rate of few events that is the likelihood ratio, above it the score (Wilson)."""
    n, k, z = 2_000, 37, 3.0
    low, high = ScoreTest(proportion=True).interval(counts(k, of=n), None, below=z, above=z)
    assert low is not None
    assert high is not None

    ratio = k * math.log(k / (n * low)) + (n - k) * math.log((n - k) / (n * (1 - low)))
    assert 2 * ratio == pytest.approx(z**2, rel=1e-9)
    likely = k * math.log(k / (n * high)) + (n - k) * math.log((n - k) / (n * (1 - high)))
    score = (high - k / n) ** 2 * n / (high * (1 - high))
    assert min(score, 2 * likely) == pytest.approx(z**2, rel=1e-9)


def test_events_that_go_together_count_less_and_one_pair_hardly_matters() -> None:
    alone, pairs = counts(60, of=600), alike(0.1, units=300, each=2)
    together = UnitTotals(units=300, n=600, n2=1_200, x=60, x2=120, xn=120)
    once = UnitTotals(units=599, n=600, n2=602, x=60, x2=60, xn=60)

    rooms = [Rates.of(arm, None).room(3.0) for arm in (alone, once, together, pairs)]

    assert rooms[1] == pytest.approx(rooms[0], rel=0.01)
    assert rooms[2] > 1.3 * rooms[0]


@pytest.mark.parametrize("seed", range(5))
def test_what_goes_together_is_the_sum_over_pairs_of_one_unit(seed: int) -> None:
    """With independent and with clustered events, the bound turns where the whole variance says."""
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 6, 300)
    x = rng.binomial(n, rng.beta(2, 8, 300))
    arm, z = measured(x * 1.0, n * 1.0), 2.5
    rate = arm.offset - Rates.of(arm, None).room(z)
    pairs = sum(
        (k * (k - 1) * (1 - rate) ** 2 - 2 * k * (size - k) * rate * (1 - rate))
        + (size - k) * (size - k - 1) * rate**2
        for k, size in zip(x, n, strict=True)
    )
    u, ones, events = arm.offset - rate, arm.x, arm.n
    ratio = ones * math.log(ones / (events * rate))
    ratio += (events - ones) * math.log((events - ones) / (events * (1 - rate)))
    alone = max(u * u / (2 * ratio), rate * (1 - rate) / events)

    assert u == pytest.approx(z * math.sqrt(alone + max(0, pairs) / events**2), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_what_goes_together_counts_at_every_critical_value(seed: int) -> None:
    """The bound of two arms never falls back to that of independent events."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 40, (2, 200))
    x = rng.binomial(n, rng.beta(2, 18, (2, 200)))
    together = [measured(one * 1.0, of * 1.0) for one, of in zip(x, n, strict=True)]
    alone = [replace(arm, units=int(arm.n), n2=arm.n, x2=arm.x, xn=arm.x) for arm in together]
    criticals = np.linspace(1.5, 4, 40).tolist()

    gained = [Rates.of(*together).room(z) / Rates.of(*alone).room(z) for z in criticals]

    assert min(gained) > 1.1
