"""Looks at a goal metric: what counts, what is found, and what the next look goes on from."""

import json
import math
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from tests.stats.arms import alike, counts, measured
from tests.stats.designs import DEFAULT
from tests.stats.goals import DESIGN, at, at_the_end, looks, raised, rates
from turnout.stats.arguments import BadArgument
from turnout.stats.effect import Stratum, effect
from turnout.stats.goal import GoalDesign, GoalState, GoalStatus, look, refresh
from turnout.stats.goal_bounds import beta_for
from turnout.stats.sequential import boundaries, exit_probabilities
from turnout.stats.totals import UnitTotals

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


class TestStatus:
    @pytest.mark.parametrize(
        ("strata", "status"),
        [
            pytest.param([at(0.4, 0.10, 0.12)], GoalStatus.WIN, id="twice the effect looked for"),
            pytest.param([at(0.4, 0.10, 0.08)], GoalStatus.HARM, id="as much the other way"),
            pytest.param([at(0.7, 0.10, 0.10)], GoalStatus.FUTILE, id="nothing by then"),
            pytest.param([at(0.1, 0.10, 0.10)], GoalStatus.CONTINUE, id="too early for futility"),
            pytest.param([at(0.4, 0.10, 0.11)], GoalStatus.CONTINUE, id="as planned, too early"),
            pytest.param([at(1.0, 0.10, 0.11)], GoalStatus.WIN, id="as planned, at the end"),
            pytest.param([at(1.0, 0.10, 0.105)], GoalStatus.FUTILE, id="half of it, at the end"),
            pytest.param([at(0.05, 0.10, 0.20)], GoalStatus.WIN, id="ten times, at a look"),
            pytest.param([at(0.05, 0.10, 0.0)], GoalStatus.HARM, id="nothing works any more"),
            pytest.param([rates(0, 0, of=5_000)], GoalStatus.NO_DATA, id="no event in either"),
            pytest.param([rates(9, 9, of=9)], GoalStatus.NO_DATA, id="all succeed in both"),
            pytest.param([[]], GoalStatus.NO_DATA, id="nothing was seen"),
        ],
    )
    def test_of_a_first_look(self, strata: list[list[Stratum]], status: GoalStatus) -> None:
        assert looks(strata)[1].status is status

    def test_of_a_metric_that_should_fall(self) -> None:
        down = replace(DESIGN, good="down")

        assert looks([at(0.4, 0.10, 0.08)], down)[1].status is GoalStatus.WIN
        assert looks([at(0.4, 0.10, 0.12)], down)[1].status is GoalStatus.HARM

    def test_without_futility_the_end_shows_nothing(self) -> None:
        endless = replace(DESIGN, futility=None)

        assert looks([at(0.9, 0.10, 0.10)], endless)[1].status is GoalStatus.CONTINUE
        assert looks([at(1.0, 0.10, 0.10)], endless)[1].status is GoalStatus.NOT_SHOWN

    def test_futility_does_not_bind(self) -> None:
        state, finding = looks([at(0.7, 0.10, 0.10)])
        assert finding.status is GoalStatus.FUTILE

        state, finding = looks([at(0.8, 0.10, 0.107)], state=state)
        assert finding.status is GoalStatus.CONTINUE
        assert looks([at(0.9, 0.10, 0.112)], state=state)[1].status is GoalStatus.WIN

    def test_a_search_that_was_futile_once_ends_as_one(self) -> None:
        weak = replace(DESIGN, minimum_effect=0.001)
        state, _ = looks([at(0.5, 0.10, 0.09)], weak)
        assert state.futile

        _, finding = at_the_end(at(1.0, 0.10, 0.1055), weak, state)
        assert finding.status is GoalStatus.FUTILE

    def test_conditional_power_below_its_threshold_is_futile(self) -> None:
        strict = replace(DESIGN, futility=0.7)
        _, patient = looks([at(0.5, 0.10, 0.105)])
        _, finding = looks([at(0.5, 0.10, 0.105)], strict)

        assert patient.status is GoalStatus.CONTINUE
        assert patient.conditional_power is not None
        assert 0.01 < patient.conditional_power < 0.7
        assert finding.status is GoalStatus.FUTILE

    def test_one_look_at_the_end_if_that_was_planned(self) -> None:
        single = replace(DESIGN, early_stopping=False)
        state, early = looks([at(0.5, 0.10, 0.15)], single)
        _, finding = at_the_end(at(1.0, 0.10, 0.1073), single, state)

        assert (early.status, early.counted, state) == (GoalStatus.CONTINUE, False, GoalState())
        assert finding.status is GoalStatus.WIN
        assert finding.bound == pytest.approx(stats.norm.isf(0.025))
        assert "one look is planned" in early.reason


