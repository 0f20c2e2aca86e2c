"""The effect over strata: against other implementations, and what must not change it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.arms import alike, counts, measured
from turnout.stats.arguments import BadArgument
from turnout.stats.comparison import compare_means, lift
from turnout.stats.effect import Effect, Stratum, effect, per_exposed_unit, too_few
from turnout.stats.intervals import difference, relative
from turnout.stats.moments import Moments, Proportion
from turnout.stats.tails import normal_score, student_score
from turnout.stats.totals import UnitTotals


def stratum(control: UnitTotals, treatment: UnitTotals) -> Stratum:
    return Stratum(control=control, treatment=treatment)


def known(strata: list[Stratum], *, proportion: bool = True) -> Effect:
    found = effect(strata, proportion=proportion)
    assert found is not None
    return found


arms = st.integers(1, 50_000).flatmap(
    lambda n: st.one_of(st.integers(0, n), st.integers(0, min(n, 5))).map(lambda k: counts(k, of=n))
)
strata_of_rates = st.lists(st.builds(stratum, arms, arms), min_size=1, max_size=4)
units = st.lists(
    st.tuples(st.integers(1, 6), st.floats(-100, 100, width=16)), min_size=2, max_size=40
)


def clustered(of: list[tuple[int, float]]) -> UnitTotals:
    n, x = np.array(of, dtype=float).T
    return measured(x, n)


strata_of_means = st.lists(
    st.builds(stratum, units.map(clustered), units.map(clustered)), min_size=1, max_size=3
)


class TestOneStratum:
    @given(arms, arms)
    def test_rates_have_the_pooled_test(self, control: UnitTotals, treatment: UnitTotals) -> None:
        """Pearson's chi-square without correction is its square."""
        found = effect([stratum(control, treatment)], proportion=True)
        table = [[arm.x, arm.n - arm.x] for arm in (control, treatment)]
        if found is None:
            assert 0 in np.sum(table, axis=0)
            return

        chi_square = stats.chi2_contingency(table, correction=False).statistic
        assert found.statistic**2 == pytest.approx(chi_square, rel=1e-9, abs=1e-12)

    def test_means_of_equal_arms_have_welchs_test(self) -> None:
        rng = np.random.default_rng(30)
        x, y = rng.normal(5, 1, 60), rng.normal(5.5, 3, 60)
        found = known([stratum(measured(x), measured(y))], proportion=False)
        welch = stats.ttest_ind(y, x, equal_var=False)

        assert found.statistic == pytest.approx(welch.statistic, rel=1e-9)
        assert found.degrees_of_freedom == pytest.approx(welch.df, rel=1e-9)

    def test_a_small_arm_that_hardly_varies_is_not_taken_at_its_word(self) -> None:
        rng = np.random.default_rng(31)
        x, y = rng.normal(5, 3, 2_000), 6 + rng.normal(0, 1e-3, 20)
        found = known([stratum(measured(x), measured(y))], proportion=False)
        pooled = stats.ttest_ind(y, x, equal_var=True)

        assert found.statistic == pytest.approx(pooled.statistic, rel=1e-9)

    def test_a_small_arm_that_varies_more_has_its_own_variance(self) -> None:
        rng = np.random.default_rng(32)
        x, y = rng.normal(5, 1, 2_000), rng.normal(6, 8, 20)
        found = known([stratum(measured(x), measured(y))], proportion=False)

        assert found.statistic == pytest.approx(
            stats.ttest_ind(y, x, equal_var=False).statistic, rel=1e-9
        )

    def test_events_of_a_unit_go_together(self) -> None:
        """Ten events that all agree are as good as one."""
        alone = known([stratum(counts(30, of=300), counts(45, of=300))])
        together = [
            replace(
                arm, n=10 * arm.n, n2=100 * arm.n2, x=10 * arm.x, x2=100 * arm.x2, xn=100 * arm.xn
            )
            for arm in (counts(30, of=300), counts(45, of=300))
        ]

        assert known([stratum(*together)]).statistic == pytest.approx(alone.statistic, rel=1e-9)

    def test_independent_events_of_a_unit_count_each(self) -> None:
        """Half of the units have one success of two: that is less spread than chance brings."""
        units = [UnitTotals(units=200, n=400, n2=800, x=k, x2=k, xn=2 * k) for k in (100, 140)]
        events = known([stratum(counts(100, of=400), counts(140, of=400))])

        assert known([stratum(*units)]).statistic == pytest.approx(events.statistic, rel=1e-9)


