"""How far a mean goes up and down by itself, as the minutes before tell."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from turnout.stats.arguments import BadArgument
from turnout.stats.waves import SCALES, Past, Waves

DAY = 1_440
EACH = 100
SPREAD = 10.0
FLAT = np.zeros(DAY)
RNG = np.random.default_rng

Level = NDArray[np.float64]


def past(level: Level, *, seed: int = 0, each: int = EACH) -> Past:
    """Minutes of single values with a spread of 10 about 50 and the level of the minute."""
    noise = RNG(1_000 + seed).normal(0, SPREAD * math.sqrt(each), len(level))
    return Past(n=[each] * len(level), x=list(each * (50 + level) + noise), variance=SPREAD**2)


def going_on(*, seed: int, spread: float = 5.0, correlation: float = 0.8) -> Level:
    steps = RNG(seed).normal(0, spread, DAY)
    level = [steps[0]]
    for step in steps[1:]:
        level.append(correlation * level[-1] + math.sqrt(1 - correlation**2) * step)
    return np.array(level)


def variances(found: Waves | None) -> Level:
    assert found is not None
    return np.array(found.variances)


def test_waves_are_found_as_large_as_they_are():
    found = np.mean([variances(Waves.alone(past(going_on(seed=k), seed=k))) for k in range(12)], 0)
    apart = [np.abs(np.subtract.outer(np.arange(t), np.arange(t))) for t in SCALES]
    true = [25 * np.mean(0.8**distance) for distance in apart]

    assert found == pytest.approx(true, rel=0.25)
    assert np.all(found > 0.9 * np.array(true))


@pytest.mark.parametrize(
    ("level", "share"),
    [
        pytest.param(FLAT, 0.35, id="nothing but chance"),
        pytest.param(np.linspace(0, 20, DAY), 0.35, id="a trend"),
        pytest.param(10 * np.sin(np.linspace(0, 2 * np.pi, DAY)), 0.35, id="the cycle of a day"),
        pytest.param(np.where(np.abs(np.arange(DAY) - 700) < 30, 100, 0), 1.0, id="a bad hour"),
    ],
)
def test_what_is_no_wave_adds_less_than_chance(level: Level, share: float):
    chance = SPREAD**2 / EACH / np.array(SCALES)

    assert np.all(variances(Waves.alone(past(level))) < share * chance)


class TestTwoAtATime:
    own = past(going_on(seed=1), seed=1)
    alone = variances(Waves.alone(own))

    def test_that_share_their_waves_differ_by_chance(self):
        found = variances(Waves.apart(self.own, past(going_on(seed=1), seed=2)))

        assert np.all(found < 0.02 * self.alone)

    def test_that_share_nothing_differ_by_the_waves_of_both(self):
        found = variances(Waves.apart(self.own, past(going_on(seed=3), seed=3)))

        assert found == pytest.approx(2 * self.alone, rel=0.4)
        assert np.all(found <= 2 * self.alone)

    @pytest.mark.parametrize(
        ("level", "minutes", "least", "most"),
        [
            pytest.param(going_on(seed=3), 60, 0.9, 1.0, id="share nothing in an hour"),
            pytest.param(going_on(seed=1), 60, 0.0, 0.15, id="share all in an hour"),
            pytest.param(going_on(seed=1), 10, 1.0, 1.0, id="have been side by side too briefly"),
        ],
    )
    def test_are_taken_to_go_on_as_they_did_from_minute_to_minute(
        self, level: Level, minutes: int, least: float, most: float
    ):
        full, before = past(level, seed=2), [0.0] * (DAY - minutes)
        lately = Past(
            n=before + list(full.n[-minutes:]),
            x=before + list(full.x[-minutes:]),
            variance=full.variance,
        )
        share = variances(Waves.apart(self.own, lately)) / (2 * self.alone)

        assert share == pytest.approx(np.full(len(SCALES), share[0]))
        assert least <= share[0] <= most

    def test_are_taken_to_share_nothing_where_there_is_one(self):
        assert variances(Waves.apart(self.own, None)) == pytest.approx(2 * self.alone)

    def test_say_nothing_where_the_first_says_nothing(self):
        short = Past(n=[EACH] * 60, x=[50 * EACH] * 60, variance=SPREAD**2)

        assert Waves.apart(short, None) is None


@pytest.mark.parametrize(
    ("minutes", "known"), [pytest.param(180, False, id="3 h"), pytest.param(240, True, id="4 h")]
)
def test_so_much_must_be_known(minutes: int, known: bool):
    level = np.zeros(minutes)

    assert (Waves.alone(past(level)) is not None) is known


def test_minutes_without_values_are_passed_over():
    full = past(going_on(seed=4), seed=4)
    gaps = [minute % 7 == 3 for minute in range(DAY)]
    sparse = Past(
        n=[0 if gap else n for gap, n in zip(gaps, full.n, strict=True)],
        x=[0.0 if gap else x for gap, x in zip(gaps, full.x, strict=True)],
        variance=full.variance,
    )

    assert variances(Waves.alone(sparse)) == pytest.approx(variances(Waves.alone(full)), rel=0.15)


def test_between_the_scales_and_beyond_them():
    waves = Waves(variances=(32.0, 16.0, 8.0, 4.0, 2.0, 1.0))
    seconds = [0, 60, 90, 120, 32 * 60, 64 * 60, 320 * 60]

    assert [waves.over(each) for each in seconds] == [32, 32, 24, 16, 1, 0.5, 0.1]


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        pytest.param(lambda: Waves(variances=(1.0,)), "variances", id="too few scales"),
        pytest.param(lambda: Waves(variances=(-1.0,) * 6), "variances", id="negative"),
        pytest.param(lambda: Past(n=[1], x=[1, 2], variance=1), "x", id="not the same minutes"),
        pytest.param(lambda: Past(n=[1], x=[1], variance=-1), "variance", id="negative variance"),
    ],
)
def test_bad_arguments_are_named(wrong: Callable[[], object], argument: str):
    with pytest.raises(BadArgument, match=argument):
        wrong()
