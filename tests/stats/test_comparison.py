"""Absolute differences between two arms, against published intervals and other software."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.comparisons import (
    SIDES,
    alternatives,
    assert_dual,
    confidences,
    excludes,
    margins,
    methods,
    moments,
    proportions,
)
from turnout.stats.anytime import Alternative
from turnout.stats.arguments import BadArgument
from turnout.stats.comparison import (
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    lift,
)
from turnout.stats.moments import AdjustedMoments, Moments, Proportion, RatioMoments
from turnout.stats.restricted import difference_error


class TestProportions:
    @pytest.mark.parametrize(
        ("method", "interval"),
        [
            pytest.param("newcombe", (0.0524, 0.3339), id="method 10"),
            pytest.param("score", (0.0533, 0.3377), id="method 5, Mee"),
            pytest.param("wald", (0.0575, 0.3425), id="method 1"),
        ],
    )
    def test_newcombes_first_example(self, method, interval: tuple[float, float]) -> None:
        """56 of 70 against 48 of 80: Newcombe 1998, table II, column a."""
        result = compare_proportions(Proportion(80, 48), Proportion(70, 56), method=method)

        assert result.interval == pytest.approx(interval, abs=5e-5)

    @pytest.mark.parametrize(
        ("treatment", "control", "interval"),
        [
            pytest.param(Proportion(10, 9), Proportion(10, 3), (0.1705, 0.8090), id="b"),
            pytest.param(Proportion(56, 5), Proportion(29, 0), (-0.0381, 0.1926), id="e"),
            pytest.param(Proportion(10, 10), Proportion(10, 0), (0.6075, 1.0), id="h"),
        ],
    )
    def test_newcombes_other_examples(
        self, treatment: Proportion, control: Proportion, interval: tuple[float, float]
    ) -> None:
        result = compare_proportions(control, treatment, method="newcombe")

        assert result.interval == pytest.approx(interval, abs=5e-5)

    def test_at_no_margin_the_score_test_is_the_pooled_z_test(self) -> None:
        control, treatment = Proportion(1_000, 100), Proportion(1_200, 150)
        pooled = 250 / 2_200
        error = math.sqrt(pooled * (1 - pooled) * (1 / 1_000 + 1 / 1_200))
        result = compare_proportions(control, treatment)

        assert result.standard_error == pytest.approx(error, rel=1e-12)
        assert result.statistic == pytest.approx(0.025 / error, rel=1e-12)
        assert result.p_value == pytest.approx(2 * stats.norm.sf(0.025 / error), rel=1e-9)
        assert result.effect == pytest.approx(0.025)

    @pytest.mark.parametrize(
        ("control", "treatment", "difference", "error"),
        [
            pytest.param((1_000, 0), (1_000, 0), -0.01, 0.003146426544510455, id="no events"),
            pytest.param((80, 48), (70, 56), -0.1, 0.07625426688839992, id="a margin"),
            pytest.param((10**6, 3), (10**5, 1), 1e-5, 1.150071440603179e-5, id="rare events"),
            pytest.param((4, 4), (127_856, 235), -0.9, 0.1487667837418654, id="one arm at its end"),
        ],
    )
    def test_rates_are_those_of_greatest_likelihood(
        self,
        control: tuple[int, int],
        treatment: tuple[int, int],
        difference: float,
        error: float,
    ) -> None:
        """Against the likelihood equation, solved to 40 digits."""
        result = difference_error(Proportion(*control), Proportion(*treatment), difference)

        assert result == pytest.approx(error, rel=1e-9)

    @given(st.tuples(proportions, proportions), confidences, alternatives, margins, methods)
    def test_p_value_and_interval_never_contradict_each_other(
        self, arms, confidence, alternative, margin, method
    ) -> None:
        control, treatment = arms
        margin = 0.0 if alternative == "two-sided" else margin
        result = compare_proportions(
            control,
            treatment,
            confidence=confidence,
            alternative=alternative,
            margin=margin,
            method=method,
        )

        assert_dual(result, margin if alternative == "less" else -margin)

    @given(proportions, proportions, alternatives, margins, methods)
    def test_swapped_arms_have_the_opposite_effect(
        self, control, treatment, alternative, margin, method
    ) -> None:
        margin = 0.0 if alternative == "two-sided" else margin
        one, other = (
            compare_proportions(*arms, alternative=side, margin=margin, method=method)
            for arms, side in (
                ((control, treatment), alternative),
                ((treatment, control), SIDES[alternative]),
            )
        )
        assert other.effect is not None
        assert one.effect == -other.effect
        if one.log10_p is not None:
            assert one.log10_p == pytest.approx(other.log10_p, rel=1e-6, abs=1e-9)
        if one.interval is not None:
            low, high = one.interval
            expected = (None if high is None else -high, None if low is None else -low)
            assert other.interval == pytest.approx(expected, abs=1e-9)

    @given(proportions, proportions)
    def test_the_lift_agrees_with_the_absolute_test(self, control, treatment) -> None:
        absolute, relative = compare_proportions(control, treatment), lift(control, treatment)

        if relative.p_value is not None:
            assert relative.p_value == absolute.p_value
            assert_dual(relative, 0.0)

    @pytest.mark.parametrize("events", [0, 1_000])
    def test_without_events_nothing_is_decided(self, events: int) -> None:
        arm = Proportion(1_000, events)
        result = compare_proportions(arm, arm)

        assert (result.p_value, result.interval) == (None, None)
        assert result.reason == "no unit differs from any other, in either arm"

    def test_without_events_newcombes_interval_still_bounds_the_effect(self) -> None:
        arm = Proportion(1_000, 0)
        result = compare_proportions(arm, arm, method="newcombe")

        assert result.interval == pytest.approx((-0.0038, 0.0038), abs=5e-5)
        assert result.p_value is None

    def test_without_events_a_margin_can_be_decided(self) -> None:
        arm = Proportion(1_000, 0)
        result = compare_proportions(arm, arm, alternative="greater", margin=0.01)

        assert result.p_value == pytest.approx(0.00074, abs=1e-5)
        assert result.interval is not None
        assert excludes(result.interval, -0.01)

    def test_a_small_arm_beside_a_large_one_is_not_blind(self) -> None:
        """Unpooled, no error in 200 would have no variance."""
        result = compare_proportions(Proportion(20_000, 200), Proportion(200, 0))
        pooled = 200 / 20_200

        assert result.standard_error == pytest.approx(
            math.sqrt(pooled * (1 - pooled) * (1 / 200 + 1 / 20_000)), rel=1e-9
        )


class TestMeans:
    def test_welch_agrees_with_scipy(self) -> None:
        rng = np.random.default_rng(6)
        a, b = rng.normal(10, 3, 15), rng.normal(12, 1, 40)
        result = compare_means(Moments.of(a), Moments.of(b))
        reference = stats.ttest_ind(b, a, equal_var=False)
        interval = reference.confidence_interval(0.95)

        assert result.statistic == pytest.approx(reference.statistic, rel=1e-10)
        assert result.p_value == pytest.approx(reference.pvalue, rel=1e-9)
        assert result.degrees_of_freedom == pytest.approx(reference.df, rel=1e-10)
        assert result.interval == pytest.approx((interval.low, interval.high), rel=1e-9)

    @pytest.mark.parametrize("effect", [-30.0, -0.5, 0.0, 0.8, 3.0])
    def test_a_t_of_few_degrees_is_brought_to_the_normal_scale(self, effect: float) -> None:
        result = compare_means(Moments(6, 0.0, 5.0), Moments(6, effect, 5.0))
        assert result.statistic is not None
        assert result.z is not None

        assert abs(result.z) <= abs(result.statistic)
        assert stats.norm.sf(abs(result.z)) * 2 == pytest.approx(result.p_value, rel=1e-9)
        assert math.copysign(1.0, result.z) == math.copysign(1.0, effect)

    def test_an_arm_without_variance_leaves_the_degrees_of_the_other(self) -> None:
        result = compare_means(Moments(30, 0.0, 29.0), Moments(20, 1.0, 0.0))

        assert result.degrees_of_freedom == pytest.approx(29)

    def test_identical_values_decide_nothing(self) -> None:
        result = compare_means(Moments.of([0.1] * 50), Moments.of([0.3] * 50))

        assert result.effect == pytest.approx(0.2)
        assert (result.z, result.p_value, result.interval) == (None, None, None)
        assert result.reason == "nothing varies in either arm"

    @given(moments, moments, confidences, alternatives, margins)
    def test_p_value_and_interval_never_contradict_each_other(
        self, control, treatment, confidence, alternative, margin
    ) -> None:
        margin = 0.0 if alternative == "two-sided" else margin
        result = compare_means(
            control, treatment, confidence=confidence, alternative=alternative, margin=margin
        )

        assert_dual(result, margin if alternative == "less" else -margin)

    @given(moments, moments, alternatives, st.floats(1e-6, 1e6), st.booleans())
    def test_neither_unit_nor_direction_matters(
        self, control, treatment, alternative, scale, flip
    ) -> None:
        factor = -scale if flip else scale
        scaled = [Moments(m.n, m.mean * factor, m.m2 * factor**2) for m in (control, treatment)]
        one = compare_means(control, treatment, alternative=alternative)
        other = compare_means(*scaled, alternative=SIDES[alternative] if flip else alternative)
        assume(one.log10_p is not None)
        assume(other.log10_p is not None)

        assert other.log10_p == pytest.approx(one.log10_p, rel=1e-7, abs=1e-9)

    @pytest.mark.parametrize(
        ("statistic", "df", "log10_p"),
        [
            pytest.param(40.0, 100.0, -62.6086929709, id="far out"),
            pytest.param(1e5, 98.0, -393.524703349, id="beyond what a float can be"),
            pytest.param(60.0, 2e6, -782.9032947786, id="of very many units"),
        ],
    )
    def test_a_tiny_p_value_keeps_its_logarithm(
        self, statistic: float, df: float, log10_p: float
    ) -> None:
        n = int(df / 2 + 1)
        arm = Moments(n, 0.0, n - 1.0)
        effect = statistic * math.sqrt(2 / n)
        result = compare_means(arm, Moments(n, effect, n - 1.0))

        assert result.degrees_of_freedom == pytest.approx(df)
        assert result.log10_p == pytest.approx(log10_p, rel=1e-9)


class TestRatios:
    def test_the_delta_method_counts_users_not_requests(self) -> None:
        rng = np.random.default_rng(9)
        x = rng.integers(1, 30, 400) * 1.0
        y = x * rng.beta(2, 8, 400)
        arm = RatioMoments.of(y, x)
        result = compare_ratios(arm, RatioMoments.of(y[:200], x[:200]))
        ratio = y.sum() / x.sum()
        variances = []
        for ys, xs in ((y, x), (y[:200], x[:200])):
            residuals = ys - ys.sum() / xs.sum() * xs
            variances.append(residuals.var(ddof=1) / len(xs) / xs.mean() ** 2)

        assert result.effect == pytest.approx(y[:200].sum() / x[:200].sum() - ratio)
        assert result.standard_error == pytest.approx(math.sqrt(sum(variances)), rel=1e-9)

    def test_a_ratio_to_nothing_decides_nothing(self) -> None:
        nothing = RatioMoments(Moments(5, 1.0, 1.0), Moments(5, 0.0, 0.0), 0.0)
        some = RatioMoments(Moments(5, 1.0, 1.0), Moments(5, 2.0, 1.0), 0.0)

        for result in (compare_ratios(nothing, some), lift(some, nothing)):
            assert (result.effect, result.p_value, result.interval) == (None, None, None)
            assert result.reason


class TestAdjusted:
    def test_what_the_past_explains_is_taken_out(self) -> None:
        rng = np.random.default_rng(10)
        pre = rng.normal(50, 10, 2_000)
        post = 0.9 * pre + rng.normal(0, 3, 2_000)
        post[1_000:] += 1.0
        control = AdjustedMoments.of(post[:1_000], pre[:1_000])
        treatment = AdjustedMoments.of(post[1_000:], pre[1_000:])
        plain = compare_means(control.post, treatment.post)
        result = compare_adjusted(control, treatment)
        assert plain.standard_error is not None

        assert result.effect == pytest.approx(1.0, abs=0.3)
        assert result.standard_error == pytest.approx(
            plain.standard_error * math.sqrt(1 - 0.9487**2), rel=0.05
        )

    def test_a_past_that_does_not_vary_explains_nothing(self) -> None:
        flat = Moments(100, 5.0, 0.0)
        control, treatment = Moments(100, 1.0, 50.0), Moments(100, 2.0, 50.0)
        result = compare_adjusted(
            AdjustedMoments(control, flat, 0.0), AdjustedMoments(treatment, flat, 0.0)
        )

        assert result == compare_means(control, treatment)


@pytest.mark.parametrize(
    ("act", "argument"),
    [
        pytest.param(
            lambda: compare_proportions(Proportion(0, 0), Proportion(5, 1)),
            "control",
            id="empty control",
        ),
        pytest.param(
            lambda: compare_means(Moments(5, 1.0, 1.0), Moments(1, 1.0, 0.0)),
            "treatment",
            id="one unit has no variance",
        ),
        pytest.param(
            lambda: compare_means(Moments(5, 1.0, 1.0), Moments(5, 1.0, 1.0), margin=0.1),
            "margin",
            id="a margin on both sides",
        ),
        pytest.param(
            lambda: compare_proportions(
                Proportion(5, 1), Proportion(5, 1), alternative="less", margin=1.0
            ),
            "margin",
            id="a margin of everything",
        ),
        pytest.param(
            lambda: compare_means(Moments(5, 1.0, 1.0), Moments(5, 1.0, 1.0), confidence=95),
            "confidence",
            id="confidence in percent",
        ),
        pytest.param(
            lambda: lift(Moments(5, 1.0, 1.0), Proportion(5, 1)),
            "treatment",
            id="a mean against a rate",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(act, argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        act()


@given(proportions, proportions, alternatives)
def test_a_comparison_is_json(control, treatment, alternative: Alternative) -> None:
    for result in (
        compare_proportions(control, treatment, alternative=alternative),
        lift(control, treatment),
    ):
        assert json.dumps(asdict(result), allow_nan=False)
