"""What each guardrail says to each treatment."""

from dataclasses import dataclass

from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.judging import find
from turnout.stats.finding import Finding
from turnout.stats.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailFinding:
    """One guardrail put to one treatment; in the finding, that is the candidate, and the control
    the baseline."""

    version: str
    guardrail: Guardrail
    finding: Finding

    @property
    def fails(self) -> bool:
        return not self.guardrail.dry_run and self.finding.verdict is Verdict.FAIL

    @property
    def withholds(self) -> bool:
        """As long as it does, its version is not shipped."""
        return not self.guardrail.dry_run and self.finding.verdict is not Verdict.PASS


def judge_limits(plan: Plan, evidence: ExperimentEvidence) -> tuple[GuardrailFinding, ...]:
    """Any of them may end the experiment, so each gets an equal part of the error rate: over all
    looks, innocent treatments are taken off the road with a chance of at most 1 - confidence."""
    gates = max(1, plan.gates)
    control = evidence.arms.get(plan.control)
    return tuple(
        GuardrailFinding(
            version=arm.version,
            guardrail=limit,
            finding=find(
                limit,
                evidence.arms.get(arm.version),
                control,
                alpha=(1 - limit.confidence) / gates,
            ),
        )
        for arm in plan.treatments
        for limit in plan.limits
    )
