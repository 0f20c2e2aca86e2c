"""One row for each target: what was aimed at, what the product does, and the best of the peers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.decisions import comparisons, findings, numerics, product
from benchmarks.decisions.scenario import ALPHA, LOOKS, MINIMUM_EFFECT
from benchmarks.decisions.simulated import FIXED, Simulated
from benchmarks.result import Table

ByLooks = Mapping[int, Simulated]

_SPOTIFY = "Spotify α·t²"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    reach: str
    measured: str
    peers: str
    reached: str


def table(targets: Iterable[Target]) -> Table:
    return Table(
        title="### Targets",
        head=("", "target", "Turnout", "peers, the best first", "reached"),
        rows=[
            (target.name, target.reach, target.measured, target.peers, target.reached)
            for target in targets
        ],
    )


def false_positives(found: ByLooks) -> Target:
    """T1: each side, at every number of looks, with futility and without."""
    reached, worst, both = True, 0.0, 0.0
    for at in found.values():
        for name in (product.NAME, product.WITHOUT_FUTILITY):
            rule = at.of[0.0][name]
            reached &= max(rule.win, rule.harm) <= ALPHA + 3 * rule.error(ALPHA, at.replications)
            reached &= rule.rejected <= 2 * ALPHA + 3 * rule.error(2 * ALPHA, at.replications)
            worst, both = max(worst, rule.win, rule.harm), max(both, rule.rejected)

    def peer(name: str) -> str:
        rules = [at.of[0.0][name] for at in found.values()]
        side = max(max(rule.win, rule.harm) for rule in rules)
        return f"{_percent(max(rule.rejected for rule in rules))}, one side {_percent(side)}"

    return Target(
        name="T1",
        reach=f"false positives ≤ 5 %, each side ≤ 2.5 % (within 3 s.e.), {_listed(LOOKS)} looks",
        measured=f"at most {_percent(both)}, one side {_percent(worst)}; with futility"
        f" {_percent(max(at.of[0.0][product.NAME].rejected for at in found.values()))}",
        peers=f"Spotify {peer(_SPOTIFY)}; GrowthBook {peer('GrowthBook sequential')};"
        f" naive {peer('naive peeking')}",
        reached=_yes(reached),
    )


def power(at: Simulated) -> Target:
    """T2."""
    fixed = at.of[MINIMUM_EFFECT][FIXED].win

    def lost(name: str) -> float:
        return 100 * (fixed - at.of[MINIMUM_EFFECT][name].win)

    default, patient = lost(product.NAME), lost(product.POWER_FIRST)
    peers = {
        "Spotify": _SPOTIFY,
        "Eppo hybrid": "Eppo hybrid",
        "mSPRT": "mSPRT, τ = the effect",
        "Eppo": "Eppo sequential",
        "GrowthBook": "GrowthBook sequential",
    }
    return Target(
        name="T2",
        reach="power at the minimum effect within 3.2 points of one look (power-first: 2.2)",
        measured=f"-{default:.2f} (power-first -{patient:.2f}) of {100 * fixed:.1f} %, 100 looks",
        peers=", ".join(f"{short} -{lost(name):.1f}" for short, name in peers.items()),
        reached=_yes(default <= 3.2 and patient <= 2.2),
    )


def sizes(at: Simulated) -> Target:
    """T3."""

    def of(name: str) -> list[float]:
        effects = (MINIMUM_EFFECT, 2 * MINIMUM_EFFECT, 0.0)
        return [100 * at.of[effect][name].size for effect in effects]

    def shown(name: str) -> str:
        return " / ".join(f"{size:.1f}" for size in of(name)) + " %"

    ours = of(product.NAME)
    return Target(
        name="T3",
        reach="users needed on average ≤ 70 / 34 / 65 % at the minimum effect, twice it, and none",
        measured=shown(product.NAME),
        peers=f"Spotify {shown(_SPOTIFY)}; Eppo hybrid {shown('Eppo hybrid')};"
        f" GrowthBook {shown('GrowthBook sequential')}",
        reached=_yes(all(size <= most for size, most in zip(ours, (70, 34, 65), strict=True))),
    )


def planned(ours: findings.PlannedCost, spotify: tuple[float, float, float]) -> Target:
    """T4."""
    most, effect, none = spotify
    return Target(
        name="T4",
        reach="for 80 % power: most users ≤ 1.09, on average ≤ 0.74 at the effect, ≤ 0.69 at none",
        measured=f"{ours.most:.3f} / {ours.at_effect:.3f} / {ours.at_none:.3f}",
        peers=f"Spotify {most:.3f} / {effect:.3f} / {none:.3f}; gsDesign and rpact can be told to"
        " do the same, for 30 and 20 looks",
        reached=_yes(ours.most <= 1.09 and ours.at_effect <= 0.74 and ours.at_none <= 0.69),
    )


def digits(error: float, spotify: findings.SpotifyBounds | None) -> Target:
    """T5: that 400 looks are accepted has been seen by then."""
    theirs = (
        "Spotify not installed"
        if spotify is None
        else f"Spotify {spotify.worst_error:.0e} (own code)"
    )
    return Target(
        name="T5",
        reach="bounds within 1e-6 of 45-digit integration, also in far tails and after steps of"
        " 0.1 %; 400 looks accepted",
        measured=f"{error:.0e}; 400 looks",
        peers=f"gsDesign 7e-4, rpact 2e-2 (both measured earlier); {theirs}",
        reached=_yes(error <= 1e-6),
    )


def speed(ours: numerics.Timing, spotify: findings.SpotifyBounds | None) -> Target:
    """T6."""
    theirs = (
        "Spotify not installed"
        if spotify is None
        else f"Spotify {spotify.seconds_100:.1f} s / {spotify.seconds_400:.1f} s (own code)"
    )
    fast = ours.hundred < 0.3 and ours.four_hundred < 3 and ours.one_more < 0.02
    return Target(
        name="T6",
        reach="bounds of 100 looks < 0.3 s, of 400 < 3 s, one more look < 20 ms",
        measured=f"{ours.hundred:.2f} s / {ours.four_hundred:.2f} s"
        f" / {1000 * ours.one_more:.1f} ms",
        peers=theirs,
        reached=_yes(fast),
    )


def lifts(found: Sequence[comparisons.Coverage]) -> Target:
    """T7."""
    covered = [each.fieller for each in found]
    contradictions = sum(each.contradictions for each in found)
    reached = all(0.945 <= share <= 0.955 for share in covered) and contradictions == 0
    return Target(
        name="T7",
        reach="95 % interval of a lift covers 94.5 to 95.5 %, lifts up to +100 %; never contradicts"
        " the test of the difference",
        measured=f"{_shares(covered)}; {contradictions} contradictions in"
        f" {len(found) * findings.COVERED:,}",
        peers=f"limits of the difference over the control's mean, as Spotify:"
        f" {_shares([each.divided for each in found])}",
        reached=_yes(reached),
    )


def laws(ours: comparisons.Laws, growthbook: findings.GrowthBook | None) -> Target:
    """T8."""
    theirs = (
        "GrowthBook not installed"
        if growthbook is None
        else f"GrowthBook (own code): two-sided {growthbook.two_sided}, one-sided"
        f" {growthbook.less:,} contradictions in {growthbook.inputs:,}"
    )
    return Target(
        name="T8",
        reach="p-value and interval never contradict each other, units and order of arms do not"
        " matter: no violation in 100,000 random inputs",
        measured=f"{ours.duality} + {ours.unit} + {ours.swap} in {ours.inputs:,}",
        peers=theirs,
        reached=_yes(ours.duality + ours.swap + ours.unit == 0),
    )


def splits(found: findings.Splits) -> Target:
    """T9."""
    slack = 3 * math.sqrt(0.001 * 0.999 / findings.SPLITS)
    return Target(
        name="T9",
        reach="broken split at p < 0.001: ≤ 0.1 % false alarms at 400 looks (within 3 s.e.), 52/48"
        " found by 20,000 users with ≥ 90 %",
        measured=f"{100 * found.sequential:.2f} %, found {_percent(found.found_sequential)}",
        peers=f"chi-square at every look: {100 * found.chi_square:.1f} %, found"
        f" {_percent(found.found_chi_square)}",
        reached=_yes(found.sequential <= 0.001 + slack and found.found_sequential >= 0.9),
    )


def ramp(found: findings.Ramps) -> Target:
    """T10."""
    return Target(
        name="T10",
        reach="ramp of 1, 5, 25, 50 % while the base rate moves from 10 to 14 %: ≤ 5.5 %"
        " false positives",
        measured=f"{_percent(found.stratified)}, looked at all the time",
        peers=f"who adds up counts: {_percent(found.pooled_once)} at one look in the end,"
        f" {_percent(found.pooled)} under Turnout's own bounds",
        reached=_yes(found.stratified <= 0.055),
    )


def accuracy(
    moments: numerics.Accuracy,
    stored: numerics.Accuracy,
    growthbook: findings.GrowthBook | None,
) -> Target:
    """T11: of moments, and of what the fold stores of a metric of measurements."""
    theirs = (
        "GrowthBook not installed"
        if growthbook is None
        else f"GrowthBook's s.d. wrong by up to {growthbook.deviation:.0%}"
    )
    reached = all(one.mean <= 1e-14 and one.deviation <= 1e-8 for one in (moments, stored))
    return Target(
        name="T11",
        reach="NIST NumAcc1 to 4: mean within 1e-14, s.d. within 1e-8, from stored state in any"
        " chunks",
        measured=f"stored totals: {stored.mean:.0e} and {stored.deviation:.0e}; moments:"
        f" {moments.mean:.0e} and {moments.deviation:.0e}",
        peers=theirs,
        reached=_yes(reached),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _shares(shares: Sequence[float]) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares) + " %"


def _listed(numbers: Sequence[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"