class TestWhatCounts:
    def test_a_refresh_changes_nothing_and_decides_nothing(self) -> None:
        state, _ = looks([at(0.2, 0.10, 0.11), at(0.4, 0.10, 0.11)])
        again, finding = looks([at(0.404, 0.10, 0.15)], state=state)

        assert again is state
        assert (finding.status, finding.counted) == (GoalStatus.CONTINUE, False)
        assert finding.treatment == pytest.approx(0.15, abs=1e-3)
        assert finding.looks == 2
        assert "no look: less than half a percent" in finding.reason

    def test_what_is_shown_between_two_looks_is_none(self) -> None:
        state, _ = looks([at(0.2, 0.10, 0.11)])
        finding = refresh(DESIGN, state, at(0.6, 0.10, 0.15), proportion=True)

        assert (finding.status, finding.counted, finding.looks) == (GoalStatus.CONTINUE, False, 1)
        assert finding.treatment == pytest.approx(0.15, abs=1e-3)
        assert refresh(DESIGN, state, [], proportion=True).status is GoalStatus.NO_DATA

    def test_information_that_fell_is_no_look(self) -> None:
        rng = np.random.default_rng(40)
        design = replace(DESIGN, minimum_effect=0.1, units=4_000)
        quiet, wild = rng.normal(0, 1, 1_000), rng.normal(0, 9, 200)
        first = [Stratum(control=measured(quiet), treatment=measured(-quiet))]
        noisy = measured(np.concatenate([quiet, wild]))
        second = [Stratum(control=noisy, treatment=noisy)]
        state, _ = looks([first], design, proportion=False)
        later, finding = looks([second], design, state, proportion=False)

        assert later is state
        assert not finding.counted

    def test_too_few_events_are_no_look(self) -> None:
        state, finding = looks([rates(3, 5, of=100)])

        assert (state, finding.status) == (GoalState(), GoalStatus.CONTINUE)
        assert finding.interval == (None, None)
        assert "fewer than 10 events" in finding.reason

    def test_at_the_end_too_few_events_show_nothing(self) -> None:
        state, finding = at_the_end(rates(0, 9, of=30))

        assert finding.status is GoalStatus.NOT_SHOWN
        assert (finding.interval, finding.p_value) == ((None, None), None)
        assert "fewer than 50 units" in finding.reason
        assert state.ended

    def test_at_most_two_hundred_looks_count(self) -> None:
        state, _ = looks(at(0.1 + step / 1_000, 0.10, 0.1058) for step in range(100))

        assert len(state.looks) <= 20

    def test_what_was_found_stands(self) -> None:
        state, won = looks([at(0.4, 0.10, 0.12)])
        after, later = looks([at(0.9, 0.10, 0.10)], state=state)

        assert after is state
        assert (later.status, later.counted) == (GoalStatus.WIN, False)
        assert (later.p_value, later.estimate) == (won.p_value, won.estimate)
        assert later.effect == pytest.approx(0.0, abs=1e-6)
        assert "the test has ended" in later.reason

    def test_data_that_vanish_after_the_end_change_nothing(self) -> None:
        state, _ = looks([at(0.4, 0.10, 0.12)])

        assert looks([[]], state=state)[1].status is GoalStatus.WIN


