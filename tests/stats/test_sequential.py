import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stats.designs import (
    DEFAULT,
    FAMILIES,
    FUTILITY,
    LINEAR,
    OBF,
    POCOCK,
    equal,
    schedules,
)
from turnout.stats.arguments import BadArgument
from turnout.stats.sequential import (
    SequentialTest,
    boundaries,
    conditional_power,
    exit_probabilities,
    futility_boundaries,
    inflation,
    least_beta,
    predictive_power,
    sequential_p_value,
)
from turnout.stats.spending import HwangShihDeCani, KimDeMets, Spending


class TestBoundaries:
    @pytest.mark.parametrize(
        ("spending", "bounds"),
        [
            pytest.param(OBF, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], id="O'Brien-Fleming"),
            pytest.param(POCOCK, [2.4380, 2.4268, 2.4102, 2.3966, 2.3860], id="Pocock"),
        ],
    )
    def test_five_looks_as_gsdesign_has_them(self, spending: Spending, bounds: list[float]) -> None:
        assert boundaries(equal(5), alpha=0.025, spending=spending) == pytest.approx(
            bounds, abs=2e-4
        )

    @pytest.mark.parametrize(
        ("fractions", "alpha", "spending", "bounds"),
        [
            ((0.01, 0.02), 0.025, OBF, (22.3831425680701901, 15.8054890484165307)),
            ((0.5, 0.501), 0.025, OBF, (2.96258804272756679, 3.00799825886423815)),
            ((0.5, 0.501), 0.025, DEFAULT, (2.60747488352965288, 2.67258281802625347)),
            ((0.05, 0.0505), 0.025, OBF, (9.95514557745584309, 9.92443725511957314)),
            ((0.999, 1.0), 0.05, LINEAR, (1.64533861883154862, 1.70077100129024319)),
            ((0.1, 1.0), 0.001, FUTILITY, (4.92994628680517774, 3.09034704457844369)),
        ],
    )
    def test_far_tails_and_small_increments_keep_their_digits(
        self,
        fractions: tuple[float, ...],
        alpha: float,
        spending: Spending,
        bounds: tuple[float, ...],
    ) -> None:
        """Against adaptive integration with 45 digits."""
        found = boundaries(fractions, alpha=alpha, spending=spending)

        assert found == pytest.approx(bounds, abs=1e-9)

    @given(schedules, st.sampled_from(FAMILIES))
    @settings(max_examples=40)
    def test_what_was_spent_is_what_is_exceeded(
        self, fractions: list[float], spending: Spending
    ) -> None:
        bounds = boundaries(fractions, alpha=0.025, spending=spending)
        exits = exit_probabilities(fractions, bounds, None, 0.0)

        assert sum(exits.upper) == pytest.approx(spending.spent(fractions[-1], 0.025), rel=1e-9)
        assert sum(exits.lower) == 0

    def test_a_single_look_is_the_fixed_test(self) -> None:
        for spending in FAMILIES:
            assert boundaries([1.0], alpha=0.025, spending=spending) == pytest.approx(
                [stats.norm.isf(0.025)], abs=1e-11
            )

    def test_a_schedule_that_ends_early_keeps_the_rest_unless_it_is_final(self) -> None:
        open_end = boundaries([0.3, 0.6], alpha=0.025, spending=DEFAULT)
        final = boundaries([0.3, 0.6], alpha=0.025, spending=DEFAULT, final=True)
        exits = exit_probabilities([0.3, 0.6], final, None, 0.0)

        assert open_end[0] == final[0]
        assert open_end[1] > final[1]
        assert sum(exits.upper) == pytest.approx(0.025, rel=1e-9)

    def test_information_beyond_the_plan_spends_no_more(self) -> None:
        bounds = boundaries([0.5, 1.3], alpha=0.025, spending=DEFAULT)
        exits = exit_probabilities([0.5, 1.3], bounds, None, 0.0)

        assert sum(exits.upper) == pytest.approx(0.025, rel=1e-9)

    def test_an_overwhelming_drift_stops_at_the_first_look(self) -> None:
        exits = exit_probabilities([0.2, 0.6, 1.0], [2.0, 2.0, 2.0], None, 200.0)

        assert exits.upper == (1.0, 0.0, 0.0)

    def test_where_nothing_is_spent_nothing_can_stop(self) -> None:
        assert boundaries([0.001, 1.0], alpha=0.025, spending=OBF)[0] == math.inf

    def test_four_hundred_looks_are_no_trouble(self) -> None:
        bounds = boundaries(equal(400), alpha=0.025, spending=DEFAULT)

        assert bounds[-1] == pytest.approx(2.22720162562, abs=1e-9)

    def test_a_walk_that_is_simulated_exceeds_them_as_often_as_promised(self) -> None:
        rng = np.random.default_rng(14)
        fractions = np.array([0.02, 0.05, 0.2, 0.21, 0.5, 0.7, 0.9, 1.0])
        steps = rng.standard_normal((40_000, 8)) * np.sqrt(np.diff(fractions, prepend=0))
        z = steps.cumsum(axis=1) / np.sqrt(fractions)
        bounds = boundaries(list(fractions), alpha=0.025, spending=DEFAULT)

        assert (z > bounds).any(axis=1).mean() == pytest.approx(0.025, abs=3 * 0.00078)

    @pytest.mark.parametrize(
        ("fractions", "alpha", "argument"),
        [
            pytest.param([], 0.025, "fractions", id="no looks"),
            pytest.param([0.5, 0.4], 0.025, "fractions", id="information lost"),
            pytest.param([0.5, 0.5], 0.025, "fractions", id="nothing new"),
            pytest.param([0.0, 0.5], 0.025, "fractions", id="no information"),
            pytest.param([math.inf], 0.025, "fractions", id="infinite information"),
            pytest.param([0.5], 0.0, "alpha", id="no error allowed"),
        ],
    )
    def test_what_is_no_schedule_is_refused(
        self, fractions: list[float], alpha: float, argument: str
    ) -> None:
        with pytest.raises(BadArgument, match=f"^{argument} "):
            boundaries(fractions, alpha=alpha, spending=DEFAULT)


