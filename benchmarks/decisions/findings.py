"""Everything that is measured for the tables, in the order in which it takes time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions import (
    assignment,
    clusters,
    comparisons,
    exact,
    harm,
    numerics,
    peers,
    ramp,
    simulated,
)
from benchmarks.decisions.rivals import FIXED_BOUND
from benchmarks.decisions.scenario import ALPHA, LOOKS
from benchmarks.result import note
from turnout.stats.course import planned
from turnout.stats.sequential import boundaries
from turnout.stats.spending import KimDeMets

SEED = 20_261_122

RAMPS = 100_000
CLUSTERED = 40_000
SPLITS = 100_000
BROKEN_SPLITS = 20_000
COVERED = 20_000
STAGES = 100_000
FOLLOWED = 50
"""Experiments put to `goal.look` itself, at each number of looks and effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramps:
    stratified: float
    """False positives of the product, looked at all the time."""
    pooled: float
    """The same bounds, counts of all stages added up."""
    stratified_once: float
    pooled_once: float
    bias: float
    followed: int
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredErrors:
    clusters: clusters.Clusters
    requests: float
    users: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    sequential: float
    chi_square: float
    found_sequential: float
    found_chi_square: float


def main_comparison(
    spotify: dict[int, list[float]] | None,
) -> dict[int, simulated.Simulated]:
    return {
        looks: simulated.simulate(
            looks, spotify=None if spotify is None else np.array(spotify[looks])
        )
        for looks in LOOKS
    }