class TestBounds:
    def test_they_are_those_of_the_schedule(self) -> None:
        state, _ = looks(at(share, 0.10, 0.1075) for share in FIFTHS)
        # The pooled rate is all but the same at every look, so units are information.
        expected = boundaries(FIFTHS, alpha=0.025, spending=DEFAULT)

        assert [look.bound for look in state.looks] == pytest.approx(expected, abs=2e-4)
        assert [look.spent for look in state.looks] == pytest.approx(
            [DEFAULT.spent(share, 0.025) for share in FIFTHS]
        )

    def test_win_and_harm_together_err_no_more_than_both(self) -> None:
        state, _ = looks(at(share, 0.10, 0.1075) for share in FIFTHS)
        upper = [look.bound for look in state.looks if look.bound is not None]
        fractions = [look.information for look in state.looks]
        exits = exit_probabilities(fractions, upper, [-bound for bound in upper], 0.0)

        assert sum(exits.upper) <= 0.025
        assert sum(exits.lower) == pytest.approx(0.025, abs=2e-5)

    def test_the_futility_bound_meets_the_other_at_the_end(self) -> None:
        state, _ = looks(at(step / 20, 0.10, 0.1066) for step in range(1, 21))
        last = state.looks[-1]

        assert last.bound is not None
        assert last.futility_bound == pytest.approx(last.bound, abs=0.02)
        assert state.looks[1].futility_bound is None
        assert state.looks[2].futility_bound is not None

    def test_beta_is_what_the_units_leave(self) -> None:
        """Power of 77.3 %, found by simulation, at the drift that a single look needs for 80 %."""
        drift = stats.norm.isf(0.025) + stats.norm.isf(0.2)

        assert beta_for(0.2, alpha=0.025, drift=drift) == pytest.approx(1 - 0.773, abs=5e-3)
        assert beta_for(0.2, alpha=0.025, drift=10.0) == 0.2
        assert beta_for(0.2, alpha=0.025, drift=0.01) == 0.9

    def test_a_last_look_before_all_the_units_spends_the_rest(self) -> None:
        state, _ = looks([at(0.3, 0.10, 0.11)])
        after, finding = at_the_end(at(0.5, 0.10, 0.115), state=state)

        assert finding.spent == 0.025
        assert finding.bound == pytest.approx(
            boundaries([0.3, 0.5], alpha=0.025, spending=DEFAULT, final=True)[-1], abs=5e-3
        )
        assert after.ended

    def test_a_last_look_at_the_same_data_is_that_look_with_all_that_is_left(self) -> None:
        state, _ = looks([at(0.3, 0.10, 0.11), at(0.5, 0.10, 0.11)])
        after, finding = at_the_end(at(0.5, 0.10, 0.11), state=state)

        assert len(after.looks) == 2
        assert (finding.spent, finding.counted) == (0.025, True)
        assert after.looks[1].bound == pytest.approx(
            boundaries([0.3, 0.5], alpha=0.025, spending=DEFAULT, final=True)[-1], abs=5e-3
        )

    def test_more_units_than_planned_keep_their_true_correlation(self) -> None:
        state, _ = looks([at(0.5, 0.10, 0.107)])
        _, finding = looks([at(1.4, 0.10, 0.107)], state=state)

        assert finding.spent == 0.025
        assert finding.bound == pytest.approx(
            boundaries([0.5, 1.4], alpha=0.025, spending=DEFAULT)[-1], abs=5e-3
        )

    def test_a_base_rate_that_moves_changes_the_correlations_and_not_the_spending(self) -> None:
        early = Stratum(control=counts(148, of=2_960), treatment=counts(160, of=2_960))
        late = Stratum(control=counts(1_500, of=5_000), treatment=counts(1_560, of=5_000))
        state, _ = looks([[early], [early, late]])
        first, second = state.looks

        assert second.spent == pytest.approx(DEFAULT.spent(7_960 / 14_800, 0.025))
        assert second.information / second.fraction < 0.6 * first.information / first.fraction

    def test_another_treatments_win_raises_the_level_of_all_looks(self) -> None:
        history = [at(0.25, 0.10, 0.108), at(0.5, 0.10, 0.113)]
        state, before = looks(history)
        assert before.status is GoalStatus.CONTINUE

        after, finding = looks(history[1:], raised(), state)
        assert (finding.counted, finding.status, len(after.looks)) == (True, GoalStatus.WIN, 2)
        assert finding.bound == pytest.approx(
            boundaries([0.25, 0.5], alpha=0.05, spending=DEFAULT)[-1], abs=5e-3
        )

    def test_so_it_does_for_a_test_that_had_ended_without_a_finding(self) -> None:
        """On what it had seen then; data that came later do not count."""
        state, before = at_the_end(at(1.0, 0.10, 0.1064))
        assert before.status is GoalStatus.FUTILE

        after, finding = looks([at(1.2, 0.10, 0.10)], raised(), state)
        assert (finding.status, finding.counted) == (GoalStatus.WIN, True)
        assert after.looks[-1].z == state.looks[-1].z
        assert looks([at(1.3, 0.10, 0.10)], raised(), after)[0] is after
        assert looks([at(1.3, 0.10, 0.20)], DESIGN, state)[0] is state

    def test_a_test_that_has_found_harm_is_not_looked_at_again(self) -> None:
        state, _ = looks([at(0.4, 0.10, 0.08)])

        assert looks([at(0.5, 0.10, 0.12)], raised(), state)[0] is state


