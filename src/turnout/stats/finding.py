"""What a guardrail found: the verdict that follows from a confidence bound, and its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from turnout.stats.verdict import Verdict

#: The side of the limit on which a metric does harm.
Harm = Literal["above", "below"]

#: What a pass asks for: `no_harm`, that enough was seen and no harm was shown; `not_worse`, that
#: the bound shows the candidate within the limit.
Proof = Literal["no_harm", "not_worse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """As it is stored: numbers that JSON has, or None.

    `limit` is the limit, or the margin on the difference; `effect` is candidate minus baseline.
    `bound` is the confidence bound that the verdict follows from: on the candidate's value, or on
    the effect where there is a baseline. Sample sizes count events.
    """

    verdict: Verdict
    candidate: float | None
    baseline: float | None
    effect: float | None
    bound: float | None
    limit: float
    n_candidate: int
    n_baseline: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is asked: a limit on the candidate's value, or a margin on its effect."""

    limit: float
    harm: Harm
    proof: Proof
    alpha: float
    percent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the data say at one look: estimates, and one-sided bounds (None: unbounded)."""

    candidate: float | None
    baseline: float | None
    low: float | None
    high: float | None
    n_candidate: float
    n_baseline: float | None
    evidence: str

    @property
    def relative(self) -> bool:
        return self.n_baseline is not None

    @property
    def estimate(self) -> float | None:
        """Of what is limited: the value, or the effect where there is a baseline."""
        if not self.relative or self.candidate is None:
            return self.candidate
        return None if self.baseline is None else self.candidate - self.baseline


def conclude(rule: Rule, reading: Reading, *, lacking: str | None) -> Finding:
    """Harm is shown by its bound alone; a pass also needs that nothing is `lacking`."""
    estimate = reading.estimate
    if estimate is None:
        return _found(Verdict.NO_DATA, None, rule, reading, f"no data: {reading.evidence}")
    harmful, harmless = (
        (reading.low, reading.high) if rule.harm == "above" else (reading.high, reading.low)
    )
    bound, verdict = harmful, Verdict.INSUFFICIENT_SAMPLE
    if harmful is not None and _beyond(harmful, rule, reading):
        verdict, summary = Verdict.FAIL, "harm shown"
    elif lacking is not None:
        summary = lacking
    elif harmful is None and _beyond(estimate, rule, reading):
        summary = "the spread of the values is not known yet"
    elif rule.proof == "no_harm":
        verdict, summary = Verdict.PASS, "no harm shown"
    elif harmless is not None and not _beyond(harmless, rule, reading):
        verdict, summary, bound = Verdict.PASS, "shown to be within the limit", harmless
    else:
        verdict, summary = Verdict.INCONCLUSIVE, "not shown to be within the limit"
        bound = harmless
    return _found(verdict, bound, rule, reading, f"{summary}: {_figures(bound, rule, reading)}")


def _beyond(value: float, rule: Rule, reading: Reading) -> bool:
    if rule.harm == "above":
        return value > rule.limit
    return value < (-rule.limit if reading.relative else rule.limit)


def _found(
    verdict: Verdict, bound: float | None, rule: Rule, reading: Reading, reason: str
) -> Finding:
    return Finding(
        verdict=verdict,
        candidate=reading.candidate,
        baseline=reading.baseline,
        effect=reading.estimate if reading.relative else None,
        bound=bound,
        limit=rule.limit,
        n_candidate=round(reading.n_candidate),
        n_baseline=None if reading.n_baseline is None else round(reading.n_baseline),
        reason=reason,
    )


def _figures(bound: float | None, rule: Rule, reading: Reading) -> str:
    value, effect = (_percent, _points) if rule.percent else (_plain, _signed)
    assert reading.candidate is not None
    if reading.baseline is None:
        parts = [f"{value(reading.candidate)} against the limit {value(rule.limit)}"]
        shown = value
    else:
        allowed = effect(rule.limit if rule.harm == "above" else -rule.limit)
        parts = [
            f"{value(reading.candidate)} against the baseline's {value(reading.baseline)}",
            f"allowed {allowed}",
        ]
        shown = effect
    if bound is not None:
        side = "at least" if bound == reading.low else "at most"
        parts.append(f"{side} {shown(bound)} with {_percent(1 - rule.alpha)} confidence")
    return ", ".join([*parts, f"after {reading.evidence}"])


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def _points(value: float) -> str:
    return f"{100 * value:+.3g} points"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 10_000 else f"{value:+.4g}"
