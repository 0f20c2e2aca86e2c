"""What can be said against the evidence itself, before a verdict rests on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.judging import find, totals
from turnout.observations.domain.sample_ratio import sample_ratio
from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain.goals import EXPOSURE
from turnout.stats.verdict import Verdict

SLIGHT: Final = 0.01
"""Of its planned share, what an arm may lack or have too much of, however sure that is: so few
units can hide, or make up, at most as much harm."""


class Worry(StrEnum):
    UNEVEN_ARMS = "uneven_arms"
    AILING_BASELINE = "ailing_baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """`uneven_arms`: units did not fall to the arms as planned, so nothing they show is trusted.
    `ailing_baseline`: the baseline itself is beyond a limit that the candidate keeps."""

    worry: Worry
    reason: str


def uneven_arms(
    weight: int, candidate: ArmEvidence | None, baseline: ArmEvidence | None, *, compares: bool
) -> Concern | None:
    """Whether units are missing from an arm, for more than chance explains.

    Only what the split itself randomised is counted: a forced version, a pin, a rule or an answer
    of the baseline in the candidate's stead belongs to no arm. Where nothing `compares` the arms,
    only units that the candidate lacks can hide harm; a baseline that is recorded only in part is
    then nobody's concern. An arm without any is no data, which other checks tell. The test is not
    remembered: records that came late for one arm are no mismatch any more once they have come.
    """
    if not 0 < weight < BASIS_POINTS or candidate is None or baseline is None:
        return None
    units = {
        "candidate": totals(EXPOSURE, candidate).units,
        "baseline": totals(EXPOSURE, baseline).units,
    }
    if not min(units.values()):
        return None
    planned = {"candidate": weight, "baseline": BASIS_POINTS - weight}
    off = _off(units, planned)
    if (abs(off) if compares else -off) <= SLIGHT:
        return None
    found = sample_ratio(units, planned)
    if not found.mismatch:
        return None
    reason = (
        f"units did not fall to the versions as planned, so no result is trusted: {found.shares}"
    )
    return Concern(worry=Worry.UNEVEN_ARMS, reason=reason)


def _off(units: dict[str, int], planned: dict[str, int]) -> float:
    """How much of its planned share the smaller arm has too much, as a sign for the candidate."""
    total = sum(units.values())
    excess = units["candidate"] - total * planned["candidate"] / BASIS_POINTS
    return excess / (total * min(planned.values()) / BASIS_POINTS)


def ailing_baseline(
    kept: Sequence[Guardrail], baseline: ArmEvidence | None, *, gates: int
) -> Concern | None:
    """The first absolute limit, of those that the candidate keeps, which the baseline is shown to
    be beyond."""
    if baseline is None:
        return None
    for guardrail in kept:
        if guardrail.paired or not _beyond(guardrail, baseline):
            continue
        finding = find(guardrail, baseline, None, alpha=(1 - guardrail.confidence) / gates)
        if finding.verdict is Verdict.FAIL:
            reason = f"the baseline itself fails {guardrail}, which the candidate keeps"
            return Concern(
                worry=Worry.AILING_BASELINE, reason=f"{reason} (baseline: {finding.reason})"
            )
    return None


def _beyond(guardrail: Guardrail, arm: ArmEvidence) -> bool:
    """Whether the estimate lies beyond the limit, without which no bound does."""
    if guardrail.quantile is not None:
        value = arm.latency.quantile(guardrail.quantile)
    else:
        value = totals(guardrail.series, arm).rate
    if value is None:
        return False
    return value > guardrail.limit if guardrail.harm == "above" else value < guardrail.limit