class TestOneLookAtATime:
    def test_looks_taken_one_by_one_have_the_bounds_of_the_schedule(self) -> None:
        fractions = [0.1, 0.13, 0.4, 0.8, 1.0]
        test = SequentialTest(alpha=0.025, spending=DEFAULT)
        for fraction in fractions:
            test = test.look(fraction)

        assert tuple(look.bound for look in test.looks) == boundaries(
            fractions, alpha=0.025, spending=DEFAULT
        )

    def test_a_resumed_test_goes_on_as_if_never_left(self) -> None:
        test = SequentialTest(alpha=0.025, spending=OBF).look(0.001).look(0.2).look(0.5)
        resumed = SequentialTest.resumed(test.looks, alpha=0.025, spending=OBF)

        assert resumed == test
        assert resumed.look(0.9).looks == test.look(0.9).looks

    def test_a_refresh_without_new_information_is_no_look(self) -> None:
        test = SequentialTest(alpha=0.025, spending=DEFAULT).look(0.5)

        assert test.look(0.5 + 1e-6) is test
        assert test.look(0.4) is test

    def test_spending_by_the_plan_keeps_the_true_correlation(self) -> None:
        """Half of the units, which brought a third of the information."""
        test = SequentialTest(alpha=0.025, spending=DEFAULT)
        test = test.look(1 / 3, elapsed=0.5).look(1.0)
        bounds = [look.bound or math.inf for look in test.looks]
        exits = exit_probabilities([1 / 3, 1.0], bounds, None, 0.0)

        assert exits.upper[0] == pytest.approx(DEFAULT.spent(0.5, 0.025))
        assert sum(exits.upper) == pytest.approx(0.025)

    def test_after_the_final_look_nothing_is_left_to_spend(self) -> None:
        test = SequentialTest(alpha=0.025, spending=DEFAULT).look(0.5).look(0.7, final=True)

        assert test.looks[-1].spent == 0.025
        assert test.look(0.9).looks[-1].bound is None


