"""The promises of the goal test, on fewer simulated experiments than `make bench` has.

A rate that is promised to be at most p is let off with three standard errors more.
"""

import math

import numpy as np
import pytest

from benchmarks.decisions import product, ramp, rivals, simulated
from benchmarks.decisions.outcomes import Characteristics, characteristics, ends
from benchmarks.decisions.scenario import EFFECTS, MINIMUM_EFFECT, in_chunks, paths

EXPERIMENTS = 20_000


def at_most(promised: float, experiments: int = EXPERIMENTS) -> float:
    return promised + 3 * math.sqrt(promised * (1 - promised) / experiments)


@pytest.fixture(scope="module")
def hundred_looks() -> dict[float, dict[str, Characteristics]]:
    rules = simulated.all_rules(100, None)
    return {
        effect: characteristics(
            rules, in_chunks(7, looks=100, effect=effect, replications=EXPERIMENTS)
        )
        for effect in EFFECTS
    }


def assert_rarely_wrong(*rules: Characteristics) -> None:
    """About an innocent treatment, on either side and on both."""
    assert [rule.rejected for rule in rules if rule.rejected > at_most(0.05)] == []
    sides = [side for rule in rules for side in (rule.win, rule.harm)]
    assert [side for side in sides if side > at_most(0.025)] == []


@pytest.mark.parametrize("looks", [5, 20])
def test_an_innocent_treatment_rarely_wins_or_harms(looks: int) -> None:
    default = product.default_profile(looks)
    rules = [default, product.without_futility(default)]
    found = characteristics(rules, in_chunks(8, looks=looks, effect=0, replications=EXPERIMENTS))

    assert_rarely_wrong(*found.values())


def test_nor_does_it_when_one_looks_a_hundred_times(hundred_looks) -> None:
    found = hundred_looks[0.0]

    assert_rarely_wrong(
        *(found[name] for name in (product.NAME, product.WITHOUT_FUTILITY, product.POWER_FIRST))
    )


def test_looking_a_hundred_times_costs_little_power(hundred_looks) -> None:
    found = hundred_looks[MINIMUM_EFFECT]
    fixed = found[simulated.FIXED].win

    # Both lose on the same experiments: of the difference only these few are random.
    error = 3 * math.sqrt(0.05 / EXPERIMENTS)
    assert fixed - found[product.NAME].win <= 0.032 + error
    assert fixed - found[product.POWER_FIRST].win <= 0.022 + error


def test_a_third_of_the_users_is_saved_with_an_effect_or_without(hundred_looks) -> None:
    none, effect, double = (hundred_looks[effect][product.NAME].size for effect in EFFECTS)

    error = 3 * 0.3 / math.sqrt(EXPERIMENTS)
    assert none <= 0.65 + error
    assert effect <= 0.70 + error
    assert double <= 0.34 + error


def test_who_peeks_without_a_plan_is_wrong_most_of_the_time(hundred_looks) -> None:
    """That the simulation can tell a bad rule from a good one."""
    none = hundred_looks[0.0]

    assert none["naive peeking"].rejected > 0.3
    assert none["flat-prior Bayes, 95 %"].rejected > 0.5
    assert none["GrowthBook sequential"].harm > 2 * none["GrowthBook sequential"].win


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_simulation_decides_as_a_look_does(effect: float) -> None:
    seen = paths(np.random.default_rng(9), looks=20, effect=effect, replications=12)
    expected = ends(product.default_profile(20), seen)

    found = [product.followed(seen, row) for row in range(12)]

    assert [end.win for end in found] == expected.win.tolist()
    assert [end.harm for end in found] == expected.harm.tolist()
    # A bound knows the information of the looks before it, which here is random.
    assert sum(a.look == b for a, b in zip(found, expected.look, strict=True)) >= 10


def test_a_ramp_while_the_base_rate_moves_is_no_effect() -> None:
    seen = ramp.ramp(np.random.default_rng(10), 10_000)
    upper = ramp.bounds()

    assert ramp.rejected(seen, upper).mean() <= at_most(0.05, 10_000)
    assert (abs(seen.pooled_z[:, -1]) >= rivals.FIXED_BOUND).mean() > 0.5
    assert not ramp.rejected_by_the_product(seen, int(ramp.rejected(seen, upper).argmin()))
