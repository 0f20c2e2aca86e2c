"""What a look at a goal metric claims: p-values, estimates, chances and a sentence."""

from itertools import pairwise

import pytest
from scipy import stats

from tests.stats.designs import DEFAULT
from tests.stats.goals import at, at_the_end, looks, rates
from turnout.stats.effect import effect
from turnout.stats.goal import GoalState, GoalStatus
from turnout.stats.sequential import boundaries


def test_while_running_the_p_value_may_be_read_at_every_look() -> None:
    findings = []
    state = GoalState()
    for share, rate in [(0.1, 0.102), (0.2, 0.112), (0.3, 0.104), (0.35, 0.101)]:
        state, finding = looks([at(share, 0.10, rate)], state=state)
        findings.append(finding)
    p_values = [finding.p_value for finding in findings if finding.p_value is not None]

    assert {finding.p_kind for finding in findings} == {"anytime"}
    assert all(later <= earlier for earlier, later in pairwise(p_values))
    assert len(p_values) == 4


def test_a_single_look_claims_what_it_shows() -> None:
    _, finding = at_the_end(at(1.0, 0.10, 0.11))
    found = effect(at(1.0, 0.10, 0.11), proportion=True)
    assert found is not None

    assert finding.p_kind == "stage-wise"
    assert finding.p_value == pytest.approx(2 * stats.norm.sf(found.statistic), rel=1e-9)
    assert finding.estimate == pytest.approx(found.value, rel=1e-9)


@pytest.mark.parametrize(("rate", "side"), [(0.112, 1.0), (0.088, -1.0)])
def test_an_early_finding_is_marked_down(rate: float, side: float) -> None:
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


def test_what_is_futile_has_an_estimate_too() -> None:
    state, finding = looks([at(0.2, 0.10, 0.10), at(0.7, 0.10, 0.10)])

    assert finding.status is GoalStatus.FUTILE
    assert finding.estimate == pytest.approx(0.0, abs=1e-5)
    assert not state.ended


def test_the_chances_are_those_of_one_last_look() -> None:
    """The formula of Lan & Wittes 1988, with the design's drift at the end."""
    state, finding = looks([at(0.5, 0.10, 0.107)])
    last = state.looks[-1]
    assert state.drift is not None
    critical = boundaries([0.5, 1.0], alpha=0.025, spending=DEFAULT)[-1]
    mean = last.z * 0.5**0.5 + state.drift * 0.5 - critical
    trend = last.z - critical * 0.5**0.5

    assert finding.conditional_power == pytest.approx(stats.norm.cdf(mean / 0.5**0.5), abs=1e-3)
    assert finding.predictive_power == pytest.approx(stats.norm.cdf(trend / 0.5**0.5), abs=1e-3)


def test_a_finding_says_what_was_seen() -> None:
    _, finding = looks([rates(370, 380, of=3_700), rates(740, 888, of=7_400)])

    assert finding.reason == (
        "better: 12 % against the control's 10 %, +2 points (between +0.618 points and "
        "+3.39 points), after 2 looks at 50 % of the planned units"
    )
