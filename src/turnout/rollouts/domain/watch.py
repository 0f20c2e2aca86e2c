"""How a guardrail is watched through a stage: what it remembers from one look to the next."""

from dataclasses import dataclass, field, replace
from typing import Final

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import PROPORTIONS, Guardrail
from turnout.observations.domain.judging import broken, find, find_ratio, totals
from turnout.stats.finding import Finding
from turnout.stats.guardrail import BURN_IN
from turnout.stats.restarts import EVENTS, Restarts, Window
from turnout.stats.score import anytime_critical
from turnout.stats.spent_guardrail import CHANGE, SEQUENCE, SPENT, Spending
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict
from turnout.stats.waves import Waves


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one guardrail in one split. `waves` are those of what it limits, the candidate's mean or
    the difference, as the time before the split tells them. `shown` is the harm that was shown: it
    stays shown."""

    waves: Waves | None = None
    spending: Spending = field(default_factory=Spending)
    restarts: Restarts = field(default_factory=Restarts)
    shown: Finding | None = None

    def sway(self, seconds: float) -> float:
        """The variance that waves give to what is limited over so long."""
        return 0.0 if self.waves is None else self.waves.over(seconds)


NOTHING: Final = Memory()

_SEEN_TO_CHANGE: Final = PROPORTIONS | {"latency_mean", "confidence"}
"""Metrics of which no event has a value below 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`served` is the share of the planned time that the stage has behind it, None where none is
    planned; `seconds` have passed since its split was set, pauses included."""

    served: float | None
    seconds: float


def watch(
    guardrail: Guardrail,
    memory: Memory,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    moment: Moment,
    *,
    alpha: float,
) -> tuple[Finding, Memory]:
    """Look once more: what is found now, and what to remember of it.

    Over all looks of the stage an innocent candidate fails with a chance of at most `alpha`.
    Quantiles have an exact sequence of their own, without a memory.
    """
    if memory.shown is not None:
        return memory.shown, memory
    if guardrail.quantile is not None:
        sway = memory.sway(moment.seconds)
        finding = find(guardrail, candidate, baseline, alpha=alpha, waves=sway)
    else:
        try:
            arms = _Arms.of(guardrail, candidate, baseline)
            finding, memory = _watch_ratio(guardrail, memory, arms, moment, alpha=alpha)
        except (ValueError, ArithmeticError) as error:
            finding = broken(guardrail, error)
    if finding.verdict is Verdict.FAIL:
        memory = replace(memory, shown=finding)
    return finding, memory


@dataclass(frozen=True, slots=True)
class _Arms:
    """The totals that a guardrail rests on; without a baseline where it has an absolute limit."""

    candidate: UnitTotals
    baseline: UnitTotals | None

    @classmethod
    def of(
        cls, guardrail: Guardrail, candidate: ArmEvidence | None, baseline: ArmEvidence | None
    ) -> "_Arms":
        beside = totals(guardrail.series, baseline) if guardrail.relative else None
        return cls(totals(guardrail.series, candidate), beside)

    @property
    def fewest(self) -> float:
        return min(arm.n for arm in (self.candidate, self.baseline) if arm is not None)

    def find(
        self,
        guardrail: Guardrail,
        *,
        alpha: float,
        critical: float | None = None,
        waves: float = 0.0,
    ) -> Finding:
        return find_ratio(
            guardrail,
            self.candidate,
            self.baseline or UnitTotals(),
            alpha=alpha,
            critical=critical,
            waves=waves,
        )


def _watch_ratio(
    guardrail: Guardrail, memory: Memory, arms: _Arms, moment: Moment, *, alpha: float
) -> tuple[Finding, Memory]:
    if arms.fewest < BURN_IN:
        return arms.find(guardrail, alpha=alpha), memory
    changes = guardrail.metric in _SEEN_TO_CHANGE
    account = SEQUENCE + (0 if changes else CHANGE) + (SPENT if moment.served is None else 0)
    critical = anytime_critical(
        arms.candidate, arms.baseline, alpha=account * alpha, tuned_at=guardrail.min_samples
    )
    if moment.served is not None:
        spending, bound = memory.spending.look(
            arms.candidate, arms.baseline, share=moment.served, alpha=alpha
        )
        if spending is not memory.spending:
            memory = replace(memory, spending=spending)
        critical = critical if bound is None else min(bound, critical)
    sway = memory.sway(moment.seconds)
    finding = arms.find(guardrail, alpha=alpha, critical=critical, waves=sway)
    if changes and finding.verdict is not Verdict.FAIL:
        changed = _changed(guardrail, memory, arms, moment, alpha=alpha)
        restarts = memory.restarts.after(arms.candidate, arms.baseline, at=moment.seconds)
        if restarts is not memory.restarts:
            memory = replace(memory, restarts=restarts)
        return changed or finding, memory
    return finding, memory


def _changed(
    guardrail: Guardrail, memory: Memory, arms: _Arms, moment: Moment, *, alpha: float
) -> Finding | None:
    """Harm that what was seen since some restart shows by itself."""
    windows = memory.restarts.windows(
        arms.candidate,
        arms.baseline,
        alpha=CHANGE * alpha,
        proportion=guardrail.metric in PROPORTIONS,
    )
    for window in windows:
        recent = _Arms(window.candidate, window.baseline)
        if recent.fewest < BURN_IN or not _beyond(guardrail, window):
            continue
        critical = anytime_critical(
            recent.candidate, recent.baseline, alpha=window.alpha, tuned_at=EVENTS
        )
        sway = memory.sway(moment.seconds - window.since)
        finding = recent.find(guardrail, alpha=alpha, critical=critical, waves=sway)
        if finding.verdict is Verdict.FAIL:
            reason = f"since {window.since:,.0f} s into the stage, {finding.reason}"
            return replace(finding, reason=reason)
    return None


def _beyond(guardrail: Guardrail, window: Window) -> bool:
    """Whether the estimate lies beyond the limit, without which no bound does."""
    if window.baseline is not None:
        excess = window.candidate.above(window.baseline)
    else:
        excess = window.candidate.pivot + window.candidate.offset
    if guardrail.harm == "above":
        return excess > guardrail.limit
    return excess < (-guardrail.limit if guardrail.relative else guardrail.limit)
