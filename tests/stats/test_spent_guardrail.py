"""Spending over the planned time of a stage: which looks count, and what each may find."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter
from scipy import special

from tests.stats.arms import alike, counts
from tests.stats.designs import equal
from turnout.stats import spent_guardrail
from turnout.stats.harm import SPENDING
from turnout.stats.sequential import boundaries
from turnout.stats.spent_guardrail import CHANGE, LOOKS, SEQUENCE, SPENT, Spending
from turnout.stats.totals import UnitTotals

ALPHA = 0.05
memories: TypeAdapter[Spending] = TypeAdapter(Spending)


def after(*looks: tuple[float, int]) -> tuple[Spending, list[float | None]]:
    """The state after looks at (share of the time, events), and the bound of each."""
    spending, bounds = Spending(), []
    for share, events in looks:
        spending, bound = spending.look(counts(0, of=events), None, share=share, alpha=ALPHA)
        bounds.append(bound)
    return spending, bounds


def test_the_accounts_of_a_guardrail_add_up_to_its_error_rate() -> None:
    assert pytest.approx(1.0) == SPENT + SEQUENCE + CHANGE


def test_traffic_as_planned_has_the_bounds_of_its_spending() -> None:
    _, bounds = after(*((look / 20, 50 * look) for look in range(1, 21)))

    expected = boundaries(equal(20), alpha=SPENT * ALPHA, spending=SPENDING)
    assert bounds == pytest.approx(list(expected), abs=3e-6)


def test_time_spends_and_information_correlates() -> None:
    """Half of the time with a tenth of the traffic: nearly half of alpha, at a tenth of the way."""
    _, bounds = after((0.5, 100), (1.0, 1_000))

    first = -special.ndtri(SPENDING.spent(0.5, SPENT * ALPHA))
    assert bounds[0] == pytest.approx(first, abs=2e-6)
    assert bounds[1] is not None
    # Nearly independent, hence nearly as if the other half were tested by itself.
    assert first > bounds[1] > -special.ndtri(SPENT * ALPHA)


def test_a_stage_that_is_looked_at_every_second_has_about_fifty_looks() -> None:
    spending, _ = after(*((second / 600, 20 * second) for second in range(1, 601)))

    assert 0.9 * LOOKS <= len(spending.bounds) <= LOOKS
    assert spending.share > 0.98


@pytest.mark.parametrize(
    ("share", "events"),
    [
        pytest.param(0.301, 400, id="too soon after the last look"),
        pytest.param(0.3, 4_000, id="a paused stage, whose time stands still"),
        pytest.param(0.5, 302, id="no traffic to speak of since"),
    ],
)
def test_between_looks_nothing_is_spent(share: float, events: int) -> None:
    before, _ = after((0.3, 300))
    spending, bound = before.look(counts(0, of=events), None, share=share, alpha=ALPHA)

    assert bound is None
    assert spending == before


def test_when_the_time_is_served_all_is_spent_and_nothing_is_left() -> None:
    spending, bounds = after((0.99, 990), (1.7, 1_700), (2.5, 2_500))

    assert bounds[1] is not None
    assert bounds[2] is None
    assert spending.share > 0.98


def test_a_test_goes_on_in_a_process_that_has_not_seen_it() -> None:
    looks = [(look / 10, 100 * look) for look in range(1, 8)]
    spending, _ = after(*looks)
    stored = memories.dump_json(spending)
    spent_guardrail._bound.cache_clear()
    spent_guardrail._step.cache_clear()
    resumed = memories.validate_json(stored)
    arm = counts(0, of=800)

    assert resumed == spending
    assert resumed.look(arm, None, share=0.8, alpha=ALPHA) == spending.look(
        arm, None, share=0.8, alpha=ALPHA
    )


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        pytest.param(alike(0.0, units=100, each=4), None, id="the same units again"),
        pytest.param(counts(0, of=200), alike(0.0, units=100, each=9), id="both arms, unevenly"),
    ],
)
def test_information_is_counted_the_way_it_grows_most(
    candidate: UnitTotals, baseline: UnitTotals | None
) -> None:
    """So that no correlation between looks is taken for higher than it is."""
    before = None if baseline is None else counts(0, of=100)
    spending, _ = Spending().look(counts(0, of=100), before, share=0.4, alpha=ALPHA)
    spending, _ = spending.look(candidate, baseline, share=0.8, alpha=ALPHA)

    first, second = spending.information
    by_events = candidate.n / 100
    if baseline is not None:
        by_events = (candidate.n * baseline.n / (candidate.n + baseline.n)) / 50
    assert second / first == pytest.approx(by_events, rel=1e-5)


def test_a_bound_beyond_all_reach_is_kept_as_none() -> None:
    spending = replace(Spending(), share=0.5, clocks=(1.0, 1.0), information=(1.0,), bounds=(None,))
    later, bound = spending.look(counts(0, of=50), None, share=0.6, alpha=1e-310)

    assert bound is None
    assert later.bounds == (None, None)
