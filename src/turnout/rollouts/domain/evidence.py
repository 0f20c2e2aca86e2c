"""What the arms of a stage have shown, and what each guardrail says to it."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.judging import recorded_as
from turnout.rollouts.domain.concerns import Concern, Worry, ailing_baseline, uneven_arms
from turnout.rollouts.domain.goals import EXPOSURE, GoalMemory, StageGoal, pursue
from turnout.rollouts.domain.goals import verdict as goal_verdict
from turnout.rollouts.domain.plan import Plan
from turnout.rollouts.domain.progress import Progress
from turnout.rollouts.domain.watch import NOTHING, Memory, Moment, watch
from turnout.stats.finding import Finding
from turnout.stats.goal import GoalFinding, GoalStatus
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.verdict import Verdict, worst

STALE_AFTER_AT_LEAST: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The two arms of one split; an arm is None before its first prediction."""

    candidate: ArmEvidence | None = None
    baseline: ArmEvidence | None = None

    def on(self, guardrails: Sequence[Guardrail], goal: StageGoal | None = None) -> "Evidence":
        """What these rest on: enough to come to the same judgement again."""
        metrics = {EXPOSURE, *(recorded_as(guardrail.series) for guardrail in guardrails)}
        if goal is not None:
            metrics.add(recorded_as(goal.series))
        latency = any(guardrail.quantile is not None for guardrail in guardrails)
        return Evidence(
            candidate=_only(metrics, self.candidate, latency=latency),
            baseline=_only(metrics, self.baseline, latency=latency),
        )


