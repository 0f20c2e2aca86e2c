"""Each treatment against the control on the goal."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalFinding, GoalState, GoalStatus, Interval, look, refresh
from turnout.stats.multiplicity import holm

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One treatment against the control on the goal.

    `p_value` is that of the finding, adjusted for the number of treatments (Holm). Significance
    follows from the interval that holds over all looks. Statistical: a look has shown better or
    worse. Practical: the interval holds only improvements of at least the minimum detectable
    effect (true), or none of them (false); null while it holds both.
    """

    version: str
    finding: GoalFinding
    p_value: float | None
    statistical_significance: bool | None
    practical_significance: bool | None

    @property
    def won(self) -> bool:
        return self.finding.status is GoalStatus.WIN

    @property
    def undecided(self) -> bool:
        return self.finding.status in {GoalStatus.CONTINUE, GoalStatus.NO_DATA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """All treatments of an experiment, and what is to be remembered of their tests."""

    comparisons: tuple[Comparison, ...]
    states: Mapping[str, GoalState]


def stratum(plan: Plan, evidence: ExperimentEvidence, version: str) -> Stratum:
    """All units were spread by one split, which a pause keeps: there is one stratum."""
    return Stratum(
        control=evidence.measured(plan.goal, plan.control),
        treatment=evidence.measured(plan.goal, version),
    )


def planned_share(plan: Plan, target: int, evidence: ExperimentEvidence, version: str) -> float:
    """How much of its planned units a comparison has, both arms taken together."""
    design = plan.design(version, target=target, against=1)
    return stratum(plan, evidence, version).size / design.size


def enough(plan: Plan, evidence: ExperimentEvidence, version: str) -> bool:
    """Whether both arms have the units below which nothing is concluded."""
    pair = stratum(plan, evidence, version)
    return min(pair.control.units, pair.treatment.units) >= plan.min_sample_size


def compare(
    plan: Plan,
    target: int,
    evidence: ExperimentEvidence,
    states: Mapping[str, GoalState],
    *,
    looks: bool,
    final: bool,
) -> Standings:
    """Look at the goal of every treatment, or show it without a look.

    Each treatment has its share of the error rate. When one wins, its share goes to those that
    are left (Holm's procedure, on sequential tests: Maurer & Bretz 2013), which are then looked
    at again, from where they stood before this analysis.
    """
    versions = [arm.version for arm in plan.treatments]
    before = {version: states.get(version, GoalState()) for version in versions}
    won = {version for version, state in before.items() if _won(state)}
    while True:
        against = max(1, len(versions) - len(won))
        found = {
            version: _examine(
                plan,
                target,
                evidence,
                version,
                before[version],
                against=against,
                looks=looks,
                final=final,
            )
            for version in versions
        }
        winners = {version for version, (state, _) in found.items() if _won(state)}
        if winners <= won:
            break
        won |= winners
    findings = {version: finding for version, (_, finding) in found.items()}
    return Standings(
        comparisons=_comparisons(plan, findings),
        states={version: state for version, (state, _) in found.items()},
    )


def _won(state: GoalState) -> bool:
    return state.ended and state.looks[-1].status is GoalStatus.WIN


def _examine(
    plan: Plan,
    target: int,
    evidence: ExperimentEvidence,
    version: str,
    state: GoalState,
    *,
    against: int,
    looks: bool,
    final: bool,
) -> tuple[GoalState, GoalFinding]:
    design = plan.design(version, target=target, against=against)
    strata, proportion = [stratum(plan, evidence, version)], plan.goal.proportion
    if looks and enough(plan, evidence, version):
        return look(design, state, strata, proportion=proportion, final=final)
    return state, refresh(design, state, strata, proportion=proportion)


def _comparisons(plan: Plan, findings: Mapping[str, GoalFinding]) -> tuple[Comparison, ...]:
    adjusted = adjust({version: finding.p_value for version, finding in findings.items()})
    return tuple(
        Comparison(
            version=version,
            finding=finding,
            p_value=adjusted[version],
            statistical_significance=_statistical(finding),
            practical_significance=_practical(plan, finding.interval),
        )
        for version, finding in findings.items()
    )


def adjust(p_values: Mapping[_Key, float | None]) -> Mapping[_Key, float | None]:
    """Holm's p-values; a test without one yet counts among them all the same."""
    adjusted = holm([1.0 if p_value is None else p_value for p_value in p_values.values()])
    return {
        key: None if p_value is None else found
        for (key, p_value), found in zip(p_values.items(), adjusted, strict=True)
    }


def _statistical(finding: GoalFinding) -> bool | None:
    if finding.effect is None:
        return None
    return finding.status in {GoalStatus.WIN, GoalStatus.HARM}


def _practical(plan: Plan, interval: Interval) -> bool | None:
    least, most = improvement(plan, interval)
    if least is not None and least >= plan.goal.minimum_detectable_effect:
        return True
    if most is not None and most < plan.goal.minimum_detectable_effect:
        return False
    return None


def improvement(plan: Plan, interval: Interval) -> Interval:
    """The interval with improvements above 0, whichever way the metric improves."""
    low, high = interval
    if plan.goal.improves_by == "increase":
        return low, high
    return None if high is None else -high, None if low is None else -low
