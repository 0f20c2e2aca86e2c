"""The product itself: `judge` and `decide` at the end of every window, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.releases.outcome import Outcome
from benchmarks.releases.traffic import Course, Release, Series
from turnout.observations.domain.evidence import ArmEvidence
from turnout.rollouts.domain.evidence import Evidence, Sequences, judge
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import Progress
from turnout.rollouts.domain.transitions import Situation, Transition, decide, start
from turnout.rollouts.domain.watch import Memory
from turnout.stats.quantile_sketch import QuantileSketch

NAME: Final = "**Turnout**"
BEGIN: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_NO_SKETCH: Final = QuantileSketch()


def turnout(course: Course, release: Release) -> Outcome:
    """Tick through the course. A release that does not keep up with it is held."""
    progress = start(course.plan, BEGIN, "simulated").progress
    sequences = _unspent(course, release, progress)
    for window, planned in enumerate(course.stage.tolist()):
        if progress.stage != planned:
            break
        now = BEGIN + (window + 1) * course.window
        evidence = _evidence(release, window, now)
        judgement, sequences = judge(course.plan, progress, evidence, sequences, now)
        at = Situation(plan=course.plan, progress=progress, judgement=judgement, now=now)
        decision = decide(at)
        if isinstance(decision, Transition):
            progress = _without_waiting(course, decision.progress, now)
            sequences = _unspent(course, release, progress)
        if progress.phase is Phase.ROLLED_BACK:
            return Outcome(rolled_back=window, promoted=False)
    return Outcome(rolled_back=None, promoted=progress.phase is Phase.SUCCEEDED)


def _unspent(course: Course, release: Release, progress: Progress) -> Sequences:
    limits = course.plan.limits(progress.stage)
    waves = (release.waves if limit.metric == "latency_mean" else None for limit in limits)
    return Sequences(guardrails=tuple(Memory(waves=known) for known in waves))


def _without_waiting(course: Course, progress: Progress, now: datetime) -> Progress:
    """A stage without bake time and guardrails ends at the tick that enters it."""
    while not progress.phase.terminal and not course.plan.stages[progress.stage].bake:
        judgement, _ = judge(course.plan, progress, Evidence(), Sequences(), now)
        at = Situation(plan=course.plan, progress=progress, judgement=judgement, now=now)
        decision = decide(at)
        if not isinstance(decision, Transition):
            break
        progress = decision.progress
    return progress


def _evidence(release: Release, window: int, now: datetime) -> Evidence:
    arms = (release.whole.candidate, release.whole.baseline)
    candidate, baseline = (
        ArmEvidence(
            version_id=version_id,
            metrics={name: series.totals[window] for name, series in arm.items()},
            latency=_NO_SKETCH,
            predictions=_seen(next(iter(arm.values())), window),
            last_at=now,
        )
        for version_id, arm in enumerate(arms, start=1)
    )
    return Evidence(candidate=candidate, baseline=baseline)


def _seen(series: Series, window: int) -> int:
    return int(series.totals[window].n)


def without_traffic(course: Course, *, bakes: int) -> tuple[Phase, timedelta]:
    """Where a release ends up that nobody asks anything, and when; `bakes` is how long to look."""
    now, progress = BEGIN, start(course.plan, BEGIN, "simulated").progress
    sequences = Sequences()
    for tick in range(1, bakes * (course.plan.stages[0].bake // course.window) + 1):
        now = BEGIN + tick * course.window
        judgement, sequences = judge(course.plan, progress, Evidence(), sequences, now)
        at = Situation(plan=course.plan, progress=progress, judgement=judgement, now=now)
        decision = decide(at)
        if isinstance(decision, Transition):
            return decision.progress.phase, now - BEGIN
    return progress.phase, now - BEGIN
