"""What a test has shown, in the words of the classic paths."""

from dataclasses import dataclass, replace
from typing import Final

from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.state import Conclusion, Status
from turnout.interop.classic.domain import VariantName
from turnout.interop.classic.queries import Conduct
from turnout.observations.domain.comparing import CONFIDENCE, contests
from turnout.observations.domain.metric import Metric
from turnout.stats.goal import GoalStatus

ACCURACY: Final = Metric(metric="accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`winner` only where the difference is shown; `effect` is the treatment's accuracy less the
    control's, and lies in the interval. The p-value is that of a test that may be read at every
    look; a canary has none, for its phases are looked at once, together."""

    winner: VariantName | None = None
    statistical_significance: bool = False
    p_value: float | None = None
    effect: float | None = None
    interval: tuple[float | None, float | None] = (None, None)
    confidence_level: float = CONFIDENCE
    recommendation: str = "nothing has been analysed yet"


def verdict(found: Conduct) -> Verdict:
    if found.analysis is not None:
        return _of_analysis(found, found.analysis)
    shown = of_canary(found) if found.arms else Verdict()
    if found.status.terminal:
        return shown
    return replace(shown, winner=None, statistical_significance=False)


def _of_analysis(found: Conduct, analysis: Analysis) -> Verdict:
    (comparison,) = analysis.comparisons
    invalid = analysis.conclusion is Conclusion.INVALID
    shown = comparison.finding.status
    winner: VariantName | None = None
    if not invalid and (found.conclusion is Conclusion.SHIP or shown is GoalStatus.WIN):
        winner = "treatment"
    elif not invalid and shown is GoalStatus.HARM:
        winner = "control"
    stopped = found.status is Status.STOPPED
    return Verdict(
        winner=None if stopped else winner,
        statistical_significance=not invalid and bool(analysis.statistical_significance),
        p_value=analysis.p_value,
        effect=analysis.effect,
        interval=analysis.interval,
        confidence_level=analysis.confidence_level,
        recommendation=_said(found, analysis),
    )


def _said(found: Conduct, analysis: Analysis) -> str:
    """To keep running is no advice on a test that has ended: why it has is said instead."""
    over = found.status.terminal and analysis.conclusion is Conclusion.KEEP_RUNNING
    return (over and found.reason) or analysis.recommendation


def of_canary(found: Conduct) -> Verdict:
    """The two versions over all phases in which both answered, phase by phase.

    One look of 95 %: it is for the conclusion, and no winner is named while a canary goes on.
    """
    asked = found.asked
    ids = {found.version_ids[version]: version for version in asked.versions}
    (contest,) = contests(ACCURACY, ids, found.arms)
    winner: VariantName | None = None
    if contest.better is not None:
        winner = "treatment" if contest.better == asked.treatment_version else "control"
    return Verdict(
        winner=winner,
        statistical_significance=contest.better is not None,
        effect=contest.difference,
        interval=(contest.low, contest.high),
        recommendation=contest.reason,
    )