class TestStrata:
    def test_a_moving_base_rate_is_no_effect(self) -> None:
        """10 % while 1 % are treated, 14 % while half are: pooled, that is +3.8 points."""
        found = known(
            [
                stratum(counts(990, of=9_900), counts(10, of=100)),
                stratum(counts(700, of=5_000), counts(700, of=5_000)),
            ]
        )

        assert found.value == pytest.approx(0, abs=1e-12)

    def test_they_weigh_by_the_variance_without_a_difference(self) -> None:
        """By hand: 2·p(1 - p)/n of pooled rates; the stratum's own is all but what counts."""
        first, second = (
            stratum(counts(1_000, of=10_000), counts(1_100, of=10_000)),
            stratum(counts(4_000, of=10_000), counts(4_400, of=10_000)),
        )
        variances = [2 * 0.105 * 0.895 / 10_000, 2 * 0.42 * 0.58 / 10_000]
        information = sum(1 / variance for variance in variances)
        found = known([first, second])

        assert found.information == pytest.approx(information, rel=1e-3)
        assert found.value == pytest.approx(
            (0.01 / variances[0] + 0.04 / variances[1]) / information, rel=1e-3
        )

    def test_a_stratum_without_events_does_not_take_all_the_weight(self) -> None:
        quiet = stratum(counts(0, of=50), counts(0, of=50))
        busy = stratum(counts(100, of=1_000), counts(200, of=1_000))

        assert known([quiet, busy]).value == pytest.approx(0.1, rel=0.4)
        assert known([quiet, busy]).value < known([busy]).value

    def test_a_stratum_with_one_arm_says_nothing(self) -> None:
        both = stratum(counts(10, of=100), counts(20, of=100))
        alone = stratum(counts(50, of=100), UnitTotals())

        assert known([both, alone]) == known([both])

    @given(strata_of_rates, st.randoms())
    def test_their_order_does_not_matter(self, strata: list[Stratum], random) -> None:
        shuffled = random.sample(strata, len(strata))
        one, other = (effect(order, proportion=True) for order in (strata, shuffled))
        if one is None or other is None:
            assert one is other
            return

        assert one.value == pytest.approx(other.value, rel=1e-12, abs=1e-15)
        assert one.null_variance == pytest.approx(other.null_variance, rel=1e-12)

    def test_the_same_stratum_cut_in_two_says_the_same(self) -> None:
        whole = stratum(counts(200, of=2_000), counts(260, of=2_000))
        half = stratum(counts(100, of=1_000), counts(130, of=1_000))

        assert known([half, half]).statistic == pytest.approx(known([whole]).statistic, rel=1e-9)


class TestWhatMustNotMatter:
    @given(strata_of_rates)
    def test_successes_or_failures(self, strata: list[Stratum]) -> None:
        others = [stratum(s.control.complement(), s.treatment.complement()) for s in strata]
        one, other = (effect(each, proportion=True) for each in (strata, others))
        if one is None or other is None:
            assert one is other
            return

        assert other.statistic == pytest.approx(-one.statistic, rel=1e-6, abs=1e-9)

    @given(strata_of_means)
    def test_which_arm_is_which(self, strata: list[Stratum]) -> None:
        swapped = [stratum(s.treatment, s.control) for s in strata]
        one, other = (effect(each, proportion=False) for each in (strata, swapped))
        if one is None or other is None:
            assert one is other
            return

        assert other.value == pytest.approx(-one.value, rel=1e-9, abs=1e-12)
        assert other.null_variance == pytest.approx(one.null_variance, rel=1e-9)

    @given(strata_of_means, st.sampled_from([1e-6, 1e-3, 1e3, 1e6]))
    def test_the_unit_of_measurement(self, strata: list[Stratum], factor: float) -> None:
        def scaled(arm: UnitTotals) -> UnitTotals:
            return replace(arm, x=arm.x * factor, x2=arm.x2 * factor**2, xn=arm.xn * factor)

        others = [stratum(scaled(s.control), scaled(s.treatment)) for s in strata]
        one, other = (effect(each, proportion=False) for each in (strata, others))
        assume(one is not None and other is not None)
        assert one is not None
        assert other is not None

        assert other.statistic == pytest.approx(one.statistic, rel=1e-6, abs=1e-9)

    def test_where_the_scale_begins(self) -> None:
        rng = np.random.default_rng(33)
        x, y = rng.gamma(2, 3, 300), rng.gamma(2, 3.3, 100)
        one = known([stratum(measured(x), measured(y))], proportion=False)
        other = known([stratum(measured(x + 100), measured(y + 100))], proportion=False)

        assert other.statistic == pytest.approx(one.statistic, rel=1e-6)