class TestFutility:
    def test_the_default_design_of_gsdesign(self) -> None:
        """Three looks, HSD -4 and -2, 90 % power: gsDesign(), test.type = 4."""
        spending, futility = HwangShihDeCani(-4), HwangShihDeCani(-2)
        factor = inflation(equal(3), alpha=0.025, beta=0.1, spending=spending, futility=futility)
        drift = math.sqrt(factor) * (stats.norm.isf(0.025) + stats.norm.isf(0.1))
        lower = futility_boundaries(
            equal(3), alpha=0.025, beta=0.1, spending=spending, futility=futility, drift=drift
        )
        upper = boundaries(equal(3), alpha=0.025, spending=spending)

        assert factor == pytest.approx(1.0700, abs=1e-3)
        assert upper == pytest.approx([3.0107, 2.5465, 1.9992], abs=1e-4)
        assert lower == pytest.approx([-0.2387, 0.9411, 1.9992], abs=1e-3)

    @pytest.mark.parametrize(
        ("spending", "futility", "factor"),
        [
            (OBF, None, 1.055),
            (HwangShihDeCani(-4), None, 1.050),
            (HwangShihDeCani(-3), None, 1.071),
            (HwangShihDeCani(-2), None, 1.102),
            (KimDeMets(2), None, 1.102),
            (HwangShihDeCani(-3), HwangShihDeCani(-8), 1.081),
            (HwangShihDeCani(-4), HwangShihDeCani(-12), 1.053),
            (HwangShihDeCani(-4), HwangShihDeCani(-4), 1.101),
            (HwangShihDeCani(-2), HwangShihDeCani(-8), 1.110),
        ],
    )
    def test_a_hundred_looks_cost_little_more_than_one(
        self, spending: Spending, futility: Spending | None, factor: float
    ) -> None:
        found = inflation(equal(100), alpha=0.025, beta=0.2, spending=spending, futility=futility)

        assert found == pytest.approx(factor, abs=6e-4)

    def test_the_default_profile_stops_early_for_benefit_and_for_none(self) -> None:
        """Expected size, as a multiple of a single look with the same power."""
        fractions = equal(100)
        design = {"alpha": 0.025, "beta": 0.2}
        factor = inflation(fractions, spending=DEFAULT, futility=FUTILITY, **design)
        drift = math.sqrt(factor) * (stats.norm.isf(0.025) + stats.norm.isf(0.2))
        upper = boundaries(fractions, alpha=0.025, spending=DEFAULT)
        lower = futility_boundaries(
            fractions, spending=DEFAULT, futility=FUTILITY, drift=drift, **design
        )

        def expected_size(true: float) -> float:
            exits = exit_probabilities(fractions, upper, lower, true)
            stops = np.add(exits.upper, exits.lower)
            return factor * float(np.dot(fractions, stops) + 1 - stops.sum())

        assert sum(exit_probabilities(fractions, upper, lower, drift).upper) == pytest.approx(0.8)
        assert expected_size(0.0) == pytest.approx(0.683, abs=1e-3)
        assert expected_size(drift) == pytest.approx(0.730, abs=1e-3)

    @pytest.mark.parametrize("drift", [1.5, 2.8, 4.0])
    def test_for_given_information_some_beta_makes_the_bounds_meet(self, drift: float) -> None:
        design = {"alpha": 0.025, "spending": DEFAULT, "futility": FUTILITY, "drift": drift}
        beta = least_beta(equal(10), **design)  # type: ignore[arg-type]
        lower = futility_boundaries(equal(10), beta=beta, **design)  # type: ignore[arg-type]
        upper = boundaries(equal(10), alpha=0.025, spending=DEFAULT)

        assert lower[-1] == pytest.approx(upper[-1], abs=1e-4)
        assert sum(exit_probabilities(equal(10), upper, lower, drift).upper) == pytest.approx(
            1 - beta, abs=1e-5
        )

    def test_beta_and_inflation_are_inverse(self) -> None:
        design = {"alpha": 0.025, "spending": DEFAULT, "futility": FUTILITY}
        factor = inflation(equal(10), beta=0.2, **design)  # type: ignore[arg-type]
        drift = math.sqrt(factor) * (stats.norm.isf(0.025) + stats.norm.isf(0.2))

        assert least_beta(equal(10), drift=drift, **design) == pytest.approx(  # type: ignore[arg-type]
            0.2, abs=1e-6
        )

    def test_without_a_drift_all_is_missed(self) -> None:
        design = {"alpha": 0.025, "spending": DEFAULT, "futility": FUTILITY}

        assert least_beta(equal(5), drift=0.0, **design) == pytest.approx(0.975)  # type: ignore[arg-type]
        assert least_beta(equal(5), drift=20.0, **design) == pytest.approx(1e-12)  # type: ignore[arg-type]

    def test_who_ignores_futility_errs_no_more_often(self) -> None:
        upper = boundaries(equal(5), alpha=0.025, spending=DEFAULT)

        assert sum(exit_probabilities(equal(5), upper, None, 0.0).upper) == pytest.approx(0.025)

    def test_a_lower_bound_never_lies_above_its_upper_one(self) -> None:
        arguments = {"alpha": 0.025, "beta": 0.2, "spending": DEFAULT, "futility": FUTILITY}
        lower = futility_boundaries(equal(10), drift=12.0, **arguments)  # type: ignore[arg-type]
        upper = boundaries(equal(10), alpha=0.025, spending=DEFAULT)

        assert all(low <= high for low, high in zip(lower, upper, strict=True))

    def test_crossed_bounds_are_refused(self) -> None:
        with pytest.raises(BadArgument, match=r"^lower "):
            exit_probabilities([0.5, 1.0], [2.0, 2.0], [2.1, 0.0], 0.0)

    def test_missing_bounds_are_refused(self) -> None:
        with pytest.raises(BadArgument, match=r"^upper "):
            exit_probabilities([0.5, 1.0], [2.0], None, 0.0)


