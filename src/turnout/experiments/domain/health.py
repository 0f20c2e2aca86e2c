"""Whether what was counted can be believed at all, before anything is read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Progress, Status
from turnout.observations.domain.sample_ratio import SampleRatioFinding
from turnout.stats.verdict import Verdict

CROSSED_SHARE: Final = 0.01
"""Of all units, how many may meet two variants: more of them blur every difference."""

_FEW_CROSSED: Final = 10
_STALE_AFTER_AT_LEAST: Final = timedelta(minutes=1)


class Check(StrEnum):
    FIGURES = "figures"
    SAMPLE_RATIO = "sample_ratio"
    CROSSED_UNITS = "crossed_units"
    DATA = "data"
    FRESHNESS = "freshness"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFinding:
    """`fail`: nothing may be concluded from this experiment. `no_data`: not now."""

    check: Check
    verdict: Verdict
    reason: str


def observed(plan: Plan, evidence: ExperimentEvidence) -> Mapping[str, int]:
    """What was randomised, by version: units, or requests where each is drawn for itself.

    Also of versions that the plan does not know, of which there should be none.
    """
    versions = {**dict.fromkeys(plan.weights), **dict.fromkeys(evidence.arms)}
    return {version: evidence.randomised(plan, version) for version in versions}


def examine(
    plan: Plan,
    progress: Progress,
    evidence: ExperimentEvidence,
    ratio: SampleRatioFinding,
    now: datetime,
) -> tuple[HealthFinding, ...]:
    """All checks, the gravest first."""
    return (
        _figures(plan, evidence),
        _ratio(plan, ratio),
        _crossed(plan, evidence),
        _data(plan, evidence),
        _freshness(plan, progress, evidence, now),
    )


def _figures(plan: Plan, evidence: ExperimentEvidence) -> HealthFinding:
    """Sums that contradict each other mean that events were lost or counted twice."""
    for metric in (plan.goal, *plan.secondary):
        for version in plan.weights:
            try:
                totals = evidence.measured(metric, version)
            except ValueError as error:
                return _failed(Check.FIGURES, f"{metric.metric} of {version}: {error}")
            if metric.proportion and not 0 <= totals.total <= totals.n:
                counted = f"counts {totals.total:g} of {totals.n:g} events"
                return _failed(Check.FIGURES, f"{metric.metric} of {version} {counted}")
    return _passed(Check.FIGURES, "the recorded figures agree with each other")


def _ratio(plan: Plan, ratio: SampleRatioFinding) -> HealthFinding:
    what = "units" if plan.by_unit else "requests"
    if not sum(ratio.observed.values()):
        return _unknown(Check.SAMPLE_RATIO, f"no {what} yet")
    if ratio.mismatch:
        return _failed(
            Check.SAMPLE_RATIO, f"{what} did not fall to the variants as planned: {ratio.shares}"
        )
    return _passed(Check.SAMPLE_RATIO, f"{what} fall to the variants as planned: {ratio.shares}")


def _crossed(plan: Plan, evidence: ExperimentEvidence) -> HealthFinding:
    if not plan.by_unit:
        return _passed(Check.CROSSED_UNITS, "each request is a unit of its own")
    crossed = sum(arm.crossed for arm in evidence.arms.values())
    units = sum(observed(plan, evidence).values())
    if crossed >= _FEW_CROSSED and crossed > CROSSED_SHARE * units:
        return _failed(
            Check.CROSSED_UNITS,
            f"{crossed:,} of {units:,} units ({_share(crossed, units)}) met more than one variant",
        )
    return _passed(Check.CROSSED_UNITS, f"{crossed:,} of {units:,} units met more than one variant")


def _data(plan: Plan, evidence: ExperimentEvidence) -> HealthFinding:
    silent = [version for version in plan.weights if not evidence.exposed(version).units]
    if silent:
        return _unknown(Check.DATA, f"no prediction of {' and '.join(silent)} so far")
    return _passed(Check.DATA, "every variant makes predictions")


def _freshness(
    plan: Plan, progress: Progress, evidence: ExperimentEvidence, now: datetime
) -> HealthFinding:
    """Traffic that stopped says nothing of the present; while paused there should be none."""
    patience = max(plan.max_duration / 50, _STALE_AFTER_AT_LEAST)
    if progress.status is Status.RUNNING and progress.running_since is not None:
        for version, arm in evidence.arms.items():
            newest = max(arm.last_at or progress.running_since, progress.running_since)
            if now - newest > patience:
                return _unknown(
                    Check.FRESHNESS,
                    f"{version} has made no prediction since {newest:%Y-%m-%d %H:%M:%S} UTC",
                )
    return _passed(Check.FRESHNESS, "the newest predictions are recent")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.4g} %"


def _failed(check: Check, reason: str) -> HealthFinding:
    return HealthFinding(check=check, verdict=Verdict.FAIL, reason=reason)


def _unknown(check: Check, reason: str) -> HealthFinding:
    return HealthFinding(check=check, verdict=Verdict.NO_DATA, reason=reason)


def _passed(check: Check, reason: str) -> HealthFinding:
    return HealthFinding(check=check, verdict=Verdict.PASS, reason=reason)
