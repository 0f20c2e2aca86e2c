"""What follows from all findings together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from turnout.experiments.domain import words
from turnout.experiments.domain.comparison import Comparison, enough, improvement
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.health import Check, HealthFinding
from turnout.experiments.domain.limits import GuardrailFinding
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Conclusion
from turnout.stats.effect import Stratum
from turnout.stats.goal import GoalStatus
from turnout.stats.secondary import secondary
from turnout.stats.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`leader` is the treatment that it is about; `tie`, that it was not shown to be better than
    the other winners. `winner_so_far` would be shipped if nothing were waited for any more."""

    conclusion: Conclusion
    reason: str
    leader: str
    winner: str | None = None
    winner_so_far: str | None = None
    tie: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a conclusion follows from; `over` when there will be no further look."""

    plan: Plan
    target: int
    evidence: ExperimentEvidence
    health: tuple[HealthFinding, ...]
    guardrails: tuple[GuardrailFinding, ...]
    comparisons: tuple[Comparison, ...]
    over: bool

    @property
    def winners(self) -> tuple[Comparison, ...]:
        """The best first."""
        won = [found for found in self.comparisons if found.won]
        return tuple(sorted(won, key=self.gain, reverse=True))

    @property
    def leader(self) -> Comparison:
        """The treatment that does best so far, in the good direction."""
        return (*self.winners, *sorted(self.comparisons, key=self.gain, reverse=True))[0]

    def comparison(self, version: str) -> Comparison:
        return next(found for found in self.comparisons if found.version == version)

    def enough(self, comparison: Comparison) -> bool:
        return enough(self.plan, self.evidence, comparison.version)

    @property
    def silence(self) -> HealthFinding | None:
        """What keeps the evidence from speaking of the present, if anything."""
        checks = {Check.DATA, Check.FRESHNESS}
        silent = (
            found
            for found in self.health
            if found.check in checks and found.verdict is not Verdict.PASS
        )
        return next(silent, None)

    def gain(self, comparison: Comparison) -> float:
        effect = comparison.finding.effect
        if effect is None:
            return float("-inf")
        return effect if self.plan.goal.improves_by == "increase" else -effect

    def least_gain(self, comparison: Comparison) -> float:
        least, _ = improvement(self.plan, comparison.finding.interval)
        return float("-inf") if least is None else least

    def beats(self, better: Comparison, other: Comparison) -> bool:
        """Whether one treatment is shown to do better than another, at whichever look."""
        goal = self.plan.goal
        pair = Stratum(
            control=self.evidence.measured(goal, other.version),
            treatment=self.evidence.measured(goal, better.version),
        )
        sizes = self.plan.sizes(self.target)
        planned = 1 / (1 / sizes[other.version] + 1 / sizes[better.version])
        found = secondary(
            [pair],
            proportion=goal.proportion,
            confidence=self.plan.confidence_level,
            tuned_at=planned,
        )
        least, _ = improvement(self.plan, found.interval)
        return least is not None and least > 0

    def withheld(self, comparison: Comparison) -> GuardrailFinding | None:
        """The guardrail for which a winner is not shipped, if any."""
        return next(
            (
                found
                for found in self.guardrails
                if found.version == comparison.version and found.withholds
            ),
            None,
        )


def judge(findings: Findings) -> Judgement:
    """In this order: what makes the result worthless, harm, the goal.

    Secondary metrics decide nothing.
    """
    invalid, harmed = _unhealthy(findings), _harmed(findings)
    if invalid and harmed:
        return replace(invalid, reason=f"{invalid.reason}; besides, {harmed.reason}")
    return invalid or harmed or _goal(findings)


def _unhealthy(findings: Findings) -> Judgement | None:
    for found in findings.health:
        silent = found.check is Check.DATA and found.verdict is Verdict.NO_DATA
        if found.verdict is Verdict.FAIL or (silent and findings.over):
            return _judged(findings, Conclusion.INVALID, found.reason)
    return None


def _harmed(findings: Findings) -> Judgement | None:
    for found in findings.guardrails:
        if found.fails:
            return Judgement(
                conclusion=Conclusion.KEEP_CONTROL,
                reason=f"{found.version} fails {found.guardrail}: {found.finding.reason}",
                leader=found.version,
            )
    return None


def _goal(findings: Findings) -> Judgement:
    winners = findings.winners
    waiting = () if findings.over else _open(findings, winners)
    if waiting:
        running = _judged(findings, Conclusion.KEEP_RUNNING, _waits_for(findings, waiting))
        return replace(running, winner_so_far=_best(findings)[0])
    if winners:
        return _ship(findings, winners)
    if all(found.finding.status is GoalStatus.FUTILE for found in findings.comparisons):
        return _judged(findings, Conclusion.FUTILE, _said(findings, findings.leader))
    return _judged(findings, Conclusion.KEEP_CONTROL, _said(findings, findings.leader))


def _open(findings: Findings, winners: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Treatments that may yet win, and then be the best."""
    return tuple(
        found
        for found in findings.comparisons
        if found.undecided and not (winners and findings.beats(winners[0], found))
    )


def _waits_for(findings: Findings, waiting: Sequence[Comparison]) -> str:
    if findings.silence is not None:
        return findings.silence.reason
    won = "".join(f"{found.version} has won, " for found in findings.winners)
    return f"{won}{_said(findings, waiting[0])}"


def _said(findings: Findings, comparison: Comparison) -> str:
    version, finding, goal = comparison.version, comparison.finding, findings.plan.goal
    if comparison.undecided and not findings.enough(comparison):
        return f"{version} has fewer units than min_sample_size"
    said = f"{version} {words.STANDS[finding.status]}"
    if finding.effect is None:
        return said
    range_ = words.between(goal, finding.interval)
    figures = f"{goal.metric} {words.change(goal, finding.effect)}"
    return f"{said}: {figures} ({range_})" if range_ else f"{said}: {figures}"


def _ship(findings: Findings, winners: Sequence[Comparison]) -> Judgement:
    """Ship the best winner, once all its guardrails pass; at the end, the best whose do."""
    best, tie = _best(findings)
    held = next(filter(None, map(findings.withheld, winners)), None)
    if best is None or (held is not None and not findings.over):
        assert held is not None
        reason = f"{held.version} has won, but {held.guardrail} does not pass"
        conclusion = Conclusion.KEEP_CONTROL if findings.over else Conclusion.KEEP_RUNNING
        judged = _judged(findings, conclusion, f"{reason}: {held.finding.reason}")
        return replace(judged, winner_so_far=best)
    return Judgement(
        conclusion=Conclusion.SHIP,
        reason=_said(findings, findings.comparison(best)),
        leader=best,
        winner=best,
        winner_so_far=best,
        tie=tie,
    )


def _best(findings: Findings) -> tuple[str | None, bool]:
    """The best winner whose guardrails pass, and whether it is a tie with the next one."""
    passing = [found for found in findings.winners if findings.withheld(found) is None]
    if not passing:
        return None, False
    if len(passing) > 1 and not findings.beats(passing[0], passing[1]):
        return max(passing, key=findings.least_gain).version, True
    return passing[0].version, False


def _judged(findings: Findings, conclusion: Conclusion, reason: str) -> Judgement:
    return Judgement(conclusion=conclusion, reason=reason, leader=findings.leader.version)