class TestIntervals:
    @given(strata_of_rates, st.floats(0.5, 5))
    def test_the_interval_of_rates_excludes_zero_exactly_when_the_test_does(
        self, strata: list[Stratum], critical: float
    ) -> None:
        found = effect(strata, proportion=True)
        assume(found is not None)
        assert found is not None
        low, high = difference(strata, proportion=True, critical=critical)
        assert low is not None
        assert high is not None

        assert low <= found.value <= high
        if not math.isclose(abs(found.statistic), critical, rel_tol=1e-6):
            assert (low > 0 or high < 0) == (abs(found.statistic) > critical)

    @given(strata_of_rates, st.floats(0.5, 5))
    def test_so_does_the_interval_of_the_lift(self, strata: list[Stratum], critical: float) -> None:
        found = effect(strata, proportion=True)
        assume(found is not None)
        assert found is not None
        shown = relative(strata, proportion=True, critical=critical)
        low, high = shown.interval
        if shown.value is None or math.isclose(abs(found.statistic), critical, rel_tol=1e-6):
            return

        excluded = (low is not None and low > 0) or (high is not None and high < 0)
        assert excluded == (abs(found.statistic) > critical)

    @given(strata_of_means, st.floats(0.5, 4))
    def test_intervals_of_measurements_agree_with_the_test(
        self, strata: list[Stratum], critical: float
    ) -> None:
        found = effect(strata, proportion=False)
        assume(found is not None)
        assert found is not None
        z = normal_score(found.statistic, found.degrees_of_freedom)
        assume(not math.isclose(abs(z), critical, rel_tol=1e-6))
        low, high = difference(strata, proportion=False, critical=critical)

        assert low is not None
        assert high is not None
        assert (low > 0 or high < 0) == (abs(z) > critical)
        lift_low, lift_high = relative(strata, proportion=False, critical=critical).interval
        if lift_low is not None and lift_high is not None:
            assert (lift_low > 0 or lift_high < 0) == (abs(z) > critical)

    def test_a_single_stratum_has_the_score_intervals_of_a_comparison(self) -> None:
        """Koopman's and Miettinen's, which have their own tests against published tables."""
        arms = counts(100, of=1_000), counts(130, of=900)
        control, treatment = Proportion(1_000, 100), Proportion(900, 130)
        z = stats.norm.isf(0.025)

        shown = relative([stratum(*arms)], proportion=True, critical=z)
        assert shown.interval == pytest.approx(lift(control, treatment).interval, rel=1e-6)

    def test_a_single_stratum_of_means_has_fiellers_and_welchs(self) -> None:
        rng = np.random.default_rng(34)
        x, y = rng.gamma(2, 3, 200), rng.gamma(2, 3.5, 200)
        arms = [stratum(measured(x), measured(y))]
        z = stats.norm.isf(0.025)

        assert difference(arms, proportion=False, critical=z) == pytest.approx(
            compare_means(Moments.of(x), Moments.of(y)).interval, rel=1e-6
        )
        assert relative(arms, proportion=False, critical=z).interval == pytest.approx(
            lift(Moments.of(x), Moments.of(y)).interval, rel=1e-6
        )

    def test_a_control_near_zero_leaves_the_lift_open(self) -> None:
        x, y = np.array([-1.0, 1.0] * 100 + [0.1]), np.linspace(0, 2, 201)
        shown = relative([stratum(measured(x), measured(y))], proportion=False, critical=3.0)

        assert shown.value is not None
        assert shown.interval == (None, None)

    def test_a_control_of_zero_has_no_lift(self) -> None:
        shown = relative(
            [stratum(counts(0, of=500), counts(20, of=500))], proportion=True, critical=2.0
        )

        assert (shown.value, shown.interval) == (None, (None, None))

    def test_a_treatment_without_events_has_lost_all(self) -> None:
        shown = relative(
            [stratum(counts(50, of=500), counts(0, of=500))], proportion=True, critical=2.0
        )
        low, high = shown.interval

        assert shown.value == low == -1
        assert high is not None
        assert -1 < high < -0.8

    def test_a_bound_that_cannot_be_reached_leaves_everything_open(self) -> None:
        arms = [stratum(counts(50, of=500), counts(60, of=500))]

        assert difference(arms, proportion=True, critical=math.inf) == (None, None)
        assert relative(arms, proportion=True, critical=math.inf).interval == (None, None)

    @pytest.mark.parametrize("df", [3.0, 30.0, 3_000.0])
    @pytest.mark.parametrize("z", [0.0, 1.0, 5.0, 8.0])
    def test_the_critical_value_of_t_has_the_tail_of_z(self, z: float, df: float) -> None:
        assert normal_score(student_score(z, df), df) == pytest.approx(z, abs=1e-9)
        assert student_score(-z, df) == -student_score(z, df)