class TestWhatIsClaimed:
    def test_while_running_the_p_value_may_be_read_at_every_look(self) -> None:
        findings = []
        state = GoalState()
        for share, rate in [(0.1, 0.102), (0.2, 0.112), (0.3, 0.104), (0.35, 0.101)]:
            state, finding = looks([at(share, 0.10, rate)], state=state)
            findings.append(finding)
        p_values = [finding.p_value for finding in findings if finding.p_value is not None]

        assert {finding.p_kind for finding in findings} == {"anytime"}
        assert all(later <= earlier for earlier, later in pairwise(p_values))
        assert len(p_values) == 4

    def test_a_single_look_claims_what_it_shows(self) -> None:
        _, finding = at_the_end(at(1.0, 0.10, 0.11))
        found = effect(at(1.0, 0.10, 0.11), proportion=True)
        assert found is not None

        assert finding.p_kind == "stage-wise"
        assert finding.p_value == pytest.approx(2 * stats.norm.sf(found.statistic), rel=1e-9)
        assert finding.estimate == pytest.approx(found.value, rel=1e-9)

    @pytest.mark.parametrize(("rate", "side"), [(0.112, 1.0), (0.088, -1.0)])
    def test_an_early_finding_is_marked_down(self, rate: float, side: float) -> None:
        state, finding = looks(at(share, 0.10, rate) for share in (0.2, 0.4, 0.6))
        low, high = finding.estimate_interval
        assert finding.estimate is not None
        assert finding.effect is not None
        assert finding.p_value is not None
        assert low is not None
        assert high is not None

        assert state.ended
        assert 0 < side * finding.estimate < side * finding.effect
        assert low < finding.estimate < high
        assert (low > 0 or high < 0) == (finding.p_value < 0.05)

    def test_what_is_futile_has_an_estimate_too(self) -> None:
        state, finding = looks([at(0.2, 0.10, 0.10), at(0.7, 0.10, 0.10)])

        assert finding.status is GoalStatus.FUTILE
        assert finding.estimate == pytest.approx(0.0, abs=1e-5)
        assert not state.ended

    def test_the_chances_are_those_of_one_last_look(self) -> None:
        """The formula of Lan & Wittes 1988, with the design's drift at the end."""
        state, finding = looks([at(0.5, 0.10, 0.107)])
        last = state.looks[-1]
        assert state.drift is not None
        critical = boundaries([0.5, 1.0], alpha=0.025, spending=DEFAULT)[-1]
        mean = last.z * 0.5**0.5 + state.drift * 0.5 - critical
        trend = last.z - critical * 0.5**0.5

        assert finding.conditional_power == pytest.approx(stats.norm.cdf(mean / 0.5**0.5), abs=1e-3)
        assert finding.predictive_power == pytest.approx(stats.norm.cdf(trend / 0.5**0.5), abs=1e-3)

    def test_a_finding_says_what_was_seen(self) -> None:
        _, finding = looks([rates(370, 380, of=3_700), rates(740, 888, of=7_400)])

        assert finding.reason == (
            "better: 12 % against the control's 10 %, +2 points (between +0.618 points and "
            "+3.39 points), after 2 looks at 50 % of the planned units"
        )


