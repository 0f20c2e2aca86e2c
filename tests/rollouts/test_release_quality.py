"""The promises about whole releases, on fewer of them than `make bench` has, and the rules of
others on windows that one can follow by hand."""

import math
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.releases import catalogue, peers, product
from benchmarks.releases.outcome import Outcome, Tally
from benchmarks.releases.scenario import MINUTE, canary
from benchmarks.releases.simulation import simulated
from benchmarks.releases.traffic import Arms, Course, Release, counted, measured
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Stage

DEFAULT = "Argo, failureLimit 0 (default)"


def at_most(promised: float, releases: int) -> float:
    return promised + 3 * math.sqrt(promised * (1 - promised) / releases)


def test_a_healthy_day_at_the_defaults_ends_in_time() -> None:
    found = simulated(catalogue.A_DAY, 2)

    assert found[product.NAME].on_time.value == 1
    assert found[DEFAULT].rolled_back.value == 1


def test_few_requests_abort_healthy_releases_of_who_judges_by_estimates() -> None:
    """The simulation brings out 92 and 21 %, which can be computed: of 20 windows, one or four."""
    found = simulated(catalogue.FEW_REQUESTS, 150)

    assert found[product.NAME].rolled_back.count == 0
    assert found[DEFAULT].rolled_back.value == pytest.approx(0.92, abs=0.07)
    assert found["Argo, failureLimit 3"].rolled_back.value == pytest.approx(0.21, abs=0.1)


def test_five_times_the_errors_are_caught_within_a_tenth_of_a_stage() -> None:
    found = simulated(catalogue.GROSS_DAY, 15)[product.NAME]

    assert found.caught.value == 1
    assert found.delay <= 0.1 * (catalogue.GROSS_DAY.course.ends(0) + 1)


def test_twice_the_errors_are_mostly_caught_in_a_stage_as_long_as_forecast() -> None:
    assert simulated(catalogue.MODERATE_LONGER, 20)[product.NAME].caught.value >= 0.5


def test_users_who_stay_slow_cause_no_more_false_alarms_than_promised() -> None:
    found = simulated(catalogue.USERS, 50)[product.NAME]

    assert found.rolled_back.value <= at_most(0.05, 50)


def test_a_moving_base_rate_is_not_taken_for_harm() -> None:
    found = simulated(catalogue.MOVING, 10)[product.NAME]

    assert found.rolled_back.value <= at_most(0.05, 10)


def test_without_traffic_a_release_waits_for_a_person() -> None:
    phase, after = product.without_traffic(catalogue.FEW_REQUESTS.course, bakes=5)

    assert (phase, after) == (Phase.PAUSED, timedelta(hours=1))


COURSE = Course(
    plan=canary(Stage(weight=5_000, bake=6 * MINUTE)).plan(), window=MINUTE, requests=40
)


def asked(*errors: int) -> peers.Question:
    """Of 20 requests in each of six windows; in the baseline one error each time."""
    n = COURSE.candidate
    candidate = {"error_rate": counted(COURSE, n, np.array(errors, dtype=float))}
    baseline = {"error_rate": counted(COURSE, n, np.ones(COURSE.windows))}
    arms = Arms(candidate=candidate, baseline=baseline)
    release = Release(whole=arms, even=arms)
    return peers.Question(course=COURSE, release=release, metric="error_rate", limit=0.05)


@pytest.mark.parametrize(
    ("rule", "errors", "rolled_back"),
    [
        pytest.param(peers.argo(failure_limit=0), (1, 1, 2, 0, 0, 0), 2, id="the first failure"),
        pytest.param(peers.argo(failure_limit=1), (2, 0, 0, 2, 0, 0), 3, id="more than the limit"),
        pytest.param(peers.argo(failure_limit=2), (2, 0, 0, 2, 0, 0), None, id="up to the limit"),
        pytest.param(peers.flagger(threshold=2), (2, 0, 0, 2, 0, 0), 3, id="at the threshold"),
        pytest.param(peers.in_a_row(2), (2, 0, 2, 0, 2, 0), None, id="never twice in a row"),
        pytest.param(peers.in_a_row(2), (2, 0, 2, 2, 0, 0), 3, id="twice in a row"),
        pytest.param(peers.kayenta, (1, 1, 1, 1, 1, 1), None, id="the same values"),
        pytest.param(peers.kayenta, (8, 9, 7, 8, 9, 8), 5, id="a shift, at the end of the stage"),
        pytest.param(peers.growthbook, (1, 1, 1, 1, 1, 1), None, id="no difference"),
        pytest.param(peers.growthbook, (15, 15, 15, 15, 15, 15), 1, id="gross harm"),
    ],
)
def test_rules_of_others(rule: peers.Rule, errors: tuple[int, ...], rolled_back: int) -> None:
    expected = Outcome(rolled_back=rolled_back, promoted=rolled_back is None)

    assert rule(asked(*errors)) == expected


def test_totals_start_afresh_with_every_stage() -> None:
    stages = [Stage(weight=weight, bake=2 * MINUTE) for weight in (1_000, 10_000)]
    course = Course(plan=canary(*stages).plan(), window=MINUTE, requests=10)
    waits = np.arange(22.0)
    times = measured(course, course.candidate, waits)

    assert course.candidate.tolist() == [1, 1, 10, 10]
    assert [each.n for each in times.totals] == [1, 2, 10, 20]
    assert times.totals[-1].x == waits[2:].sum()
    assert times.totals[-1].x2 == (waits[2:] ** 2).sum()
    assert times.x.tolist() == [0, 1, waits[2:12].sum(), waits[12:].sum()]


def test_who_is_rolled_back_starts_again_until_it_is_through() -> None:
    """Two of three fail after five of ten windows: 10 and twice 5 for each that gets through."""
    failed = Outcome(rolled_back=4, promoted=False)
    through = Outcome(rolled_back=None, promoted=True)
    tally = Tally(outcomes=(failed, failed, through), windows=10)

    assert tally.until_promoted == 20
    assert Tally(outcomes=(failed,) * 2, windows=10).until_promoted == math.inf


def test_what_was_rolled_back_before_there_was_harm_was_not_caught() -> None:
    ends = (2, 5, 7, None)
    outcomes = [Outcome(rolled_back=end, promoted=end is None) for end in ends]
    tally = Tally(outcomes=outcomes, windows=10, onset=5)

    assert (tally.premature.count, tally.caught.count) == (1, 2)
    assert tally.delay == 2
