import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from turnout.stats.anytime import Alternative
from turnout.stats.arguments import BadArgument
from turnout.stats.power import (
    minimum_detectable_effect,
    power_means,
    power_proportions,
    sample_size_means,
    sample_size_proportions,
)

alternatives = st.sampled_from(["two-sided", "greater", "less"])
powers = st.floats(0.3, 0.99)
ratios = st.floats(0.1, 9)


def test_proportions_as_r_plans_them() -> None:
    """power.prop.test(p1 = .50, p2 = .75, power = .90): n = 76.7."""
    assert sample_size_proportions(0.5, 0.25, power=0.9) == pytest.approx(76.7, abs=0.05)


def test_means_as_r_plans_them() -> None:
    """power.t.test(delta = 1, power = .90): n = 22.02110; (n = 20, delta = 1): 0.8689528."""
    assert sample_size_means(1, 1, power=0.9) == pytest.approx(22.02110, abs=5e-5)
    assert power_means(1, 1, 20) == pytest.approx(0.8689528, abs=1e-6)


def test_means_as_cohen_has_them() -> None:
    """d = 0.2, 0.5, 0.8 at 80 % power: 393, 64, 26 a group (Cohen 1992, table 2)."""
    sizes = [math.ceil(sample_size_means(1, d)) for d in (0.2, 0.5, 0.8)]

    assert sizes == [394, 64, 26]


def test_proportions_by_the_textbook_formula() -> None:
    """(z√(2p̄q̄) + z'√(pq + p'q'))²/δ² (Fleiss 1981), one-sided."""
    p, q = 0.01, 0.02
    pooled = (p + q) / 2
    expected = (
        1.644853627 * math.sqrt(2 * pooled * (1 - pooled))
        + 0.841621234 * math.sqrt(p * (1 - p) + q * (1 - q))
    ) ** 2 / (q - p) ** 2

    assert sample_size_proportions(p, q - p, alternative="greater") == pytest.approx(
        expected, rel=1e-6
    )


def test_noninferiority_is_planned_for_no_effect() -> None:
    size = sample_size_proportions(0.9, 0.0, confidence=0.975, alternative="greater", margin=0.05)

    assert power_proportions(
        0.9, 0.0, size, confidence=0.975, alternative="greater", margin=0.05
    ) == pytest.approx(0.8)
    assert size == pytest.approx(565.1 * 1.1, rel=0.1)


@given(st.floats(0.02, 0.9), st.floats(0.005, 0.09), powers, ratios, alternatives)
def test_a_size_has_its_power(
    baseline: float, effect: float, power: float, ratio: float, alternative: Alternative
) -> None:
    effect = effect * baseline if alternative == "less" else effect
    size = sample_size_proportions(
        baseline, effect, power=power, ratio=ratio, alternative=alternative
    )
    found = power_proportions(baseline, effect, size, ratio=ratio, alternative=alternative)
    least = minimum_detectable_effect(
        baseline, size, power=power, ratio=ratio, alternative=alternative
    )

    assert found == pytest.approx(power, abs=1e-9)
    assert least == pytest.approx(effect, rel=1e-6)


@given(st.floats(0.1, 10), st.floats(0.01, 5), powers, ratios, alternatives)
def test_a_size_for_means_has_its_power(
    deviation: float, effect: float, power: float, ratio: float, alternative: Alternative
) -> None:
    size = sample_size_means(deviation, effect, power=power, ratio=ratio, alternative=alternative)
    found = power_means(deviation, effect, size, ratio=ratio, alternative=alternative)

    assert found == pytest.approx(power, abs=1e-6) or size == 3 / (1 + ratio)


@pytest.mark.parametrize("n", [1e3, 1e6, 1e9])
def test_many_units_make_students_t_normal(n: float) -> None:
    effect = 2.8 * math.sqrt(2 / n)

    assert power_means(1.0, effect, n) == pytest.approx(
        stats.norm.cdf(2.8 - 1.959964), abs=10 / n + 1e-6
    )


def test_a_size_too_small_to_be_less_is_enough_for_a_huge_effect() -> None:
    assert sample_size_means(0.01, 5.0) == 1.5


def test_a_margin_wider_than_the_noise_needs_no_effect() -> None:
    found = minimum_detectable_effect(0.5, 10_000, alternative="greater", margin=0.2)

    assert found == 0.0


def test_no_effect_is_found_by_mistake_alone() -> None:
    assert power_means(1.0, 0.0, 50) == pytest.approx(0.05)
    assert power_proportions(0.1, 0.0, 500) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(lambda: sample_size_proportions(0, 0.1), "baseline", id="no base rate"),
        pytest.param(
            lambda: sample_size_proportions(0.9, 0.2),
            "minimum_detectable_effect",
            id="a rate above all",
        ),
        pytest.param(
            lambda: sample_size_proportions(0.1, 0.0), "minimum_detectable_effect", id="no effect"
        ),
        pytest.param(
            lambda: sample_size_means(1.0, -0.1, alternative="less"),
            "minimum_detectable_effect",
            id="the direction given twice",
        ),
        pytest.param(
            lambda: sample_size_means(1.0, 1e-9), "minimum_detectable_effect", id="all of mankind"
        ),
        pytest.param(lambda: sample_size_means(0.0, 0.1), "standard_deviation", id="no deviation"),
        pytest.param(
            lambda: sample_size_means(1.0, 0.1, power=0.01), "power", id="less than by mistake"
        ),
        pytest.param(lambda: sample_size_means(1.0, 0.1, power=80), "power", id="percent"),
        pytest.param(lambda: sample_size_means(1.0, 0.1, ratio=0), "ratio", id="no treatment"),
        pytest.param(
            lambda: sample_size_means(1.0, 0.1, margin=0.1), "margin", id="a margin on both sides"
        ),
        pytest.param(lambda: power_means(1.0, 0.1, 1.0), "n", id="no degrees of freedom"),
        pytest.param(lambda: minimum_detectable_effect(0.5, 3), "n", id="nothing is found"),
        pytest.param(
            lambda: power_proportions(0.1, 0.1, 50, alternative="less", margin=1.0),
            "minimum_detectable_effect",
            id="a rate of nothing",
        ),
        pytest.param(
            lambda: power_proportions(0.2, 0.1, 50, alternative="less", margin=1.0),
            "margin",
            id="a margin of everything",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()
