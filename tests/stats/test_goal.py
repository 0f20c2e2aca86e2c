"""Looks at a goal metric: what counts, what is found, and what the next look goes on from."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from tests.stats.arms import alike, counts, measured
from tests.stats.goals import DESIGN, at, at_the_end, looks, rates
from turnout.stats.arguments import BadArgument
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalDesign, GoalState, GoalStatus, look, refresh
from turnout.stats.totals import UnitTotals


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