class TestNothingToCompare:
    @pytest.mark.parametrize(
        ("control", "treatment", "proportion"),
        [
            pytest.param(UnitTotals(), UnitTotals(), True, id="no data"),
            pytest.param(counts(5, of=50), UnitTotals(), True, id="an empty arm"),
            pytest.param(counts(0, of=50), counts(0, of=60), True, id="no event in either"),
            pytest.param(counts(50, of=50), counts(60, of=60), True, id="every event in both"),
            pytest.param(alike(2.5, units=50), alike(2.5, units=9), False, id="all alike"),
            pytest.param(
                alike(2.5, units=50), alike(3.5, units=9), False, id="all alike in each arm"
            ),
            pytest.param(alike(0.1, units=1), alike(7.0, units=1), False, id="one unit each"),
            pytest.param(
                alike(0.0, units=50), alike(0.0, units=50), False, id="measured, all zero"
            ),
        ],
    )
    def test_is_no_effect(
        self, control: UnitTotals, treatment: UnitTotals, proportion: bool
    ) -> None:
        assert effect([stratum(control, treatment)], proportion=proportion) is None
        assert difference([stratum(control, treatment)], proportion=proportion, critical=2.0) == (
            None,
            None,
        )

    def test_no_strata(self) -> None:
        assert effect([], proportion=True) is None

    def test_one_unit_in_an_arm_has_the_spread_of_the_other(self) -> None:
        rng = np.random.default_rng(35)
        found = known(
            [stratum(measured(rng.normal(0, 1, 100)), alike(1.0, units=1))], proportion=False
        )

        assert found.degrees_of_freedom == pytest.approx(99)

    @pytest.mark.parametrize("x", [-1.0, 11.0])
    def test_counts_that_are_none_are_refused(self, x: float) -> None:
        arm = UnitTotals(units=10, n=10, n2=10, x=x, x2=x * x, xn=x)

        with pytest.raises(BadArgument, match=r"^treatment counts"):
            effect([stratum(counts(1, of=10), arm)], proportion=True)

    @pytest.mark.parametrize(
        ("arm", "says"),
        [
            pytest.param(counts(5, of=49), "fewer than 50 units", id="units"),
            pytest.param(counts(1, of=60), "fewer than 10 events", id="events"),
            pytest.param(counts(59, of=60), "fewer than 10 events", id="events of the other kind"),
        ],
    )
    def test_too_few_for_the_normal_curve(self, arm: UnitTotals, says: str) -> None:
        reason = too_few([stratum(arm, arm)], proportion=True)

        assert reason is not None
        assert reason.startswith(says)

    def test_an_arm_in_which_nothing_happens_any_more_is_no_lack_of_data(self) -> None:
        assert too_few([stratum(counts(50, of=500), counts(0, of=500))], proportion=True) is None


class TestPerExposedUnit:
    def test_units_that_report_nothing_have_zero(self) -> None:
        exposed = UnitTotals(units=100, n=250, n2=900, x=0, x2=0, xn=0)
        bought = UnitTotals(units=3, n=4, n2=6, x=70.0, x2=2_900.0, xn=120.0)

        assert per_exposed_unit(exposed, bought) == measured(
            np.array([50.0, 20.0, 0.0] + [0.0] * 97)
        )

    def test_more_outcomes_than_units_are_refused(self) -> None:
        with pytest.raises(BadArgument, match=r"^outcome is of 5 units, 4 were exposed"):
            per_exposed_unit(counts(0, of=4), counts(5, of=5))


def test_more_successes_raise_the_statistic() -> None:
    found = [known([stratum(counts(50, of=500), counts(k, of=400))]).statistic for k in range(400)]

    assert found == sorted(found)
