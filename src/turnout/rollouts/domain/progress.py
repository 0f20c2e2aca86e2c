from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from turnout.quantities import BASIS_POINTS
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan
from turnout.rollouts.domain.retreat import Retreat


class PausedBy(StrEnum):
    PERSON = "person"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    by: PausedBy
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the candidate gets of the traffic; the baseline answers the rest."""

    weight: int
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rollout has come.

    `baked` is the bake time already served before `baking_since`, so that a pause moves the end
    of the stage by its own length. Evidence is read from `split_id` alone, and each stage and each
    fresh start of one has a split of its own: nothing older counts. None means that the split is
    yet to be set, which the command that stores this progress does in the same transaction.
    While `warming`, nothing counts: the stage proper begins with a fresh split. Of a rollout that
    is scheduled, `entered_at` is when it may begin. `retreat` is how far a rollback has come that
    takes its time, also where it could not be carried out to its end. `unwatched` is how much of
    the time served nobody looked, because no worker or no database was there: the stage may last
    that much longer before its deadline.
    """

    phase: Phase
    stage: int = 0
    entered_at: datetime
    baked: timedelta = timedelta()
    baking_since: datetime | None = None
    split_id: int | None = None
    pause: Pause | None = None
    approved: tuple[int, ...] = ()
    warming: bool = False
    retreat: Retreat | None = None
    unwatched: timedelta = timedelta()

    def elapsed(self, now: datetime) -> timedelta:
        """Time served in this stage, pauses left out; a clock that steps back takes none away."""
        if self.baking_since is None:
            return self.baked
        return self.baked + max(timedelta(), now - self.baking_since)

    def ends(self, duration: timedelta) -> datetime | None:
        """When the stage will have lasted so long; None while its timer stands still."""
        return None if self.baking_since is None else self.baking_since + duration - self.baked

    def missed(self, time: timedelta) -> "Progress":
        """Nobody looked for so long, up to now."""
        if self.baking_since is None:
            return self
        return replace(self, unwatched=self.unwatched + time)

    def stopped(self, phase: Phase, now: datetime, *, pause: Pause | None = None) -> "Progress":
        """Stop the timer; the traffic stays as it is."""
        return replace(self, phase=phase, baked=self.elapsed(now), baking_since=None, pause=pause)

    def ended(self, phase: Phase, now: datetime) -> "Progress":
        """Stop for good: one version gets all traffic, by a split that is yet to be set."""
        return replace(self.stopped(phase, now), split_id=None)

    def continued(self, plan: Plan, now: datetime) -> "Progress":
        """Start the timer again where it stopped; the evidence so far goes on counting."""
        phase = working_phase(plan, self.stage)
        return replace(self, phase=phase, baking_since=now, pause=None)


def entry(
    plan: Plan, stage: int, now: datetime, *, approved: tuple[int, ...] = (), warm: bool = False
) -> Progress:
    """Enter a stage, or start it afresh: full bake time, no evidence yet.

    A stage that is to warm up does that first, unless it is `warm` already.
    """
    return Progress(
        phase=working_phase(plan, stage),
        stage=stage,
        entered_at=now,
        baking_since=now,
        approved=approved,
        warming=bool(plan.stages[stage].warm_up) and not warm,
    )


def working_phase(plan: Plan, stage: int) -> Phase:
    """A candidate at 100 % is no longer a canary: it bakes, under the same guardrails."""
    return Phase.BAKING if plan.stages[stage].weight == BASIS_POINTS else Phase.RUNNING


def moves_traffic(before: Progress, after: Progress) -> bool:
    """Whether a step has a say on the traffic: a rollout that has not begun has none."""
    cancelled = before.phase.waiting and after.phase is Phase.ABORTED
    return not after.phase.waiting and not cancelled


def exposure(plan: Plan, progress: Progress) -> Exposure:
    """The traffic that belongs to this progress; it follows from nothing else."""
    match progress.phase:
        case Phase.SUCCEEDED:
            return Exposure(weight=BASIS_POINTS if plan.promote else 0)
        case Phase.DRAFT | Phase.SCHEDULED | Phase.ROLLED_BACK | Phase.ABORTED:
            return Exposure(weight=0)
        case (
            Phase.RUNNING
            | Phase.AWAITING_APPROVAL
            | Phase.PAUSED
            | Phase.PROMOTING
            | Phase.BAKING
            | Phase.ROLLING_BACK
            | Phase.FAILED  # its rollback could not be carried out
        ):
            stage, retreat = plan.stages[progress.stage], progress.retreat
            weight = stage.weight if retreat is None else retreat.of(stage.weight)
            return Exposure(weight=weight, shadow=stage.shadow)
        case _:
            assert_never(progress.phase)
