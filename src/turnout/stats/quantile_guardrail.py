"""The judge of a latency quantile, by exact anytime-valid bounds from its sketch.

That the q-quantile is at most v says that at most 1 - q of the requests take longer than v. So a
bound on the quantile is a bound on a rank (Howard & Ramdas, "Sequential estimation of quantiles
with applications to A/B testing and best-arm identification", Bernoulli 2022), and the number of
requests above v is put to the exact test of `bernoulli`: no normal approximation is asked to hold
at p99 of a hundred requests. Requests are taken as independent, but for waves in time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from turnout.stats.arguments import require_between, require_nonnegative
from turnout.stats.bernoulli import fewest_that_show_more, most_that_show_less
from turnout.stats.finding import Reading, Rule, conclude
from turnout.stats.guardrail import BURN_IN

if TYPE_CHECKING:
    from turnout.stats.finding import Finding, Proof
    from turnout.stats.quantile_sketch import QuantileSketch


def judge_quantile_limit(
    candidate: QuantileSketch,
    *,
    q: float,
    limit: float,
    alpha: float,
    min_samples: int,
    proof: Proof,
    waves: float = 0.0,
) -> Finding:
    """Judge whether the candidate's q-quantile lies above the limit."""
    require_nonnegative(limit=limit)
    low, high = quantile_bounds(candidate, q=q, alpha=alpha, waves=waves)
    rule = Rule(limit=limit, harm="above", proof=proof, alpha=alpha, percent=False)
    fewest = candidate.count
    reading = Reading(
        candidate=candidate.quantile(q),
        baseline=None,
        low=low if fewest >= BURN_IN else None,
        high=high,
        n_candidate=candidate.count,
        n_baseline=None,
        evidence=f"{candidate.count:,} requests{_counted(fewest, q, waves)}",
    )
    return conclude(rule, reading, lacking=_lacking(min_samples, low, fewest))


def judge_quantile_difference(
    candidate: QuantileSketch,
    baseline: QuantileSketch,
    *,
    q: float,
    margin: float,
    alpha: float,
    min_samples: int,
    proof: Proof,
    waves: float = 0.0,
) -> Finding:
    """Judge whether the candidate's q-quantile exceeds the baseline's by more than the margin.

    `waves` are those of the difference between their shares above it, half of them either arm's.
    Each arm's bound errs with half of alpha, so their difference errs with all of it.
    """
    require_nonnegative(margin=margin)
    low, high = quantile_bounds(candidate, q=q, alpha=alpha / 2, waves=waves / 2)
    baseline_low, baseline_high = quantile_bounds(baseline, q=q, alpha=alpha / 2, waves=waves / 2)
    least = None if low is None or baseline_high is None else low - baseline_high
    most = None if high is None or baseline_low is None else high - baseline_low
    fewest = min(candidate.count, baseline.count)
    reading = Reading(
        candidate=candidate.quantile(q),
        baseline=baseline.quantile(q),
        low=least if fewest >= BURN_IN else None,
        high=most,
        n_candidate=candidate.count,
        n_baseline=baseline.count,
        evidence=f"{candidate.count:,} requests and {baseline.count:,} of the baseline"
        f"{_counted(fewest, q, waves / 2)}",
    )
    rule = Rule(limit=margin, harm="above", proof=proof, alpha=alpha, percent=False)
    return conclude(rule, reading, lacking=_lacking(min_samples, least, fewest))


def quantile_bounds(
    sketch: QuantileSketch, *, q: float, alpha: float, waves: float = 0.0
) -> tuple[float | None, float | None]:
    """One-sided bounds of the q-quantile, each with a chance of at most alpha to ever err.

    Requests that are slow together count as fewer: as many as would have the share above the
    quantile vary by chance as much as chance and `waves`, the variance of that share in time, make
    it vary together (Kish 1965, the design effect; Rao & Scott 1981 for tests).
    """
    require_between(0, 1, q=q, alpha=alpha)
    each = together(sketch.count, q, waves)
    apart = math.floor(sketch.count / each)
    more = fewest_that_show_more(apart, 1 - q, alpha)
    less = most_that_show_less(apart, 1 - q, alpha)
    return (
        None if more is None else sketch.exceeded_by(math.ceil(more * each)),
        None if less is None else sketch.exceeded_by_at_most(math.floor(less * each)),
    )


def together(count: float, q: float, waves: float) -> float:
    """How many requests tell as much as one would that is slow by itself."""
    return 1 + count * waves / (q * (1 - q))


def _counted(count: int, q: float, waves: float) -> str:
    if not (waves and count):
        return ""
    apart = count / together(count, q, waves)
    return f", which are slow together and count as {apart:,.0f}"


def _lacking(min_samples: int, low: float | None, fewest: int) -> str | None:
    needed = max(BURN_IN, min_samples)
    if fewest < needed:
        return f"fewer than {needed} requests"
    return "too few requests to show harm" if low is None else None
