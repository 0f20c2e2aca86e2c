"""What a goal test is said to do before it begins, against walks that do it."""

import numpy as np
import pytest

from turnout.stats.arguments import BadArgument
from turnout.stats.course import Course, given, planned

WALKS = 40_000


def walked(course: Course, multiple: float) -> tuple[float, float]:
    """The share of wins, and the mean fraction at the end, of random walks with the drift."""
    source = np.random.default_rng(7)
    steps = np.diff([0.0, *course.fractions])
    drift = multiple * course.drift
    paths = source.normal(drift * steps, np.sqrt(steps), (WALKS, len(steps))).cumsum(axis=1)
    z = paths / np.sqrt(course.fractions)
    stops = (z >= course.upper) | (z <= course.lower)
    stops[:, -1] = True
    last = stops.argmax(axis=1)
    wins = z[np.arange(WALKS), last] >= np.asarray(course.upper)[last]
    return float(wins.mean()), float(np.asarray(course.fractions)[last].mean())


@pytest.mark.parametrize("multiple", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "course",
    [
        pytest.param(planned(alpha=0.025, beta=0.2, looks=12, futility=True), id="futility"),
        pytest.param(planned(alpha=0.0125, beta=0.1, looks=5, futility=False), id="no futility"),
        pytest.param(
            given(alpha=0.025, beta=0.2, looks=12, futility=True, drift=1.8), id="too few units"
        ),
        pytest.param(
            planned(alpha=0.025, beta=0.2, looks=12, futility=True).after(0.4), id="a least size"
        ),
    ],
)
def test_walks_end_as_often_and_as_early_as_is_said(course: Course, multiple: float):
    found = course.under(multiple)

    power, expected = walked(course, multiple)

    assert power == pytest.approx(found.power, abs=4 * 0.5 / WALKS**0.5)
    assert expected == pytest.approx(found.expected, abs=0.008)


def test_a_single_look_is_the_fixed_test():
    course = planned(alpha=0.025, beta=0.2, looks=1, futility=True)

    assert course.inflation == pytest.approx(1)
    assert course.under(1).power == pytest.approx(0.8)
    assert course.under(0).expected == 1


def test_as_many_units_as_are_needed_have_the_power_that_was_asked_for():
    asked = planned(alpha=0.025, beta=0.2, looks=20, futility=True)

    found = given(alpha=0.025, beta=0.2, looks=20, futility=True, drift=asked.drift)

    assert found.under(1).power == pytest.approx(0.8, abs=1e-4)
    assert found.inflation == pytest.approx(asked.inflation)


def test_there_is_a_look():
    with pytest.raises(BadArgument):
        planned(alpha=0.025, beta=0.2, looks=0, futility=False)
