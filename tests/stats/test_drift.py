import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from turnout.stats.arguments import BadArgument
from turnout.stats.drift import jensen_shannon, kl_divergence, population_stability_index

full = st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=12)
counts = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1).filter(
    lambda bins: any(x for x, _ in bins) and any(y for _, y in bins)
)


def test_the_stability_index_by_hand() -> None:
    expected = 0.1 * math.log(0.3 / 0.2) + -0.1 * math.log(0.4 / 0.5)

    assert population_stability_index([20, 50, 30], [30, 40, 30]) == pytest.approx(expected)


@given(full)
def test_full_bins_have_the_textbook_divergences(bins: list[tuple[int, int]]) -> None:
    p, q = zip(*bins, strict=True)
    psi = population_stability_index(p, q)

    assert kl_divergence(p, q) == pytest.approx(stats.entropy(p, q), abs=1e-12)
    assert psi == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-12)
    assert jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q) ** 2, abs=1e-12)


@given(counts)
def test_empty_bins_leave_finite_divergences(bins: list[tuple[int, int]]) -> None:
    p, q = zip(*bins, strict=True)

    assert 0 <= population_stability_index(p, q) < math.inf
    assert 0 <= kl_divergence(p, q) < math.inf
    assert 0 <= jensen_shannon(p, q) <= math.log(2) + 1e-12


@given(counts, st.integers(2, 50))
def test_what_stays_the_same_has_not_moved(bins: list[tuple[int, int]], times: int) -> None:
    p = [x for x, _ in bins]
    for divergence in (population_stability_index, kl_divergence, jensen_shannon):
        assert divergence(p, p) == pytest.approx(0, abs=1e-12)
        assert divergence(p, [x * times for x in p]) == pytest.approx(0, abs=1e-12)


def test_a_class_that_vanishes_is_a_large_shift() -> None:
    assert population_stability_index([500, 500], [1_000, 0]) > 0.2
    assert kl_divergence([500, 500], [1_000, 0]) > 0.1


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(lambda: kl_divergence([1, 2], [1]), "q", id="other bins"),
        pytest.param(lambda: kl_divergence([0, 0], [1, 1]), "p", id="counts nothing"),
        pytest.param(lambda: population_stability_index([1], [-1]), "observed", id="negative"),
        pytest.param(lambda: jensen_shannon([math.inf], [1]), "p", id="infinite"),
    ],
)
def test_what_counts_nothing_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()


@pytest.mark.parametrize(
    ("expected", "observed", "psi", "kl", "root"),
    [
        pytest.param(
            (2500, 2500, 2500, 2500),
            (100, 100, 300, 700),
            0.6486367163517712,
            0.337481679237254,
            0.27908519253234715,
            id="far",
        ),
        pytest.param(
            (5500, 3000, 1000, 500),
            (2000, 2250, 500, 250),
            0.10858782588400487,
            0.05351001968274474,
            0.1161753915377186,
            id="some way",
        ),
        pytest.param(
            (900, 800, 700, 600, 500, 400, 300, 200, 100, 50),
            (90, 85, 60, 66, 49, 38, 35, 17, 12, 3),
            0.011393153474775465,
            0.005803527344483431,
            0.03768477797150668,
            id="hardly",
        ),
    ],
)
def test_distances_are_those_that_evidently_has_on_the_same_bins(
    expected: Sequence[int], observed: Sequence[int], psi: float, kl: float, root: float
) -> None:
    """Version 0.7.23, which takes KL from the baseline and the root of Jensen-Shannon."""
    assert population_stability_index(expected, observed) == pytest.approx(psi, rel=1e-9)
    assert kl_divergence(expected, observed) == pytest.approx(kl, rel=1e-9)
    assert jensen_shannon(expected, observed) ** 0.5 == pytest.approx(root, rel=1e-9)
