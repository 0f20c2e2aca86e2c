"""Who a treatment does well for: for people to look at, never deciding."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from turnout.experiments.domain.plan import Plan
from turnout.stats.effect import Stratum, effect, too_few
from turnout.stats.goal import Interval
from turnout.stats.multiplicity import benjamini_hochberg
from turnout.stats.totals import UnitTotals

Cut = Mapping[str, Mapping[str, UnitTotals]]
"""Totals by the value of an attribute, then by version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFinding:
    """One treatment against the control among the units of one segment.

    The interval holds for one look at one segment. `adjusted_p_value` is Benjamini and Hochberg's
    over all segments and treatments of this cut; whoever cuts often enough finds something.
    """

    segment: str
    version: str
    control_units: int
    treatment_units: int
    control: float | None = None
    treatment: float | None = None
    effect: float | None = None
    interval: Interval = (None, None)
    p_value: float | None = None
    adjusted_p_value: float | None = None
    reason: str | None = None


def compare_segments(plan: Plan, cut: Cut) -> tuple[SegmentFinding, ...]:
    """The goal in each segment, the segments with the most units first."""
    findings = [
        _find(plan, segment, arm.version, versions)
        for segment, versions in cut.items()
        for arm in plan.treatments
    ]
    tested = [found.p_value for found in findings if found.p_value is not None]
    adjusted = iter(benjamini_hochberg(tested))
    findings = [
        found if found.p_value is None else replace(found, adjusted_p_value=next(adjusted))
        for found in findings
    ]
    return tuple(sorted(findings, key=lambda found: -found.control_units - found.treatment_units))


def _find(
    plan: Plan, segment: str, version: str, versions: Mapping[str, UnitTotals]
) -> SegmentFinding:
    # Serving requests must not wait for scipy to load.
    from turnout.stats.intervals import difference  # noqa: PLC0415
    from turnout.stats.tails import critical_value, tail  # noqa: PLC0415

    pair = Stratum(
        control=versions.get(plan.control, UnitTotals()),
        treatment=versions.get(version, UnitTotals()),
    )
    counted = SegmentFinding(
        segment=segment,
        version=version,
        control_units=pair.control.units,
        treatment_units=pair.treatment.units,
    )
    proportion = plan.goal.proportion
    if lacking := too_few([pair], proportion=proportion):
        return replace(counted, reason=lacking)
    found = effect([pair], proportion=proportion)
    if found is None:
        return replace(counted, reason="nothing to compare: no unit differs from the others")
    critical = critical_value(plan.confidence_level, "two-sided", None)
    return replace(
        counted,
        control=found.control,
        treatment=found.treatment,
        effect=found.value,
        interval=difference([pair], proportion=proportion, critical=critical),
        p_value=tail(found.statistic, "two-sided", found.degrees_of_freedom)[0],
    )
