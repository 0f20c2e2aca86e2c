"""What the variants of an experiment have shown so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from turnout.experiments.domain.plan import Plan
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.judging import recorded_as, totals
from turnout.observations.domain.metric import Metric
from turnout.stats.effect import per_exposed_unit
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.totals import UnitTotals

EXPOSURE = "error_rate"
"""Every prediction is an error or none, so this metric has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentEvidence:
    """The arms of the experiment's split by version; one without a prediction yet is absent."""

    arms: Mapping[str, ArmEvidence] = field(default_factory=dict)

    def exposed(self, version: str) -> UnitTotals:
        """All predictions of a version, and the units they were made for."""
        return totals(EXPOSURE, self.arms.get(version))

    def randomised(self, plan: Plan, version: str) -> int:
        """What fell to a version by chance: units, or requests where each is drawn for itself."""
        found = self.exposed(version)
        return found.units if plan.by_unit else round(found.n)

    def measured(self, metric: Metric, version: str) -> UnitTotals:
        """The totals by which a version is compared; zeros where nothing was recorded."""
        recorded = totals(metric.series, self.arms.get(version))
        if metric.per == "outcome":
            return recorded
        return per_exposed_unit(self.exposed(version), recorded)

    def on(self, plan: Plan) -> "ExperimentEvidence":
        """What an analysis of this plan rests on: enough to come to the same one again."""
        asked = [metric.series for metric in (plan.goal, *plan.secondary)]
        limited = [limit.series for limit in plan.limits]
        names = {EXPOSURE, *map(recorded_as, asked), *map(recorded_as, limited)}
        latency = any(limit.quantile is not None for limit in plan.guardrails)
        return ExperimentEvidence(
            arms={
                version: replace(
                    arm,
                    metrics={name: found for name, found in arm.metrics.items() if name in names},
                    latency=arm.latency if latency else QuantileSketch(),
                )
                for version, arm in self.arms.items()
            }
        )
