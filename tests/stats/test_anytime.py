import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.stats.anytime import (
    Alternative,
    anytime_p_value,
    boundary,
    confidence_sequence,
)
from turnout.stats.arguments import BadArgument

alternatives = st.sampled_from(["two-sided", "greater", "less"])
effects = st.floats(-5, 5)


@pytest.mark.parametrize("n", [10, 1_000, 250_000])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_sequence_is_the_one_that_eppo_publishes(n: int, alpha: float) -> None:
    """Another notation of the same boundary: √((t + ρ)/t · ln((t + ρ)/(ρα²)))."""
    rho = 5_000 / (math.log(math.log(math.e / alpha**2)) - 2 * math.log(alpha))
    reach = math.sqrt((n + rho) / n * math.log((n + rho) / (rho * alpha**2)))
    low, high = confidence_sequence(0.3, 0.1, n, confidence=1 - alpha, tuned_at=5_000)

    assert low == pytest.approx(0.3 - 0.1 * reach, rel=1e-9)
    assert high == pytest.approx(0.3 + 0.1 * reach, rel=1e-9)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_interval_is_about_narrowest_where_it_is_tuned(alternative: Alternative) -> None:
    def reach(n: int, tuned_at: float) -> float:
        low, _ = confidence_sequence(
            0.0, 1.0, n, confidence=0.95, tuned_at=tuned_at, alternative=alternative
        )
        assert low is not None
        return -low

    best = reach(1_000, 1_000)
    others = [reach(1_000, tuned_at) for tuned_at in (100, 300, 700, 1_400, 3_000, 10_000)]

    assert best < 1.002 * min(others)


@given(effects, st.floats(0.001, 1), st.floats(1, 1e6), st.floats(0.55, 0.999), alternatives)
def test_the_p_value_is_small_exactly_when_the_interval_excludes_zero(
    effect: float, error: float, n: float, confidence: float, alternative: Alternative
) -> None:
    low, high = confidence_sequence(
        effect, error, n, confidence=confidence, tuned_at=1_000, alternative=alternative
    )
    p = anytime_p_value(
        effect, error, n, confidence=confidence, tuned_at=1_000, alternative=alternative
    )
    assert p is not None
    excluded = (low is not None and low > 0) or (high is not None and high < 0)

    if not math.isclose(p, 1 - confidence, rel_tol=1e-9):
        assert excluded == (p < 1 - confidence)


@given(effects, st.floats(0.001, 1), st.floats(1e-6, 1e6), alternatives)
def test_the_unit_of_measurement_does_not_matter(
    effect: float, error: float, scale: float, alternative: Alternative
) -> None:
    plain, scaled = (
        anytime_p_value(
            factor * effect,
            factor * error,
            500,
            confidence=0.95,
            tuned_at=1_000,
            alternative=alternative,
        )
        for factor in (1.0, scale)
    )

    assert scaled == pytest.approx(plain, rel=1e-6)


def test_what_does_not_vary_decides_nothing() -> None:
    assert anytime_p_value(1.0, 0.0, 100, confidence=0.95, tuned_at=1_000) is None


def test_overwhelming_evidence_does_not_overflow() -> None:
    for alternative in ("two-sided", "greater"):
        p = anytime_p_value(
            1.0, 1e-6, 1e6, confidence=0.95, tuned_at=1_000, alternative=alternative
        )
        assert p == 0.0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        pytest.param({"effect": math.inf}, "effect", id="infinite effect"),
        pytest.param({"standard_error": -1.0}, "standard_error", id="negative error"),
        pytest.param({"n": 0}, "n", id="no units"),
        pytest.param({"tuned_at": math.nan}, "tuned_at", id="tuned at nothing"),
        pytest.param({"confidence": 1.0}, "confidence", id="certainty"),
    ],
)
def test_what_makes_no_interval_is_refused(arguments: dict[str, Any], argument: str) -> None:
    usable: dict[str, Any] = {
        "effect": 0.1,
        "standard_error": 0.1,
        "n": 10,
        "confidence": 0.95,
        "tuned_at": 100,
    }
    for function in (confidence_sequence, anytime_p_value):
        with pytest.raises(BadArgument, match=f"^{argument} "):
            function(**usable | arguments)


@pytest.mark.parametrize("alpha", [0.025, 0.05])
def test_the_boundary_is_rarely_crossed_though_read_at_every_unit(alpha: float) -> None:
    rng = np.random.default_rng(12)
    n = np.arange(1, 2_001)
    z = rng.standard_normal((1_500, 2_000)).cumsum(axis=1) / np.sqrt(n)
    bound = np.array([boundary(float(units), alpha=alpha, tuned_at=500) for units in n])

    assert (z > bound).any(axis=1).mean() <= alpha