def _only(metrics: Container[str], arm: ArmEvidence | None, *, latency: bool) -> ArmEvidence | None:
    if arm is None:
        return None
    return replace(
        arm,
        metrics={name: totals for name, totals in arm.metrics.items() if name in metrics},
        latency=arm.latency if latency else QuantileSketch(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    guardrail: Guardrail
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One look at the evidence. `verdict` is the worst of the guardrails that count, and fail
    where the goal shows harm.

    Where units did not fall to the arms as planned, nothing passes. Where the baseline itself is
    beyond an absolute limit that the candidate keeps, the candidate is not taken back to it for
    being worse in comparison: then `asks`, and a person decides. `concerns` says so in words.
    """

    verdict: Verdict
    reason: str
    findings: tuple[Judged, ...] = ()
    goal: GoalFinding | None = None
    concerns: tuple[Concern, ...] = ()
    asks: bool = False

    def concern(self, worry: Worry) -> Concern | None:
        return next((found for found in self.concerns if found.worry is worry), None)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What makes one look differ from the next: all verdicts, the deciding one first."""
        of_goal = () if self.goal is None else (goal_verdict(self.goal),)
        return (self.verdict, *(judged.finding.verdict for judged in self.findings), *of_goal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """What is remembered of the looks at one split; each split starts without any.

    `guardrails` are those of the stage, in its order.
    """

    guardrails: tuple[Memory, ...] = ()
    goal: GoalMemory | None = None
    worries: tuple[Worry, ...] = ()


def judge(
    plan: Plan, progress: Progress, evidence: Evidence, sequences: Sequences, now: datetime
) -> tuple[Judgement, Sequences]:
    """Judge the present stage, with what the looks before this one left; and what it leaves.

    Any guardrail may cause the rollback, so each gets an equal part of the error rate: over the
    whole plan and all looks, an innocent candidate is rolled back with a chance of at most
    1 - confidence. Windows that a person starts afresh by hand come on top of that, and so does
    the goal's chance to show harm, (1 - confidence_level)/2. While a rollback takes its time, only
    harm matters.
    """
    if progress.warming:
        return Judgement(
            verdict=Verdict.NO_DATA, reason="warming up: nothing counts yet"
        ), sequences
    judged, memories = _watched(plan, progress, evidence, sequences, now)
    judgement = _judgement(plan, progress, evidence, judged, now)
    if progress.retreat is not None:
        return judgement, Sequences(guardrails=memories)
    stage, pursued = plan.stages[progress.stage], sequences.goal
    if stage.goal is not None:
        goal, pursued = pursue(
            stage.goal,
            sequences.goal or GoalMemory(),
            evidence.candidate,
            evidence.baseline,
            weight=stage.weight,
            final=progress.elapsed(now) >= stage.longest + progress.unwatched,
        )
        judgement = replace(judgement, goal=goal)
        if goal.status is GoalStatus.HARM and judgement.verdict is not Verdict.FAIL:
            reason = f"{stage.goal}: {goal.reason}"
            judgement = replace(judgement, verdict=Verdict.FAIL, reason=reason)
    judgement = _weighed(plan, progress, evidence, judgement)
    worries = tuple(concern.worry for concern in judgement.concerns)
    return judgement, Sequences(guardrails=memories, goal=pursued, worries=worries)


def _weighed(plan: Plan, progress: Progress, evidence: Evidence, found: Judgement) -> Judgement:
    """What remains of a judgement in the light of what can be said against its evidence."""
    stage = plan.stages[progress.stage]
    gating = [judged for judged in found.findings if not judged.guardrail.dry_run]
    compares = stage.goal is not None or any(judged.guardrail.relative for judged in gating)
    uneven = None
    if gating or stage.goal is not None:
        uneven = uneven_arms(stage.weight, evidence.candidate, evidence.baseline, compares=compares)
    kept = [
        judged.guardrail
        for judged in gating
        if not judged.guardrail.relative and judged.finding.verdict is Verdict.PASS
    ]
    ailing = ailing_baseline(kept, evidence.baseline, gates=max(1, plan.gates))
    concerns = tuple(concern for concern in (uneven, ailing) if concern is not None)
    found = replace(found, concerns=concerns)
    if found.verdict is Verdict.FAIL:
        harmed = any(
            judged.finding.verdict is Verdict.FAIL and not judged.guardrail.relative
            for judged in gating
        )
        if ailing is None or harmed:
            return found
        reason = f"{ailing.reason}. The candidate is only worse in comparison: {found.reason}"
        return replace(found, verdict=Verdict.INCONCLUSIVE, reason=reason, asks=True)
    if uneven is not None:
        return replace(found, verdict=Verdict.ERROR, reason=uneven.reason)
    return found


def _judgement(
    plan: Plan,
    progress: Progress,
    evidence: Evidence,
    judged: tuple[Judged, ...],
    now: datetime,
) -> Judgement:
    gating = [found for found in judged if not found.guardrail.dry_run]
    if not gating:
        return Judgement(verdict=Verdict.PASS, reason="no guardrail to pass here", findings=judged)
    verdict = worst(found.finding.verdict for found in gating)
    reason = _reason(verdict, gating, evidence)
    if verdict not in {Verdict.FAIL, Verdict.ERROR} and (
        stale := _staleness(plan, progress, evidence, now)
    ):
        verdict, reason = Verdict.NO_DATA, stale
    return Judgement(verdict=verdict, reason=reason, findings=judged)


def _watched(
    plan: Plan, progress: Progress, evidence: Evidence, sequences: Sequences, now: datetime
) -> tuple[tuple[Judged, ...], tuple[Memory, ...]]:
    limits = plan.limits(progress.stage)
    bake = plan.stages[progress.stage].bake
    timed = bool(bake) and progress.retreat is None
    moment = Moment(
        served=progress.elapsed(now) / bake if timed else None,
        seconds=(now - progress.entered_at).total_seconds(),
    )
    gates = max(1, plan.gates)
    judged, memories = [], []
    for limit, memory in zip(limits, sequences.guardrails or (NOTHING,) * len(limits), strict=True):
        finding, memory_after = watch(
            limit,
            memory,
            evidence.candidate,
            evidence.baseline,
            moment,
            alpha=(1 - limit.confidence) / gates,
        )
        judged.append(Judged(guardrail=limit, finding=finding))
        memories.append(memory_after)
    return tuple(judged), tuple(memories)


def _reason(verdict: Verdict, gating: Sequence[Judged], evidence: Evidence) -> str:
    if verdict is Verdict.PASS:
        seen = evidence.candidate.predictions if evidence.candidate else 0
        return f"all of {len(gating)} guardrails pass on {seen:,} predictions"
    deciding = next(found for found in gating if found.finding.verdict is verdict)
    return f"{deciding.guardrail}: {deciding.finding.reason}"


def _staleness(plan: Plan, progress: Progress, evidence: Evidence, now: datetime) -> str | None:
    """Why the evidence does not speak of the present, if so.

    Traffic that stopped must not carry a stage over its end: the newest prediction is of this
    stage, and not older than half its bake time (or a minute, for short stages).
    """
    newest = evidence.candidate.last_at if evidence.candidate else None
    if newest is None:
        return "the candidate has made no prediction in this stage"
    patience = max(plan.stages[progress.stage].bake / 2, STALE_AFTER_AT_LEAST)
    if newest < progress.entered_at or now - newest > patience:
        return f"the candidate's newest prediction is from {newest:%Y-%m-%d %H:%M:%S} UTC"
    return None
