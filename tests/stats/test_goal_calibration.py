"""How often looks at a goal err, and what they find, on simulated experiments.

A tenth converts, a point more is looked for, 14,800 units in each arm (80 % power at a single
look). Limits are three standard errors of the simulation away from what is promised.
"""

import math

import numpy as np
import pytest

from tests.stats.arms import counts, measured
from tests.stats.designs import equal
from tests.stats.goals import DESIGN, rates
from turnout.stats.effect import Stratum, effect
from turnout.stats.goal import GoalState, GoalStatus, look
from turnout.stats.goal_bounds import Level, beta_for, bounds

Matrix = np.ndarray


def three_errors(share: float, runs: int) -> float:
    return 3 * math.sqrt(share * (1 - share) / runs)


def crossings(z: Matrix, at: list[tuple[float, float]]) -> tuple[float, float]:
    """How often a run ever wins, and how often it ever does harm, each as if it were alone."""
    test = bounds(Level(alpha=0.025, beta=None, drift=0.0), tuple(at), final=True).efficacy
    upper = np.array([math.inf if one.bound is None else one.bound for one in test.looks])
    return float((z >= upper).any(axis=1).mean()), float((-z >= upper).any(axis=1).mean())


def pooled(control: Matrix, treatment: Matrix, n: Matrix) -> Matrix:
    rate = (control + treatment) / (2 * n)
    z: Matrix = (treatment - control) / n / np.sqrt(rate * (1 - rate) * 2 / n)
    return z


def conversions(seed: int, *, looks: int, runs: int, rate: float) -> tuple[Matrix, Matrix]:
    """z at every look of every run, and the units in an arm by then."""
    rng = np.random.default_rng(seed)
    n = np.diff(np.linspace(0, 14_800, looks + 1).round()).astype(int)
    control, treatment = (
        rng.binomial(n, chance, (runs, looks)).cumsum(axis=1) for chance in (0.1, rate)
    )
    return pooled(control, treatment, n.cumsum()), n.cumsum()


@pytest.mark.parametrize("looks", [5, 20, 100])
def test_an_innocent_treatment_rarely_wins_and_rarely_does_harm(looks: int) -> None:
    runs = 20_000
    z, n = conversions(50 + looks, looks=looks, runs=runs, rate=0.1)
    win, harm = crossings(z, [(share, share) for share in n / 14_800])

    assert win <= 0.025 + three_errors(0.025, runs)
    assert harm <= 0.025 + three_errors(0.025, runs)
    assert win + harm >= 0.05 - three_errors(0.05, runs)


@pytest.mark.parametrize(
    ("rate", "wins", "size"),
    [
        pytest.param(0.10, 0.0245, 0.637, id="no effect"),
        pytest.param(0.11, 0.770, 0.690, id="the effect looked for"),
        pytest.param(0.12, 1.0, 0.336, id="twice that"),
    ],
)
def test_power_and_expected_size_are_those_of_the_default_profile(
    rate: float, wins: float, size: float
) -> None:
    """Of 100,000 replications elsewhere: HSD -3 with futility HSD -8, 100 looks."""
    runs, shares = 10_000, equal(100)
    z, _ = conversions(60, looks=100, runs=runs, rate=rate)
    drift = 0.01 / math.sqrt(2 * 0.105 * 0.895 / 14_800)
    level = Level(alpha=0.025, beta=beta_for(0.2, alpha=0.025, drift=drift), drift=drift)
    upper, lower = np.empty(100), np.empty(100)
    for number in range(1, 101):
        after = bounds(level, tuple((s, s) for s in shares[:number]), final=number == 100)
        upper[number - 1] = math.inf if after.last.bound is None else after.last.bound
        lower[number - 1] = -math.inf if after.futility_bound is None else after.futility_bound
    won = (z >= upper).argmax(axis=1) + 100 * ~(z >= upper).any(axis=1)
    stops = (np.abs(z) >= upper) | (z <= lower)
    stopped = np.where(stops.any(axis=1), stops.argmax(axis=1), 99)

    assert (won <= stopped).mean() == pytest.approx(wins, abs=three_errors(wins, runs) + 0.003)
    assert (stopped + 1).mean() / 100 == pytest.approx(size, abs=0.01)


def test_looks_decide_as_the_simulation_does() -> None:
    """Runs of ten looks, one by one, through the whole of it."""
    rng = np.random.default_rng(70)
    shares = tuple((share, share) for share in equal(10))
    test = bounds(Level(alpha=0.025, beta=None, drift=0.0), shares, final=True).efficacy
    upper = np.array([one.bound for one in test.looks])
    alike = 0
    for _ in range(40):
        control, treatment = (rng.binomial(1_480, p, 10).cumsum() for p in (0.1, 0.11))
        z = pooled(control, treatment, 1_480 * np.arange(1, 11))
        state = GoalState()
        for number, (x, y) in enumerate(zip(control, treatment, strict=True), start=1):
            strata = rates(int(x), int(y), of=1_480 * number)
            state, _ = look(DESIGN, state, strata, proportion=True, final=number == 10)
        won = state.looks[-1].status is GoalStatus.WIN
        crossed = np.flatnonzero(z >= upper)
        alike += won == bool(crossed.size and crossed[0] + 1 == len(state.looks))

    assert alike >= 39