class TestSequentialPValue:
    @given(
        schedules.flatmap(
            lambda fractions: st.tuples(
                st.just(fractions),
                st.lists(st.floats(-3, 6), min_size=len(fractions), max_size=len(fractions)),
            )
        ),
        st.sampled_from([OBF, POCOCK, DEFAULT]),
    )
    @settings(max_examples=30)
    def test_it_is_small_exactly_when_a_look_has_stopped_the_test(
        self, seen: tuple[list[float], list[float]], spending: Spending
    ) -> None:
        fractions, z = seen
        p = sequential_p_value(z, fractions, spending=spending)
        bounds = boundaries(fractions, alpha=0.025, spending=spending)

        if not math.isclose(p, 0.025, rel_tol=1e-6):
            assert (p < 0.025) == any(a >= b for a, b in zip(z, bounds, strict=True))

    def test_it_never_rises_from_look_to_look(self) -> None:
        z, fractions = [0.5, 2.2, 2.9, 1.0, 0.2], equal(5)
        p = [
            sequential_p_value(z[:looks], fractions[:looks], spending=DEFAULT)
            for looks in range(1, 6)
        ]

        assert p == sorted(p, reverse=True)
        assert p[2] == p[3] == p[4]

    def test_at_a_single_full_look_it_is_the_p_value(self) -> None:
        assert sequential_p_value([2.0], [1.0], spending=DEFAULT) == pytest.approx(
            stats.norm.sf(2.0), rel=1e-6
        )

    def test_no_effect_at_all_has_no_evidence(self) -> None:
        assert sequential_p_value([-4.0], [0.5], spending=DEFAULT) > 0.9

    def test_overwhelming_evidence_is_a_number(self) -> None:
        assert 0 < sequential_p_value([37.0], [0.5], spending=DEFAULT) < 1e-280

    def test_missing_looks_are_refused(self) -> None:
        with pytest.raises(BadArgument, match=r"^z "):
            sequential_p_value([1.0], [0.5, 1.0], spending=DEFAULT)


class TestWhatIsToCome:
    @given(st.floats(-3, 4), st.floats(0.05, 0.95), st.floats(-2, 5))
    def test_conditional_power_is_that_of_the_walk_from_here(
        self, z: float, fraction: float, drift: float
    ) -> None:
        """The formula of Lan & Wittes 1988."""
        rest = 1 - fraction
        expected = stats.norm.cdf((z * fraction**0.5 - 1.96 + drift * rest) / rest**0.5)
        found = conditional_power(z, fraction, critical=1.96, drift=drift)

        assert found == pytest.approx(expected, rel=1e-9)

    @given(st.floats(-3, 4), st.floats(0.05, 0.95))
    def test_predictive_power_without_a_belief(self, z: float, fraction: float) -> None:
        """The formula of Spiegelhalter, Freedman & Blackburn 1986."""
        expected = stats.norm.cdf((z - 1.96 * fraction**0.5) / (1 - fraction) ** 0.5)

        assert predictive_power(z, fraction, critical=1.96) == pytest.approx(expected, rel=1e-9)

    def test_a_firm_belief_is_a_design(self) -> None:
        assert predictive_power(1.0, 0.4, critical=1.96, prior=(2.8, 1e-6)) == pytest.approx(
            conditional_power(1.0, 0.4, critical=1.96, drift=2.8), rel=1e-6
        )

    @pytest.mark.parametrize(("z", "power"), [(1.95, 0.0), (1.96, 1.0)])
    def test_in_the_end_it_is_decided(self, z: float, power: float) -> None:
        assert conditional_power(z, 1.0, critical=1.96, drift=2.8) == power
        assert predictive_power(z, 1.0, critical=1.96) == power
