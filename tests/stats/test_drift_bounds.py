"""Distances against references, by their laws, and by what chance does to them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from turnout.stats.drift import (
    divergence,
    jensen_shannon,
    kl_divergence,
    kolmogorov_smirnov,
    population_stability_index,
    stability,
    total_variation,
)

bins = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1).filter(
    lambda pairs: any(x for x, _ in pairs) and any(y for _, y in pairs)
)


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1))
def test_on_whole_numbers_the_statistic_is_that_of_the_two_sample_test(a, b):
    p, q = ([values.count(k) for k in range(10)] for values in (a, b))

    with np.errstate(all="ignore"):  # of its p-value
        reference = stats.ks_2samp(a, b, method="asymp").statistic
    assert kolmogorov_smirnov(p, q) == pytest.approx(reference, abs=1e-12)


@given(bins)
def test_distances_are_symmetrical_bounded_and_ordered(pairs):
    p, q = zip(*pairs, strict=True)

    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert total_variation(p, q) == pytest.approx(total_variation(q, p), abs=1e-12)
    assert population_stability_index(p, q) == pytest.approx(
        population_stability_index(q, p), rel=1e-9, abs=1e-12
    )
    assert 0 <= kolmogorov_smirnov(p, q) <= total_variation(p, q) + 1e-12 <= 1 + 1e-12


@given(bins, st.randoms(use_true_random=False))
def test_the_names_of_classes_do_not_matter(pairs, source):
    p, q = zip(*pairs, strict=True)
    shuffled = list(pairs)
    source.shuffle(shuffled)
    r, s = zip(*shuffled, strict=True)

    for distance in (
        population_stability_index, kl_divergence, jensen_shannon, total_variation,
    ):  # fmt: skip
        assert distance(r, s) == pytest.approx(distance(p, q), rel=1e-9, abs=1e-12)


@given(bins)
def test_what_is_thought_of_a_distance_is_finite(pairs):
    p, q = zip(*pairs, strict=True)

    for found in (stability(p, q), divergence(p, q)):
        assert all(map(math.isfinite, (found.value, found.noise, found.error)))
        assert 0 <= found.at_least(0.99) <= found.value


@pytest.mark.parametrize(("n", "m"), [(200, 10_000), (1_000, 1_000), (5_000, 500)])
def test_chance_adds_what_the_correction_takes_off(n: int, m: int):
    source = np.random.default_rng(7)
    shares = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    pairs = [(source.multinomial(m, shares), source.multinomial(n, shares)) for _ in range(400)]
    index = [stability(p.tolist(), q.tolist()) for p, q in pairs]
    kl = [divergence(q.tolist(), p.tolist()) for p, q in pairs]

    for found in (index, kl):
        assert np.mean([one.value - one.noise for one in found]) == pytest.approx(
            0, abs=0.1 * found[0].noise
        )


@pytest.mark.parametrize("n", [200, 2_000])
def test_a_bound_is_beyond_the_truth_about_as_seldom_as_it_says(n: int):
    """Where the true index is 0.2, a bound of 99 % is over it in about one sample in a hundred."""
    source = np.random.default_rng(11)
    expected = np.full(8, 1 / 8)
    tilt = np.linspace(-1, 1, 8)
    observed = expected * np.exp(0.665 * tilt)
    observed /= observed.sum()
    truth = float(((observed - expected) * np.log(observed / expected)).sum())
    found = [
        stability(
            source.multinomial(50_000, expected).tolist(), source.multinomial(n, observed).tolist()
        )
        for _ in range(2_000)
    ]

    assert truth == pytest.approx(0.2, abs=0.02)
    assert np.mean([one.at_least(0.99) > truth for one in found]) <= 0.02
    assert np.mean([one.at_least(0.99) for one in found]) > (0.02 if n == 200 else 0.12)
