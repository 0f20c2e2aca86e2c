"""The bounds that a look at a goal metric is judged by."""

import pytest
from scipy import stats

from tests.stats.arms import counts
from tests.stats.designs import DEFAULT
from tests.stats.goals import DESIGN, at, at_the_end, looks, raised
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalStatus
from turnout.stats.goal_bounds import beta_for
from turnout.stats.sequential import boundaries, exit_probabilities

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


def test_they_are_those_of_the_schedule() -> None:
    state, _ = looks(at(share, 0.10, 0.1075) for share in FIFTHS)
    # The pooled rate is all but the same at every look, so units are information.
    expected = boundaries(FIFTHS, alpha=0.025, spending=DEFAULT)

    assert [look.bound for look in state.looks] == pytest.approx(expected, abs=2e-4)
    assert [look.spent for look in state.looks] == pytest.approx(
        [DEFAULT.spent(share, 0.025) for share in FIFTHS]
    )


def test_win_and_harm_together_err_no_more_than_both() -> None:
    state, _ = looks(at(share, 0.10, 0.1075) for share in FIFTHS)
    upper = [look.bound for look in state.looks if look.bound is not None]
    fractions = [look.information for look in state.looks]
    exits = exit_probabilities(fractions, upper, [-bound for bound in upper], 0.0)

    assert sum(exits.upper) <= 0.025
    assert sum(exits.lower) == pytest.approx(0.025, abs=2e-5)


def test_the_futility_bound_meets_the_other_at_the_end() -> None:
    state, _ = looks(at(step / 20, 0.10, 0.1066) for step in range(1, 21))
    last = state.looks[-1]

    assert last.bound is not None
    assert last.futility_bound == pytest.approx(last.bound, abs=0.02)
    assert state.looks[1].futility_bound is None
    assert state.looks[2].futility_bound is not None


def test_beta_is_what_the_units_leave() -> None:
    """Power of 77.3 %, found by simulation, at the drift that a single look needs for 80 %."""
    drift = stats.norm.isf(0.025) + stats.norm.isf(0.2)

    assert beta_for(0.2, alpha=0.025, drift=drift) == pytest.approx(1 - 0.773, abs=5e-3)
    assert beta_for(0.2, alpha=0.025, drift=10.0) == 0.2
    assert beta_for(0.2, alpha=0.025, drift=0.01) == 0.9


def test_a_last_look_before_all_the_units_spends_the_rest() -> None:
    state, _ = looks([at(0.3, 0.10, 0.11)])
    after, finding = at_the_end(at(0.5, 0.10, 0.115), state=state)

    assert finding.spent == 0.025
    assert finding.bound == pytest.approx(
        boundaries([0.3, 0.5], alpha=0.025, spending=DEFAULT, final=True)[-1], abs=5e-3
    )
    assert after.ended


def test_a_last_look_at_the_same_data_is_that_look_with_all_that_is_left() -> None:
    state, _ = looks([at(0.3, 0.10, 0.11), at(0.5, 0.10, 0.11)])
    after, finding = at_the_end(at(0.5, 0.10, 0.11), state=state)

    assert len(after.looks) == 2
    assert (finding.spent, finding.counted) == (0.025, True)
    assert after.looks[1].bound == pytest.approx(
        boundaries([0.3, 0.5], alpha=0.025, spending=DEFAULT, final=True)[-1], abs=5e-3
    )


def test_more_units_than_planned_keep_their_true_correlation() -> None:
    state, _ = looks([at(0.5, 0.10, 0.107)])
    _, finding = looks([at(1.4, 0.10, 0.107)], state=state)

    assert finding.spent == 0.025
    assert finding.bound == pytest.approx(
        boundaries([0.5, 1.4], alpha=0.025, spending=DEFAULT)[-1], abs=5e-3
    )


def test_a_base_rate_that_moves_changes_the_correlations_and_not_the_spending() -> None:
    early = Stratum(control=counts(148, of=2_960), treatment=counts(160, of=2_960))
    late = Stratum(control=counts(1_500, of=5_000), treatment=counts(1_560, of=5_000))
    state, _ = looks([[early], [early, late]])
    first, second = state.looks

    assert second.spent == pytest.approx(DEFAULT.spent(7_960 / 14_800, 0.025))
    assert second.information / second.fraction < 0.6 * first.information / first.fraction


def test_another_treatments_win_raises_the_level_of_all_looks() -> None:
    history = [at(0.25, 0.10, 0.108), at(0.5, 0.10, 0.113)]
    state, before = looks(history)
    assert before.status is GoalStatus.CONTINUE

    after, finding = looks(history[1:], raised(), state)
    assert (finding.counted, finding.status, len(after.looks)) == (True, GoalStatus.WIN, 2)
    assert finding.bound == pytest.approx(
        boundaries([0.25, 0.5], alpha=0.05, spending=DEFAULT)[-1], abs=5e-3
    )


def test_so_it_does_for_a_test_that_had_ended_without_a_finding() -> None:
    """On what it had seen then; data that came later do not count."""
    state, before = at_the_end(at(1.0, 0.10, 0.1064))
    assert before.status is GoalStatus.FUTILE

    after, finding = looks([at(1.2, 0.10, 0.10)], raised(), state)
    assert (finding.status, finding.counted) == (GoalStatus.WIN, True)
    assert after.looks[-1].z == state.looks[-1].z
    assert looks([at(1.3, 0.10, 0.10)], raised(), after)[0] is after
    assert looks([at(1.3, 0.10, 0.20)], DESIGN, state)[0] is state


def test_a_test_that_has_found_harm_is_not_looked_at_again() -> None:
    state, _ = looks([at(0.4, 0.10, 0.08)])

    assert looks([at(0.5, 0.10, 0.12)], raised(), state)[0] is state