def ramps() -> Ramps:
    rng, upper = np.random.default_rng([SEED, 1]), ramp.bounds()
    rejected = np.zeros(4)
    bias, same = 0.0, 0
    followed = FOLLOWED
    for piece in range(RAMPS // 1_000):
        seen = ramp.ramp(rng, 1_000)
        found = ramp.rejected(seen, upper)
        rejected += (
            found.sum(),
            (seen.trusted & (abs(seen.pooled_z) >= upper)).any(axis=1).sum(),
            (abs(seen.stratified_z[:, -1]) >= FIXED_BOUND).sum(),
            (abs(seen.pooled_z[:, -1]) >= FIXED_BOUND).sum(),
        )
        bias += seen.bias * 1_000 / RAMPS
        if piece == 0:
            same = sum(
                ramp.rejected_by_the_product(seen, index) == bool(found[index])
                for index in range(followed)
            )
    note(f"{RAMPS:,} ramps")
    stratified, pooled, stratified_once, pooled_once = (rejected / RAMPS).tolist()
    return Ramps(
        stratified=stratified,
        pooled=pooled,
        stratified_once=stratified_once,
        pooled_once=pooled_once,
        bias=bias,
        followed=followed,
        same=same,
    )


def clustered_errors() -> list[ClusteredErrors]:
    """At one look in the end."""
    found = []
    for number, kind in enumerate(clusters.CLUSTERS):
        rng = np.random.default_rng([SEED, 2, number])
        rejected = np.zeros(2)
        for _ in range(CLUSTERED // 2_000):
            seen = clusters.clustered(rng, kind, 2_000)
            rejected += [
                (abs(z[:, -1]) >= FIXED_BOUND).sum() for z in (seen.request_z, seen.user_z)
            ]
        requests, users = (rejected / CLUSTERED).tolist()
        found.append(ClusteredErrors(clusters=kind, requests=requests, users=users))
    note(f"{CLUSTERED:,} experiments on clustered users, {len(found)} kinds")
    return found


def splits() -> Splits:
    shares = []
    for number, (share, replications) in enumerate([(0.5, SPLITS), (0.52, BROKEN_SPLITS)]):
        rng = np.random.default_rng([SEED, 3, number])
        pieces = list(assignment.alarms(rng, share, replications))
        shares += np.mean(pieces, axis=0).tolist()
        note(f"{replications:,} splits of {share:.0%}")
    sequential, chi_square, found_sequential, found_chi_square = shares
    return Splits(
        sequential=sequential,
        chi_square=chi_square,
        found_sequential=found_sequential,
        found_chi_square=found_chi_square,
    )


def coverages() -> list[comparisons.Coverage]:
    found = []
    for number, lift in enumerate(comparisons.LIFTS):
        rng = np.random.default_rng([SEED, 4, number])
        found.append(comparisons.coverage(rng, lift, COVERED))
        note(f"{COVERED:,} intervals for a lift of {lift:.0%}")
    return found


def laws() -> comparisons.Laws:
    rng = np.random.default_rng([SEED, 5])
    found = comparisons.laws(rng, proportions=20_000, means=80_000)
    note(f"{found.inputs:,} random inputs")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCost:
    """In multiples of the units of a single look."""

    most: float
    at_none: float
    at_effect: float


def planned_cost() -> PlannedCost:
    course = planned(alpha=ALPHA, beta=exact.BETA, looks=exact.LOOKS, futility=True)
    return PlannedCost(
        most=course.inflation,
        at_none=course.inflation * course.under(0).expected,
        at_effect=course.inflation * course.under(1).expected,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotifyBounds:
    by_looks: dict[int, list[float]]
    worst_error: float
    seconds_100: float
    seconds_400: float


def spotify_bounds() -> SpotifyBounds | None:
    """Of their own code, with the greatest distance from the product's for the same spending."""
    answers = peers.ask(schedules=[(simulated.fractions_of(looks), ALPHA) for looks in LOOKS])
    if answers is None:
        return None
    by_looks = {looks: asked["bounds"] for looks, asked in zip(LOOKS, answers.spotify, strict=True)}
    seconds = {looks: asked["seconds"] for looks, asked in zip(LOOKS, answers.spotify, strict=True)}
    worst = max(
        abs(theirs - ours)
        for looks, found in by_looks.items()
        for theirs, ours in zip(
            found,
            boundaries(simulated.fractions_of(looks), alpha=ALPHA, spending=KimDeMets(2)),
            strict=True,
        )
    )
    note("bounds by Spotify's own code")
    return SpotifyBounds(
        by_looks=by_looks, worst_error=worst, seconds_100=seconds[100], seconds_400=seconds[400]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthBook:
    """Contradictions of p-value and interval, and the worst error of a standard deviation."""

    inputs: int
    two_sided: int
    less: int
    deviation: float


def growthbook() -> GrowthBook | None:
    rng = np.random.default_rng([SEED, 6])
    arms = list(comparisons.random_means(rng, 3_000))
    sums = [
        [(n, n * mean, deviation**2 * (n - 1) + n * mean**2) for n, mean, deviation in pair]
        for pair in arms
    ]
    answers = peers.ask(means=sums, sums=numerics.raw_sums())
    if answers is None:
        return None
    contradictions = {
        name: sum(
            (test[name]["p_value"] < 0.05)
            != (test[name]["interval"][0] > 0 or test[name]["interval"][1] < 0)
            for test in answers.means
            if not math.isclose(test[name]["p_value"], 0.05, rel_tol=1e-9)
        )
        for name in ("two-sided", "less")
    }
    certified = [deviation for _, _, deviation in numerics.NUMACC.values()]
    note("GrowthBook's own code on random means")
    return GrowthBook(
        inputs=len(arms),
        two_sided=contradictions["two-sided"],
        less=contradictions["less"],
        deviation=max(
            abs(found / true - 1) for found, true in zip(answers.deviations, certified, strict=True)
        ),
    )


def guardrails() -> tuple[list[exact.Watch], harm.Alarms, harm.Watched]:
    upper = harm.bounds()
    table = harm.table(upper.tolist())
    found = harm.simulated(upper, STAGES), harm.watched(upper, 2 * FOLLOWED)
    note(f"{STAGES:,} stages, {found[1].stages} of them judged at every look")
    return table, *found
