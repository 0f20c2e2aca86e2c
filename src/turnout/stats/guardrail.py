"""The judge of one guardrail: has the candidate done harm?

The verdict follows from the confidence bound of `ScoreTest` alone, so the two cannot contradict
each other, and it may be asked for at every tick: over all looks together an innocent candidate
fails with a chance of at most alpha. Who keeps an account of alpha over the looks gives the
`critical` value that may show harm at this one; it takes the place of the anytime-valid one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from turnout.stats.arguments import BadArgument, require_finite, require_nonnegative
from turnout.stats.finding import Finding, Reading, Rule, conclude
from turnout.stats.score import ScoreTest, anytime_critical

if TYPE_CHECKING:
    from turnout.stats.finding import Harm, Proof
    from turnout.stats.totals import UnitTotals

#: Events in an arm before anything is concluded: the boundary is asymptotic, and one error in
#: the first few requests is no finding.
BURN_IN = 10


def judge_limit(
    candidate: UnitTotals,
    *,
    limit: float,
    harm: Harm,
    proportion: bool,
    signed: bool = False,
    alpha: float,
    min_samples: int,
    tuned_at: float,
    proof: Proof,
    critical: float | None = None,
    waves: float = 0.0,
) -> Finding:
    """Judge the candidate's ratio against an absolute limit.

    `proportion` says that x counts some of a unit's n events, as errors do; otherwise it sums
    measurements, which are `signed` if they lie on both sides of zero. `min_samples` counts events.
    At `tuned_at` units the bound is tightest; it belongs to the plan and must not change while the
    candidate runs. `waves` is the variance that the mean of measurements has beside that of units,
    because it goes up and down with time (`waves`); of proportions it says nothing.
    """
    require_finite(limit=limit)
    if proportion:
        _require_counts(candidate=candidate)
    rule = Rule(limit=limit, harm=harm, proof=proof, alpha=alpha, percent=proportion)
    return _judge(
        candidate,
        None,
        rule,
        signed=signed,
        min_samples=min_samples,
        tuned_at=tuned_at,
        critical=critical,
        waves=waves,
    )


def judge_difference(
    candidate: UnitTotals,
    baseline: UnitTotals,
    *,
    margin: float,
    harm: Harm,
    proportion: bool,
    alpha: float,
    min_samples: int,
    tuned_at: float,
    proof: Proof,
    critical: float | None = None,
    waves: float = 0.0,
) -> Finding:
    """Judge the candidate's ratio against that of a baseline observed at the same time.

    `margin` is how much worse, in the unit of the metric, the candidate may be. `min_samples`
    and the burn-in hold for each arm, and `waves` are those of the difference. The rest is as in
    `judge_limit`.
    """
    require_nonnegative(margin=margin)
    if proportion:
        _require_counts(candidate=candidate, baseline=baseline)
    rule = Rule(limit=margin, harm=harm, proof=proof, alpha=alpha, percent=proportion)
    return _judge(
        candidate,
        baseline,
        rule,
        min_samples=min_samples,
        tuned_at=tuned_at,
        critical=critical,
        waves=waves,
    )


def _require_counts(**arms: UnitTotals) -> None:
    for argument, arm in arms.items():
        if not 0 <= arm.total <= arm.n:
            raise BadArgument(argument, f"counts {arm.total:g} of {arm.n:g} events")


def _judge(
    candidate: UnitTotals,
    baseline: UnitTotals | None,
    rule: Rule,
    *,
    signed: bool = False,
    min_samples: int,
    tuned_at: float,
    critical: float | None,
    waves: float,
) -> Finding:
    arms = [candidate] if baseline is None else [candidate, baseline]
    low = high = lacking = None
    fewest = min(arm.n for arm in arms)
    if fewest < max(BURN_IN, min_samples):
        lacking = f"fewer than {max(BURN_IN, min_samples)} events"
    if fewest >= BURN_IN:
        test = ScoreTest(proportion=rule.percent, signed=signed)
        lasting = anytime_critical(candidate, baseline, alpha=rule.alpha, tuned_at=tuned_at)
        harmful = lasting if critical is None else critical
        below, above = (harmful, lasting) if rule.harm == "above" else (lasting, harmful)
        low, high = test.interval(candidate, baseline, below=below, above=above, waves=waves)
        extent = 1 - rule.limit if baseline is None and rule.harm == "below" else rule.limit
        if lacking is None and not test.can_show(extent, candidate, baseline, critical=lasting):
            lacking = "too few units to show harm"
    reading = Reading(
        candidate=candidate.rate,
        baseline=None if baseline is None else baseline.rate,
        low=low,
        high=high,
        n_candidate=candidate.n,
        n_baseline=None if baseline is None else baseline.n,
        evidence=" and ".join(f"{arm.n:,.0f} events from {arm.units:,} units" for arm in arms)
        + (f", which go up and down together by ±{math.sqrt(waves):.3g}" if waves else ""),
    )
    return conclude(rule, reading, lacking=lacking)
