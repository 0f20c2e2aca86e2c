from collections import Counter
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import split
from turnout.buckets import RoundRobin
from turnout.quantities import BASIS_POINTS
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.draws import draws
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Split, Spread


def turns(made: Split, count: int) -> list[str]:
    draw = draws(made)
    return [
        assign(made, NO_OVERRIDES, unit="user-1", attributes={}, draw=draw()).variant
        for _ in range(count)
    ]


@given(
    st.sampled_from([1, 10, 50, 100, 250, 500, 1_000]).flatmap(
        lambda step: st.tuples(st.just(step), st.integers(0, BASIS_POINTS // step))
    ),
    st.integers(0, 300),
)
def test_round_robin_is_exact_over_any_full_cycle(cut, start):
    step, part = cut
    weights = {"a": part * step, "b": BASIS_POINTS - part * step}
    cycle = BASIS_POINTS // gcd(*weights.values())

    window = turns(split(weights, strategy=Spread.ROUND_ROBIN), start + cycle)[start:]

    share = cycle * weights["a"] // BASIS_POINTS
    assert Counter(window) == Counter(a=share, b=cycle - share)


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        pytest.param({"a": 5_000, "b": 5_000}, "abababab", id="halves alternate"),
        pytest.param({"a": 7_000, "b": 3_000}, "aaabaabaab", id="seven to three, spread out"),
        pytest.param({"a": 10_000}, "aaaa", id="one variant"),
        pytest.param({"a": 0, "b": 10_000}, "bbbb", id="a variant of weight 0 has no turn"),
    ],
)
def test_turns_are_interleaved(weights: dict[str, int], order: str):
    made = split(weights, strategy=Spread.ROUND_ROBIN)

    assert "".join(turns(made, len(order))) == order


@given(st.integers(0, BASIS_POINTS))
def test_round_robin_never_strays_far_from_the_shares(weight):
    robin = RoundRobin([weight, BASIS_POINTS - weight])

    given_out = 0
    for turn in range(1, 2_001):
        given_out += robin.draw() < weight
        assert abs(given_out - turn * weight / BASIS_POINTS) < 4


def test_the_longest_cycle_meets_every_bucket_once():
    robin = RoundRobin([1, 9_999])

    assert sorted(robin.draw() for _ in range(BASIS_POINTS)) == list(range(BASIS_POINTS))


@pytest.mark.parametrize("strategy", [Spread.RANDOM, Spread.STICKY, Spread.CANARY])
def test_other_draws_are_random_buckets(strategy):
    draw = draws(split({"a": 5_000, "b": 5_000}, strategy=strategy))

    drawn = [draw() for _ in range(20_000)]

    assert min(drawn) >= 0
    assert max(drawn) < BASIS_POINTS
    assert abs(sum(drawn) / len(drawn) - BASIS_POINTS / 2) < 200
