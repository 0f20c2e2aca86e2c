"""Planned shares against counted ones."""

import pytest

from tests.factories import split
from turnout.traffic.domain.distribution import Source, distribution, simulated
from turnout.traffic.domain.split import Spread

THIRTY_SEVENTY = {"candidate": 3_000, "baseline": 7_000}


@pytest.mark.parametrize("strategy", Spread)
def test_a_simulation_keeps_to_the_plan(strategy):
    made = split(THIRTY_SEVENTY, strategy=strategy)

    report = distribution(made, simulated(made, 10_000), source=Source.SIMULATED)

    assert report.units == 10_000
    assert [exposure.planned for exposure in report.variants] == [3_000, 7_000]
    assert [exposure.share for exposure in report.variants] == pytest.approx([30, 70], abs=3)


def test_round_robin_is_simulated_without_any_difference():
    made = split(THIRTY_SEVENTY, strategy=Spread.ROUND_ROBIN)

    report = distribution(made, simulated(made, 1_000), source=Source.SIMULATED)

    assert [exposure.count for exposure in report.variants] == [300, 700]
    assert (report.statistic, report.p_value, report.mismatch) == (0, 1, False)


def test_a_sample_ratio_that_chance_explains_is_no_mismatch():
    report = distribution(split(THIRTY_SEVENTY), {1: 3_040, 2: 6_960}, source=Source.OBSERVED)

    # (40² / 3000 + 40² / 7000), one degree of freedom
    assert report.statistic == pytest.approx(0.7619, abs=1e-4)
    assert report.p_value == pytest.approx(0.3827, abs=1e-4)
    assert not report.mismatch


def test_lost_units_are_a_mismatch():
    report = distribution(
        split({"control": 5_000, "treatment": 5_000}),
        {1: 53_000, 2: 47_000},
        source=Source.OBSERVED,
    )

    assert report.mismatch
    assert report.p_value == pytest.approx(0, abs=1e-9)
    assert [exposure.share for exposure in report.variants] == [53, 47]


def test_answers_of_a_version_that_should_have_none_are_a_mismatch():
    report = distribution(
        split({"candidate": 0, "baseline": 10_000}), {1: 1, 2: 9_999}, source=Source.OBSERVED
    )

    assert (report.p_value, report.mismatch) == (0, True)


@pytest.mark.parametrize(
    ("weights", "counts"),
    [
        pytest.param({"baseline": 10_000}, {1: 500}, id="one variant"),
        pytest.param(THIRTY_SEVENTY, {}, id="nothing was counted yet"),
    ],
)
def test_where_nothing_can_differ_nothing_is_tested(
    weights: dict[str, int], counts: dict[int, int]
):
    report = distribution(split(weights), counts, source=Source.OBSERVED)

    assert (report.statistic, report.p_value, report.mismatch) == (None, None, False)


def test_copies_to_a_shadow_are_not_exposure():
    made = split({"baseline": 10_000}, shadow="candidate")

    report = distribution(made, {1: 500, 2: 500}, source=Source.OBSERVED)

    assert [(exposure.name, exposure.count) for exposure in report.variants] == [("baseline", 500)]
