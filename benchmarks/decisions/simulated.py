"""The main comparison: every rule on the same experiments, at each number of looks and effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.decisions import peers, product, rivals
from benchmarks.decisions.outcomes import Characteristics, Rule, characteristics, ends
from benchmarks.decisions.scenario import (
    ALPHA,
    EFFECTS,
    LOOKS,
    UNITS,
    Vector,
    in_chunks,
    paths,
    replications_at,
)
from benchmarks.result import note
from turnout.stats.anytime import confidence_sequence
from turnout.stats.sequential import boundaries
from turnout.stats.spending import KimDeMets, LanDeMetsOBrienFleming

SEED = 20_261_120

FIXED = "fixed horizon (1 look, at the end)"
OWN_SEQUENCE = "Turnout, open end: asymptotic confidence sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Of one number of looks: by effect, then by rule."""

    looks: int
    replications: int
    of: dict[float, dict[str, Characteristics]]


def simulate(
    looks: int, *, replications: int | None = None, spotify: Vector | None = None
) -> Simulated:
    """All rules; `spotify` are the bounds of their own code, or else its formula's are taken."""
    replications = replications or replications_at(looks)
    rules = all_rules(looks, spotify)
    found = {}
    for effect in EFFECTS:
        chunks = in_chunks(SEED, looks=looks, effect=effect, replications=replications)
        found[effect] = characteristics(rules, chunks)
        note(f"{looks} looks, {replications:,} experiments with an effect of {effect:g}")
    return Simulated(looks=looks, replications=replications, of=found)


def all_rules(looks: int, spotify: Vector | None) -> list[Rule]:
    fractions, default = fractions_of(looks), product.default_profile(looks)
    if spotify is None:
        spotify = np.array(boundaries(fractions, alpha=ALPHA, spending=KimDeMets(2)))
    obf = np.array(boundaries(fractions, alpha=ALPHA, spending=LanDeMetsOBrienFleming()))
    return [
        _fixed(looks),
        default,
        product.without_futility(default),
        *([product.power_first(looks)] if looks == 100 else []),
        _own_sequence(looks),
        rivals.naive(looks),
        rivals.flat_prior_bayes(looks),
        *rivals.sprt_tunings(looks),
        rivals.growthbook(looks),
        rivals.eppo(looks),
        rivals.eppo_hybrid(looks),
        rivals.spotify(spotify),
        Rule(name="Lan-DeMets O'Brien-Fleming", statistic=lambda seen: seen.pooled_z, upper=obf),
    ]


def fractions_of(looks: int) -> list[float]:
    return [taken / looks for taken in range(1, looks + 1)]


def _fixed(looks: int) -> Rule:
    upper = np.full(looks, np.inf)
    upper[-1] = rivals.FIXED_BOUND
    return Rule(name=FIXED, statistic=lambda seen: seen.pooled_z, upper=upper)


def _own_sequence(looks: int) -> Rule:
    """What the product decides by where no end is planned, tuned at what is planned here."""
    ends = [
        confidence_sequence(0.0, 1.0, total, confidence=1 - 2 * ALPHA, tuned_at=2 * UNITS)[1]
        for total in (2 * rivals.users(looks)).tolist()
    ]
    upper = np.array([end for end in ends if end is not None])
    return Rule(name=OWN_SEQUENCE, statistic=lambda seen: seen.z, upper=upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Between the simulation and the product's own function, asked at every look."""

    experiments: int
    same_verdict: int
    same_look: int
    asked: int


def agreement(looks: Sequence[int], experiments: int) -> Agreement:
    """So many experiments at each number of looks and each effect."""
    rng = np.random.default_rng([SEED, 1])
    total = verdicts = same = asked = 0
    for count in looks:
        rule = product.default_profile(count)
        for effect in EFFECTS:
            seen = paths(rng, looks=count, effect=effect, replications=experiments)
            expected = ends(rule, seen)
            for index in range(experiments):
                found = product.followed(seen, index)
                total += 1
                asked += found.look + 1
                verdicts += (found.win, found.harm) == (expected.win[index], expected.harm[index])
                same += found.look == int(expected.look[index])
        note(f"goal.look asked at every one of {count} looks of {3 * experiments} experiments")
    return Agreement(experiments=total, same_verdict=verdicts, same_look=same, asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersAgreement:
    """Between the formulas of GrowthBook's rules and its own code."""

    looks: int
    same_sequential: int
    same_bayesian: int


def peers_agreement(count: int) -> PeersAgreement | None:
    """At random looks of random experiments, an effect of one point or none."""
    rng = np.random.default_rng([SEED, 2])
    questions: list[tuple[float, float, float]] = []
    formulas: list[tuple[bool, bool]] = []
    for effect in EFFECTS:
        seen = paths(rng, looks=max(LOOKS[:3]), effect=effect, replications=count // len(EFFECTS))
        row = np.arange(len(seen.control))
        at = rng.integers(0, seen.looks, len(row))
        bound = rivals.growthbook(seen.looks).upper[at]
        z = seen.relative_z[row, at]
        formulas += zip((abs(z) >= bound).tolist(), (abs(z) >= rivals.Z95).tolist(), strict=True)
        control, treatment = seen.control[row, at], seen.treatment[row, at]
        questions += zip(seen.n[at].tolist(), control.tolist(), treatment.tolist(), strict=True)
    answers = peers.ask(counts=questions)
    if answers is None:
        return None
    pairs = list(zip(formulas, answers.growthbook, strict=True))
    return PeersAgreement(
        looks=len(pairs),
        same_sequential=sum(ours[0] == (theirs["p_value"] <= 0.05) for ours, theirs in pairs),
        same_bayesian=sum(
            ours[1] == (abs(theirs["chance"] - 0.5) >= 0.45) for ours, theirs in pairs
        ),
    )
