"""The metrics beside the goal: tested at every look, never deciding."""

from collections.abc import Mapping
from dataclasses import dataclass

from turnout.experiments.domain.comparison import adjust
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan
from turnout.observations.domain.metric import Metric
from turnout.stats import secondary as stats
from turnout.stats.effect import Stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondaryComparison:
    """One treatment against the control on a metric that decides nothing.

    The finding's interval holds over all looks. `p_value` is the least so far (kind: anytime),
    `adjusted_p_value` is Holm's over all secondary comparisons of the experiment, and
    `significant` follows from it.
    """

    version: str
    metric: Metric
    finding: stats.SecondaryFinding
    p_value: float | None
    adjusted_p_value: float | None
    significant: bool


Memory = Mapping[str, Mapping[str, float]]
"""The least p-values so far, by version and metric."""


def compare_secondary(
    plan: Plan, target: int, evidence: ExperimentEvidence, memory: Memory, *, looks: bool
) -> tuple[tuple[SecondaryComparison, ...], Memory]:
    """What is shown between looks is read from the present data, and not remembered."""
    found = {
        (arm.version, metric): _find(plan, target, evidence, arm.version, metric)
        for arm in plan.treatments
        for metric in plan.secondary
    }
    least = {
        (version, metric): _least(finding.p_value, memory.get(version, {}).get(metric.metric))
        for (version, metric), finding in found.items()
    }
    adjusted = adjust(least)
    comparisons = tuple(
        SecondaryComparison(
            version=version,
            metric=metric,
            finding=finding,
            p_value=least[version, metric],
            adjusted_p_value=(p_value := adjusted[version, metric]),
            significant=p_value is not None and p_value < 1 - plan.confidence_level,
        )
        for (version, metric), finding in found.items()
    )
    return comparisons, _remembered(least) if looks else memory


def _least(*p_values: float | None) -> float | None:
    return min((p_value for p_value in p_values if p_value is not None), default=None)


def _find(
    plan: Plan, target: int, evidence: ExperimentEvidence, version: str, metric: Metric
) -> stats.SecondaryFinding:
    pair = Stratum(
        control=evidence.measured(metric, plan.control),
        treatment=evidence.measured(metric, version),
    )
    return stats.secondary(
        [pair],
        proportion=metric.proportion,
        confidence=plan.confidence_level,
        tuned_at=plan.design(version, target=target, against=1).size,
    )


def _remembered(least: Mapping[tuple[str, Metric], float | None]) -> Memory:
    memory: dict[str, dict[str, float]] = {}
    for (version, metric), p_value in least.items():
        if p_value is not None:
            memory.setdefault(version, {})[metric.metric] = p_value
    return memory
