import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.arms import alike, counts
from turnout.stats.baseline import Baseline, Good
from turnout.stats.power import sample_size_means
from turnout.stats.sizing import control_units, least_effect
from turnout.stats.totals import UnitTotals

TENTH = Baseline(value=0.1, variance=0.09, proportion=True)
RULES = {"alpha": 0.025, "beta": 0.2}


def test_a_unit_of_one_event_varies_as_its_share_does():
    found = Baseline.of(counts(10_000, of=100_000), proportion=True)

    assert found is not None
    assert found.value == pytest.approx(0.1, rel=1e-4)
    assert found.variance == pytest.approx(0.09, rel=1e-4)


def test_events_that_go_together_are_worth_one():
    found = Baseline.of(
        alike(0, units=9_000, each=10) + alike(1, units=1_000, each=10), proportion=True
    )

    assert found is not None
    assert found.variance == pytest.approx(0.09, rel=1e-3)


def test_what_never_happened_may_still_happen():
    found = Baseline.of(counts(0, of=1_000), proportion=True)

    assert found is not None
    assert 0 < found.value < 0.001


@pytest.mark.parametrize(
    ("totals", "proportion"),
    [
        pytest.param(UnitTotals(), True, id="nothing"),
        pytest.param(counts(1, of=1), True, id="one unit"),
        pytest.param(alike(5, units=9), False, id="all the same"),
    ],
)
def test_what_tells_no_variance_is_no_baseline(totals: UnitTotals, proportion: bool):
    assert Baseline.of(totals, proportion=proportion) is None


def test_measurements_are_planned_by_their_deviation():
    baseline = Baseline(value=180, variance=3_600, proportion=False)

    found = control_units(baseline, 5, ratio=2, good="down", **RULES)

    assert found == sample_size_means(60, 5, confidence=0.975, ratio=2, alternative="less")


def test_a_share_that_cannot_change_so_much_is_taken_as_it_is():
    found = control_units(TENTH, 0.2, ratio=1, good="down", **RULES)

    assert found == sample_size_means(0.3, 0.2, confidence=0.975, alternative="less")


def test_what_no_experiment_can_find_takes_more_than_there_is():
    assert control_units(TENTH, 1e-9, ratio=1, good="up", **RULES) == math.inf


@given(
    st.floats(0.02, 0.95),
    st.floats(0.5, 10),
    st.floats(30, 1e8),
    st.floats(0.1, 9),
    st.sampled_from(["up", "down"]),
)
def test_the_least_effect_takes_the_units_it_is_of(
    value: float, clustering: float, units: float, ratio: float, good: Good
):
    baseline = Baseline(value=value, variance=value * (1 - value) * clustering, proportion=True)

    effect = least_effect(baseline, units, ratio=ratio, good=good, **RULES)

    if effect is not None:
        assert baseline.reaches(effect, good)
        found = control_units(baseline, effect, ratio=ratio, good=good, **RULES)
        assert found == pytest.approx(units, rel=1e-4)
    else:
        room = 1 - value if good == "up" else value
        assert control_units(baseline, 0.999 * room, ratio=ratio, good=good, **RULES) > units