class TestMeasurements:
    def test_a_latency_that_falls(self) -> None:
        rng = np.random.default_rng(41)
        design = GoalDesign(minimum_effect=5, good="down", alpha=0.025, beta=0.2, units=2_000)
        slow, fast = rng.gamma(4, 25, 900), rng.gamma(4, 22, 900)
        strata = [Stratum(control=measured(slow), treatment=measured(fast))]
        _, finding = looks([strata], design, proportion=False)

        assert finding.status is GoalStatus.WIN
        assert finding.relative_effect == pytest.approx(-0.12, abs=0.05)
        assert "against the control's" in finding.reason

    def test_values_that_are_all_the_same_decide_nothing(self) -> None:
        strata = [Stratum(control=alike(1.0, units=500), treatment=alike(2.0, units=500))]
        state, finding = looks([strata], proportion=False)

        assert (finding.status, state) == (GoalStatus.NO_DATA, GoalState())
        assert (finding.p_value, finding.interval) == (None, (None, None))

    def test_a_unit_in_an_arm_decides_nothing(self) -> None:
        rng = np.random.default_rng(42)
        control = measured(rng.normal(0, 1, 5_000))
        strata = [Stratum(control=control, treatment=alike(50.0, units=1))]

        assert looks([strata], proportion=False)[1].status is GoalStatus.CONTINUE
        assert at_the_end(strata, proportion=False)[1].status is GoalStatus.NOT_SHOWN


class TestState:
    @pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
    def test_a_process_that_restarted_goes_on_as_if_it_had_not(self, share: float) -> None:
        def rate(at_share: float) -> float:
            return 0.1066 + 0.001 * math.sin(40 * at_share)

        shares = [0.05 * step for step in range(1, 20)]
        before = [at(each, 0.10, rate(each)) for each in shares if each <= share]
        state = looks(before)[0] if before else GoalState()
        codec = TypeAdapter(GoalState)
        restored = codec.validate_json(json.dumps(asdict(state), allow_nan=False))

        assert restored == state
        later = [at(each, 0.10, rate(each)) for each in shares if each > share]
        assert looks(later, state=restored) == looks(later, state=state)

    @pytest.mark.parametrize(
        "strata",
        [
            pytest.param([], id="nothing"),
            pytest.param(rates(9, 9, of=9), id="all alike"),
            pytest.param(at(0.01, 0.10, 0.0), id="early, a bound far out"),
            pytest.param(at(1.0, 0.50, 1.0), id="everything at once"),
        ],
    )
    def test_findings_are_json(self, strata: list[Stratum]) -> None:
        state, finding = looks([strata])

        assert json.dumps([asdict(state), asdict(finding)], allow_nan=False)


@pytest.mark.parametrize(
    ("broken", "argument"),
    [
        pytest.param({"minimum_effect": 0.0}, "minimum_effect", id="nothing to find"),
        pytest.param({"minimum_effect": math.nan}, "minimum_effect", id="not a number"),
        pytest.param({"alpha": 0.0}, "alpha", id="no error allowed"),
        pytest.param({"alpha": 0.5}, "alpha", id="a coin does as well"),
        pytest.param({"beta": 1.0}, "beta", id="always missed"),
        pytest.param({"units": 0}, "units", id="nobody"),
        pytest.param({"ratio": 0.0}, "ratio", id="no control"),
        pytest.param({"futility": 1.0}, "futility", id="futile in any case"),
    ],
)
def test_a_design_that_is_none_is_refused(broken: dict[str, float], argument: str) -> None:
    with pytest.raises(BadArgument, match=f"^{argument} "):
        replace(DESIGN, **broken)  # type: ignore[arg-type]  # units is an int in every case


def test_counts_that_are_none_are_refused() -> None:
    broken = UnitTotals(units=100, n=100, n2=100, x=-5, x2=25, xn=-5)

    with pytest.raises(BadArgument, match=r"^treatment counts"):
        look(
            DESIGN,
            GoalState(),
            [Stratum(control=counts(5, of=100), treatment=broken)],
            proportion=True,
            final=False,
        )
