"""From totals to an analysis: health, guardrails, goal, secondary metrics, in this order."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from turnout.experiments.domain.analysis import Analysis, Arm, Remaining
from turnout.experiments.domain.comparison import compare, planned_share
from turnout.experiments.domain.conclusion import Findings, judge
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.health import Check, HealthFinding, examine, observed
from turnout.experiments.domain.limits import judge_limits
from turnout.experiments.domain.plan import Plan, plan_hash
from turnout.experiments.domain.recommendation import recommend
from turnout.experiments.domain.secondary import SecondaryComparison, compare_secondary
from turnout.experiments.domain.sentences import Account
from turnout.experiments.domain.state import Progress, Sequences, Status
from turnout.observations.domain.sample_ratio import SampleRatioFinding, sample_ratio
from turnout.stats.verdict import Verdict


def analyse(
    plan: Plan,
    progress: Progress,
    evidence: ExperimentEvidence,
    sequences: Sequences,
    *,
    now: datetime,
    look: bool,
) -> tuple[Analysis, Sequences]:
    """Analyse an experiment that was started; the same arguments give the same analysis.

    Health and guardrails are judged each time. The goal is tested with `look`, and at the end;
    otherwise its figures are shown and no error is spent. The second value is the memory that
    the next analysis is to be given.
    """
    ratio = sample_ratio(observed(plan, evidence), plan.weights, sequences.sample_ratio_p)
    health = examine(plan, progress, evidence, ratio, now)
    elapsed = progress.elapsed(now)
    over = elapsed >= plan.max_duration
    findings, secondary, memory = _find(
        plan, progress, evidence, sequences, health=health, looks=look or over, over=over
    )
    account = Account(
        findings=findings,
        judgement=judge(findings),
        secondary=secondary,
        remaining=_remaining(findings, elapsed),
        elapsed=elapsed,
        paused=progress.status is Status.PAUSED,
    )
    analysis = _analysis(account, progress.status, ratio, _arms(findings, evidence), now)
    return analysis, replace(memory, sample_ratio_p=ratio.p_value)


def _find(
    plan: Plan,
    progress: Progress,
    evidence: ExperimentEvidence,
    sequences: Sequences,
    *,
    health: tuple[HealthFinding, ...],
    looks: bool,
    over: bool,
) -> tuple[Findings, tuple[SecondaryComparison, ...], Sequences]:
    assert progress.target_sample_size is not None, "the start settles it"
    target = progress.target_sample_size
    sound = evidence if _adds_up(health) else ExperimentEvidence()
    final = over or all(
        planned_share(plan, target, sound, arm.version) >= 1 for arm in plan.treatments
    )
    standings = compare(plan, target, sound, sequences.goal, looks=looks, final=final)
    secondary, least = compare_secondary(plan, target, sound, sequences.secondary_p, looks=looks)
    findings = Findings(
        plan=plan,
        target=target,
        evidence=sound,
        health=health,
        guardrails=judge_limits(plan, evidence),
        comparisons=standings.comparisons,
        over=over,
    )
    return findings, secondary, replace(sequences, goal=standings.states, secondary_p=least)


def _analysis(
    account: Account,
    status: Status,
    ratio: SampleRatioFinding,
    arms: tuple[Arm, ...],
    now: datetime,
) -> Analysis:
    findings, judgement, leader = account.findings, account.judgement, account.leader
    plan = findings.plan
    return Analysis(
        at=now,
        status=status,
        conclusion=judgement.conclusion,
        winner=judgement.winner,
        winner_so_far=judgement.winner_so_far,
        tie=judgement.tie,
        recommendation=recommend(account),
        reason=judgement.reason,
        leader=leader.version,
        p_value=leader.p_value,
        p_kind=leader.finding.p_kind,
        effect=leader.finding.effect,
        relative_effect=leader.finding.relative_effect,
        interval=leader.finding.interval,
        relative_interval=leader.finding.relative_interval,
        confidence_level=plan.confidence_level,
        statistical_significance=leader.statistical_significance,
        practical_significance=leader.practical_significance,
        sample_ratio=ratio,
        health=findings.health,
        arms=arms,
        comparisons=findings.comparisons,
        secondary=account.secondary,
        guardrails=findings.guardrails,
        looks=leader.finding.looks,
        fraction=planned_share(plan, findings.target, findings.evidence, leader.version),
        elapsed=account.elapsed,
        remaining=account.remaining,
        plan_hash=plan_hash(plan),
    )


def _adds_up(health: Collection[HealthFinding]) -> bool:
    return all(
        found.verdict is not Verdict.FAIL for found in health if found.check is Check.FIGURES
    )


def _arms(findings: Findings, evidence: ExperimentEvidence) -> tuple[Arm, ...]:
    plan, sizes = findings.plan, findings.plan.sizes(findings.target)
    arms = []
    for version, weight in plan.weights.items():
        measured, arm = findings.evidence.measured(plan.goal, version), evidence.arms.get(version)
        arms.append(
            Arm(
                version=version,
                role="control" if version == plan.control else "treatment",
                weight=weight,
                units=evidence.randomised(plan, version),
                predictions=arm.predictions if arm else 0,
                crossed=arm.crossed if arm else 0,
                measured=measured.units,
                planned=sizes[version],
                value=measured.rate,
                last_at=arm.last_at if arm else None,
            )
        )
    return tuple(arms)


def _remaining(findings: Findings, elapsed: timedelta) -> Remaining:
    """By the units that the goal was measured on, at the mean pace since the start."""
    plan = findings.plan
    measured = {
        version: findings.evidence.measured(plan.goal, version).units for version in plan.weights
    }
    missing = {
        version: max(0, size - measured[version])
        for version, size in plan.sizes(findings.target).items()
    }
    duration = None
    if elapsed and all(measured.values()):
        duration = max(elapsed * missing[version] / measured[version] for version in measured)
    return Remaining(
        units=sum(missing.values()),
        duration=duration,
        time_left=max(timedelta(), plan.max_duration - elapsed),
    )