def test_a_ramp_over_a_base_rate_that_moves_is_no_effect() -> None:
    """1, 5, 25, 50 % treated while the rate goes from 10 to 14 %; pooled, three in four err."""
    rng = np.random.default_rng(80)
    stages = [(0.01, 0.10), (0.05, 0.11), (0.25, 0.125), (0.50, 0.14)]
    runs, units, looks = 4_000, 10_000, 3
    z = np.empty((runs, looks * len(stages)))
    information = np.zeros_like(z)
    size = np.zeros(z.shape[1])
    for run in range(runs):
        over: list[Stratum] = []
        for stage, (share, rate) in enumerate(stages):
            arms = [round(units * (1 - share)) // looks, round(units * share) // looks]
            events = [rng.binomial(n, rate, looks).cumsum() for n in arms]
            seen = [
                Stratum(
                    control=counts(int(x), of=arms[0] * (number + 1)),
                    treatment=counts(int(y), of=arms[1] * (number + 1)),
                )
                for number, (x, y) in enumerate(zip(*events, strict=True))
            ]
            for column, now in enumerate(seen, start=stage * looks):
                found = effect([*over, now], proportion=True)
                z[run, column] = 0.0 if found is None else found.statistic
                information[run, column] = 0.0 if found is None else found.information
                size[column] = 0.0 if found is None else found.size
            over.append(seen[-1])
    # The first stage has few events; a look counts once there are ten to be expected.
    counting = slice(3, None)
    mean = information.mean(axis=0)[counting] / information.mean(axis=0)[-1]
    at = list(zip(size[counting] / size[-1], mean, strict=True))
    win, harm = crossings(z[:, counting], at)

    assert win + harm <= 0.05 + three_errors(0.05, runs)
    assert max(win, harm) <= 0.025 + three_errors(0.025, runs)


@pytest.mark.parametrize("proportion", [True, False])
def test_events_that_go_together_are_not_counted_as_independent(proportion: bool) -> None:
    """Ten requests of a user with an intra-class correlation of 0.2; by requests, 26 % err."""
    rng = np.random.default_rng(90)
    runs, users, looks = 2_000, 400, 5
    z = np.empty((runs, looks))
    for run in range(runs):
        own = rng.beta(0.1 * 4, 0.9 * 4, (2, users * looks))
        x = rng.binomial(10, own).astype(float)
        n = np.full(users * looks, 10.0)
        for number in range(looks):
            seen = users * (number + 1)
            control, treatment = (measured(arm[:seen], n[:seen]) for arm in x)
            found = effect([Stratum(control=control, treatment=treatment)], proportion=proportion)
            z[run, number] = 0.0 if found is None else found.statistic
    win, harm = crossings(z, [(share, share) for share in equal(looks)])

    assert max(win, harm) <= 0.025 + three_errors(0.025, runs)
    assert win + harm >= 0.05 - three_errors(0.05, runs)


def test_a_few_users_with_most_of_the_requests_rarely_err() -> None:
    """Zipf's law, a twentieth of the users treated: as much as sixteen equal ones would be."""
    rng = np.random.default_rng(95)
    runs, users, requests, looks = 600, 5_000, 20_000, 5
    popularity = 1 / np.arange(1, users + 1)
    z = np.empty((runs, looks))
    for run in range(runs):
        user = rng.choice(users, size=requests, p=popularity / popularity.sum())
        failed = rng.random(requests) < rng.beta(0.02 * 19, 0.98 * 19, users)[user]
        treated = rng.random(users) < 0.05
        for number in range(1, looks + 1):
            until = requests * number // looks
            n = np.bincount(user[:until], minlength=users).astype(float)
            x = np.bincount(user[:until], weights=failed[:until], minlength=users)
            control, treatment = (
                measured(x[(n > 0) & arm], n[(n > 0) & arm]) for arm in (~treated, treated)
            )
            found = effect([Stratum(control=control, treatment=treatment)], proportion=True)
            z[run, number - 1] = 0.0 if found is None else found.statistic
    win, harm = crossings(z, [(share, share) for share in equal(looks)])

    assert max(win, harm) <= 0.025 + three_errors(0.025, runs)


def test_skewed_measurements_in_a_small_arm_rarely_err() -> None:
    """A tenth of the units are treated; purchases are lognormal, with σ = 1."""
    rng = np.random.default_rng(100)
    runs, looks = 2_000, 5
    z = np.empty((runs, looks))
    for run in range(runs):
        control, treatment = rng.lognormal(0, 1, 4_500), rng.lognormal(0, 1, 500)
        for number in range(1, looks + 1):
            arms = Stratum(
                control=measured(control[: 900 * number]),
                treatment=measured(treatment[: 100 * number]),
            )
            found = effect([arms], proportion=False)
            z[run, number - 1] = 0.0 if found is None else found.statistic
    win, harm = crossings(z, [(share, share) for share in equal(looks)])

    assert max(win, harm) <= 0.025 + three_errors(0.025, runs)
