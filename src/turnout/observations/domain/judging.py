"""What a guardrail says to the totals of one arm, or of two that answer at the same time."""

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import PROPORTIONS, Guardrail
from turnout.stats.finding import Finding
from turnout.stats.guardrail import judge_difference, judge_limit
from turnout.stats.quantile_guardrail import judge_quantile_difference, judge_quantile_limit
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict


def find(
    guardrail: Guardrail,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    *,
    alpha: float,
    waves: float = 0.0,
) -> Finding:
    """Judge by a bound that holds at every look: over all of them an innocent candidate fails
    with a chance of at most `alpha`. An arm is None before its first prediction. `waves` is what
    the limited mean, or the share above the limited quantile, varies by in time.
    """
    try:
        if guardrail.quantile is not None:
            return _find_quantile(
                guardrail, guardrail.quantile, candidate, baseline, alpha=alpha, waves=waves
            )
        arms = (totals(guardrail.series, arm) for arm in (candidate, baseline))
        return find_ratio(guardrail, *arms, alpha=alpha, waves=waves)
    except (ValueError, ArithmeticError) as error:
        return broken(guardrail, error)


def recorded_as(metric: str) -> str:
    return "error_rate" if metric == "success_rate" else metric


def totals(metric: str, arm: ArmEvidence | None) -> UnitTotals:
    """The totals of a metric in one arm; zeros where nothing was recorded."""
    if arm is None:
        return UnitTotals()
    recorded = arm.metrics.get(recorded_as(metric), UnitTotals())
    return recorded if recorded_as(metric) == metric else recorded.complement()


def find_ratio(
    guardrail: Guardrail,
    candidate: UnitTotals,
    baseline: UnitTotals,
    *,
    alpha: float,
    critical: float | None = None,
    waves: float = 0.0,
) -> Finding:
    """Judge the totals of the guardrail's metric, which is no quantile.

    The boundary is tightest at `min_samples`, where the first pass may be given. A `critical`
    value takes its place in showing harm: of a test whose account of alpha the caller keeps.
    """
    proportion = guardrail.metric in PROPORTIONS
    if not guardrail.relative:
        return judge_limit(
            candidate,
            limit=guardrail.limit,
            harm=guardrail.harm,
            proportion=proportion,
            signed=guardrail.paired and not proportion,
            alpha=alpha,
            min_samples=guardrail.min_samples,
            tuned_at=guardrail.min_samples,
            proof=guardrail.proof,
            critical=critical,
            waves=waves,
        )
    return judge_difference(
        candidate,
        baseline,
        margin=guardrail.limit,
        harm=guardrail.harm,
        proportion=proportion,
        alpha=alpha,
        min_samples=guardrail.min_samples,
        tuned_at=guardrail.min_samples,
        proof=guardrail.proof,
        critical=critical,
        waves=waves,
    )


def _find_quantile(
    guardrail: Guardrail,
    q: float,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    *,
    alpha: float,
    waves: float,
) -> Finding:
    new, old = (arm.latency if arm else QuantileSketch() for arm in (candidate, baseline))
    if not guardrail.relative:
        return judge_quantile_limit(
            new,
            q=q,
            limit=guardrail.limit,
            alpha=alpha,
            min_samples=guardrail.min_samples,
            proof=guardrail.proof,
            waves=waves,
        )
    return judge_quantile_difference(
        new,
        old,
        q=q,
        margin=guardrail.limit,
        alpha=alpha,
        min_samples=guardrail.min_samples,
        proof=guardrail.proof,
        waves=waves,
    )


def broken(guardrail: Guardrail, error: Exception) -> Finding:
    """Sums that contradict each other are an error, and never a pass."""
    return Finding(
        verdict=Verdict.ERROR,
        candidate=None,
        baseline=None,
        effect=None,
        bound=None,
        limit=guardrail.limit,
        n_candidate=0,
        n_baseline=None,
        reason=f"the recorded figures cannot be right: {error}",
    )
