"""Tests that start afresh: when, which of them are kept, and what they rest on."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.arms import counts, measured
from turnout.stats.restarts import EVENTS, SECONDS, Restarts
from turnout.stats.totals import UnitTotals

ALPHA = 0.01


def restarted(times: int) -> Restarts:
    restarts = Restarts()
    for number in range(1, times + 1):
        restarts = restarts.after(counts(0, of=EVENTS * number), None, at=SECONDS * number)
    return restarts


@pytest.mark.parametrize(
    ("times", "kept"),
    [(0, []), (1, [1]), (2, [2]), (3, [2, 3]), (7, [4, 6, 7]), (127, [120, 124, 126, 127])],
)  # fmt: skip
def test_the_latest_of_every_scale_are_kept(times: int, kept: list[int]) -> None:
    assert [restart.number for restart in restarted(times).kept] == kept


def test_all_there_will_ever_be_share_one_error_rate() -> None:
    shares = []
    for number in range(1, 100):
        *_, newest = reversed(
            list(restarted(number).windows(counts(0, of=10**6), None, alpha=ALPHA, proportion=True))
        )
        shares.append(newest.alpha)

    assert math.fsum(shares) < ALPHA
    assert math.fsum(shares) == pytest.approx(ALPHA, rel=0.02)


@pytest.mark.parametrize(
    ("events", "at", "number"),
    [
        pytest.param(3 * EVENTS, 2 * SECONDS, 2, id="seconds and events enough"),
        pytest.param(3 * EVENTS, 1.5 * SECONDS, 1, id="too soon"),
        pytest.param(1.5 * EVENTS, 9 * SECONDS, 1, id="too few events"),
        pytest.param(3 * EVENTS, -3600.0, 2, id="the clock was set back"),
    ],
)
def test_a_restart_waits_for_time_and_events(events: float, at: float, number: int) -> None:
    restarts = restarted(1).after(counts(0, of=int(events)), None, at=at)

    assert restarts.kept[-1].number == number


def test_a_restart_waits_for_both_arms() -> None:
    assert not Restarts().after(counts(0, of=900), counts(0, of=40), at=60).kept
    assert Restarts().after(counts(0, of=900), counts(0, of=50), at=60).kept


def test_what_was_seen_of_new_units_is_exact() -> None:
    [window] = restarted(1).windows(counts(30, of=EVENTS + 80), None, alpha=ALPHA, proportion=True)

    assert window.candidate == counts(30, of=80)
    assert window.since == SECONDS
    assert window.alpha == ALPHA / 2


@given(st.integers(0, 2**32 - 1))
def test_units_that_come_again_are_taken_to_vary_more_than_they_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, new = rng.integers(2, 30, 50) * 1.0, rng.integers(0, 5, 50) * 1.0
    new[0] = 1.0
    failed = rng.binomial(new.astype(int), 0.3) * 1.0
    restarts = Restarts().after(measured(0 * before, before), None, at=SECONDS)
    [window] = restarts.windows(measured(failed, before + new), None, alpha=ALPHA, proportion=True)

    seen = window.candidate
    assert (seen.n, seen.x) == (new.sum(), failed.sum())
    assert seen.n2 >= (new**2).sum()
    assert seen.units <= (new > 0).sum()


@given(st.integers(0, 2**32 - 1))
def test_measurements_are_taken_to_vary_more_than_they_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, new = rng.integers(2, 30, 50) * 1.0, rng.integers(0, 5, 50) * 1.0
    new[0] = 1.0
    then, since = rng.gamma(2, 20, 50) * before, rng.gamma(2, 20, 50) * new
    restarts = Restarts().after(measured(then, before), None, at=SECONDS)
    now = measured(then + since, before + new)
    [window] = restarts.windows(now, None, alpha=ALPHA, proportion=False)

    seen, rate = window.candidate, rng.uniform(0, 100)
    assert seen.x2 - 2 * rate * seen.xn + rate**2 * seen.n2 >= ((since - rate * new) ** 2).sum()
    assert seen.units <= (new > 0).sum()


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(counts(10, of=EVENTS), id="nothing new"),
        pytest.param(counts(5, of=EVENTS + 60), id="errors that were taken back"),
        pytest.param(counts(90, of=EVENTS + 60), id="labels that were corrected by the hundred"),
    ],
)
def test_sums_that_no_events_since_can_have_are_no_evidence(now: UnitTotals) -> None:
    restarts = Restarts().after(counts(10, of=EVENTS), None, at=SECONDS)

    assert list(restarts.windows(now, None, alpha=ALPHA, proportion=True)) == []
