import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from turnout.stats.arguments import BadArgument
from turnout.stats.sample_ratio import (
    CONCENTRATIONS,
    chi_square,
    sequential,
    sequential_mixture,
    sequential_stages,
)


def test_large_counts_have_pearsons_test() -> None:
    result = chi_square([5_300, 4_700, 10_000], [1, 1, 2])
    reference = stats.chisquare([5_300, 4_700, 10_000], [5_000, 5_000, 10_000])

    assert result.statistic == pytest.approx(reference.statistic)
    assert result.p_value == pytest.approx(reference.pvalue, rel=1e-9)
    assert result.degrees_of_freedom == 2
    assert result.mismatch


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.01, 0.99))
def test_small_counts_of_two_arms_have_the_exact_binomial_test(a: int, b: int, w: float) -> None:
    result = chi_square([a, b], [w, 1 - w])
    n = a + b
    if n and min(n * w, n * (1 - w)) < 5:
        assert result.p_value == pytest.approx(stats.binomtest(a, n, w).pvalue, rel=1e-6)


def test_small_counts_of_three_arms_have_the_exact_multinomial_test() -> None:
    """All outcomes of four units, counted by hand: only (4, 0, 0) and its like are as rare."""
    result = chi_square([4, 0, 0], [1, 1, 1])

    assert result.p_value == pytest.approx(3 / 81)


def test_a_rare_arm_among_many_units_is_not_enumerated() -> None:
    result = chi_square([30, 20, 10_000_000], [1e-7, 2e-7, 1 - 3e-7])

    assert result.p_value is not None
    assert result.p_value < 1e-20
    assert chi_square([1, 2, 10_000_000], [1e-7, 2e-7, 1 - 3e-7]).p_value == 1.0


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.1, 0.9), st.floats(1, 1e4))
def test_the_bayes_factor_is_that_of_a_beta_binomial(a: int, b: int, w: float, c: float) -> None:
    result = sequential([a, b], [w, 1 - w], concentration=c)
    if a + b:
        alternative = stats.betabinom.logpmf(a, a + b, c * w, c * (1 - w))
        expected = alternative - stats.binom.logpmf(a, a + b, w)

        assert result.statistic == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_weights_are_shares_of_any_whole() -> None:
    assert sequential([70, 30], [70, 30]) == sequential([70, 30], [0.7, 0.3])


class TestMixture:
    @given(st.integers(0, 5_000), st.integers(1, 5_000), st.floats(0.1, 0.9))
    def test_its_bayes_factor_is_the_mean_of_both(self, a: int, b: int, w: float) -> None:
        each = [sequential([a, b], [w, 1 - w], concentration=c).statistic for c in CONCENTRATIONS]
        logs = [log for log in each if log is not None]
        found = sequential_mixture([a, b], [w, 1 - w])

        assert found.statistic == pytest.approx(np.logaddexp.reduce(logs) - math.log(2), abs=1e-9)
        assert found.p_value == pytest.approx(math.exp(min(0.0, -(found.statistic or 0.0))))

    def test_a_gross_deviation_is_found_among_a_few_hundred_units(self) -> None:
        assert not sequential([287, 156], [1, 1]).mismatch
        assert sequential_mixture([287, 156], [1, 1]).mismatch
        assert not sequential_mixture([240, 203], [1, 1]).mismatch


