"""Guardrails as most tests set them: alpha of 5 %, tightest at a hundred units."""

from turnout.stats.finding import Finding, Harm, Proof
from turnout.stats.guardrail import judge_difference, judge_limit
from turnout.stats.totals import UnitTotals


def against_limit(
    candidate: UnitTotals,
    limit: float = 0.05,
    *,
    harm: Harm = "above",
    proof: Proof = "no_harm",
    proportion: bool = True,
    signed: bool = False,
    min_samples: int = 100,
) -> Finding:
    return judge_limit(
        candidate,
        limit=limit,
        harm=harm,
        proportion=proportion,
        signed=signed,
        alpha=0.05,
        min_samples=min_samples,
        tuned_at=100,
        proof=proof,
    )


def against_baseline(
    candidate: UnitTotals,
    baseline: UnitTotals,
    margin: float = 0.005,
    *,
    harm: Harm = "above",
    proof: Proof = "no_harm",
    proportion: bool = True,
    min_samples: int = 100,
) -> Finding:
    return judge_difference(
        candidate,
        baseline,
        margin=margin,
        harm=harm,
        proportion=proportion,
        alpha=0.05,
        min_samples=min_samples,
        tuned_at=100,
        proof=proof,
    )