class TestStages:
    def test_their_log_bayes_factors_add(self) -> None:
        stages = [([9_850, 150], [99, 1]), ([4_700, 5_300], [1, 1])]
        together = sequential_stages(stages)
        each = [sequential(observed, weights).statistic for observed, weights in stages]

        assert together.statistic == pytest.approx(sum(x for x in each if x is not None))
        assert together.degrees_of_freedom == 2
        assert together.p_value == pytest.approx(math.exp(min(0.0, -(together.statistic or 0.0))))

    def test_a_stage_goes_on_from_what_the_finished_ones_say(self) -> None:
        first = sequential([600, 400], [1, 1])
        assert first.statistic is not None
        second = sequential([480, 520], [1, 1], finished=first.statistic)

        together = sequential_stages([([600, 400], [1, 1]), ([480, 520], [1, 1])])

        assert second.statistic == together.statistic
        assert second.p_value == together.p_value

    def test_a_split_that_changed_is_no_mismatch(self) -> None:
        stages = [([9_900, 100], [99, 1]), ([7_500, 2_500], [3, 1]), ([5_000, 5_000], [1, 1])]

        assert not sequential_stages(stages).mismatch
        assert sequential([22_400, 7_600], [1, 1]).mismatch

    def test_a_stage_without_units_says_nothing(self) -> None:
        one = sequential_stages([([600, 400], [1, 1])])
        more = sequential_stages([([0, 0], [9, 1]), ([600, 400], [1, 1]), ([0, 0], [1, 3])])

        assert more.statistic == pytest.approx(one.statistic)
        assert sequential_stages([]).p_value is None

    def test_units_that_had_no_business_in_a_stage_condemn_all(self) -> None:
        result = sequential_stages([([600, 1], [1, 0]), ([500, 500], [1, 1])])

        assert (result.p_value, result.mismatch) == (0.0, True)


@pytest.mark.parametrize("test", [chi_square, sequential, sequential_mixture])
def test_units_in_an_arm_without_weight_are_a_mismatch(test) -> None:
    result = test([500, 500, 1], [0.5, 0.5, 0])

    assert (result.p_value, result.mismatch, result.degrees_of_freedom) == (0.0, True, 1)


@pytest.mark.parametrize("test", [chi_square, sequential, sequential_mixture])
def test_no_units_decide_nothing(test) -> None:
    result = test([0, 0], [1, 1])

    assert (result.p_value, result.mismatch) == (None, False)


def test_an_arm_that_gets_nobody_is_a_mismatch() -> None:
    assert chi_square([200, 0], [1, 1]).mismatch
    assert sequential([200, 0], [1, 1]).mismatch


def test_a_factor_beyond_all_numbers_is_still_one() -> None:
    result = sequential([0, 10**9], [1, 1])

    assert result.bayes_factor is not None
    assert math.isfinite(result.bayes_factor)
    assert result.p_value == 0.0


@pytest.mark.parametrize(
    ("observed", "weights", "argument"),
    [
        pytest.param([1, 2], [1.0], "weights", id="an arm without a weight"),
        pytest.param([1, -2], [1.0, 1.0], "observed", id="negative count"),
        pytest.param([1, 2], [1.0, math.nan], "weights", id="weight is not a number"),
        pytest.param([1, 2], [0.0, 0.0], "weights", id="no weight at all"),
    ],
)
def test_what_is_no_split_is_refused(
    observed: list[int], weights: list[float], argument: str
) -> None:
    for test in (chi_square, sequential, sequential_mixture):
        with pytest.raises(BadArgument, match=f"^{argument} "):
            test(observed, weights)


def looks(rng: np.random.Generator, share: float, runs: int) -> np.ndarray:
    """Cumulative units of the first arm at 100 looks up to 20,000 units."""
    return rng.binomial(200, share, (runs, 100)).cumsum(axis=1)


def mismatches(counts: np.ndarray) -> float:
    found = 0
    for run in counts:
        found += any(
            sequential_mixture([int(x), 200 * look - int(x)], [1, 1]).mismatch
            for look, x in enumerate(run, start=1)
        )
    return found / len(counts)


def test_an_even_split_is_never_condemned_though_read_at_every_look() -> None:
    assert mismatches(looks(np.random.default_rng(15), 0.5, 300)) <= 0.004


def test_a_split_of_52_to_48_is_found() -> None:
    assert mismatches(looks(np.random.default_rng(16), 0.52, 150)) >= 0.88
