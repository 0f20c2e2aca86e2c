"""What may become of a rollout: each decision is a value, and `commands` carries it out."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from turnout.errors import Refusal
from turnout.rollouts.domain.concerns import Worry
from turnout.rollouts.domain.evidence import Judgement
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import START_APPROVAL, OnConflict, OnDeadline, Plan, Stage
from turnout.rollouts.domain.progress import (
    Pause,
    PausedBy,
    Progress,
    entry,
    exposure,
    working_phase,
)
from turnout.rollouts.domain.retreat import Retreat
from turnout.stats.goal import GoalFinding, GoalStatus
from turnout.stats.verdict import Verdict


class Event(StrEnum):
    """What happened; `rollout.<event>` in the audit log."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    WARMED_UP = "warmed_up"
    ADVANCED = "advanced"
    SKIPPED = "skipped"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    PAUSED = "paused"
    RESUMED = "resumed"
    REPLANNED = "replanned"
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    ROLLING_BACK = "rolling_back"
    STEPPED_BACK = "stepped_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a decision about a rollout rests on.

    `ahead` is the rollout of the same model that one which has not begun must let go first. One
    that is `grouped` goes forward with its group only.
    """

    plan: Plan
    progress: Progress
    judgement: Judgement
    now: datetime
    frozen: Frozen | None = None
    ahead: UUID | None = None
    grouped: bool = False

    @property
    def stage(self) -> Stage:
        return self.plan.stages[self.progress.stage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change to carry out. `progress` is the rollout's afterwards; its traffic follows from it.

    `verdict` is what the evidence said at that moment, whoever decided; None before any. `plan` is
    the plan from here on, where it changes.
    """

    event: Event
    progress: Progress
    reason: str
    verdict: Verdict | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing to change. `next_look` is when time alone may change that, if ever."""

    reason: str
    next_look: datetime | None = None


Decision = Transition | Hold

OFF_THE_ROAD: Final = frozenset({Event.ROLLING_BACK, Event.STEPPED_BACK, Event.ROLLED_BACK})

_WAITS_FOR_A_PERSON: Final = {
    Phase.PAUSED: "paused until a person resumes it",
    Phase.AWAITING_APPROVAL: "waits for an approval",
}


def schedule(at: datetime, reason: str) -> Transition:
    """Begin later: at this time, or when it is this rollout's turn."""
    progress = Progress(phase=Phase.SCHEDULED, entered_at=at.astimezone(UTC))
    return Transition(event=Event.SCHEDULED, progress=progress, reason=reason)


def start(plan: Plan, now: datetime, reason: str) -> Transition:
    progress = entry(plan, 0, now)
    if plan.stages[0] == START_APPROVAL:
        progress = replace(progress, phase=Phase.AWAITING_APPROVAL)
    return Transition(event=Event.STARTED, progress=progress, reason=reason)


def go_live(plan: Plan, now: datetime, reason: str, *, event: Event) -> Transition:
    """Take the candidate to 100 % in one step, with nothing judged."""
    progress = Progress(phase=Phase.SUCCEEDED, stage=len(plan.stages) - 1, entered_at=now)
    return Transition(event=event, progress=progress, reason=reason)


def decide(at: Situation) -> Decision:
    """Decide by the clock and the evidence; whatever a person decides goes before.

    In this order: a rollback that has begun, which nothing stops; a guardrail that fails, in every
    live phase; a pause, which only a person ends; evidence that cannot be trusted; a freeze window;
    the bake time; the evidence; the approval.
    """
    phase = at.progress.phase
    if phase.waiting:
        return _begin(at)
    if phase.terminal:
        return Hold(reason=f"the rollout is {phase}")
    if at.progress.retreat is not None:
        return _go_back(at, at.progress.retreat)
    if at.judgement.verdict is Verdict.FAIL:
        return roll_back(at, at.judgement.reason)
    return _go_on(at)


def _go_on(at: Situation) -> Decision:
    phase = at.progress.phase
    if at.judgement.asks and phase is not Phase.PAUSED:
        return pause(at, at.judgement.reason, by=PausedBy.EVIDENCE)
    if (standing := _WAITS_FOR_A_PERSON.get(phase)) is not None:
        return Hold(reason=standing)
    return _in_its_stage(at)


def _in_its_stage(at: Situation) -> Decision:
    if at.progress.warming:
        return _end_of_warm_up(at)
    if (uneven := at.judgement.concern(Worry.UNEVEN_ARMS)) is not None:
        return _wait(at, uneven.reason)
    if at.frozen is not None:
        return Hold(reason=str(at.frozen), next_look=at.frozen.until)
    return _end_of_stage(at)


def _go_back(at: Situation, retreat: Retreat) -> Decision:
    """Go on by the clock. Harm that shows again, in nothing but what the candidate has answered
    since the last step, is not put up with until the end."""
    if at.judgement.verdict is Verdict.FAIL:
        return roll_back_at_once(at, f"harm shows again while rolling back: {at.judgement.reason}")
    left = retreat.due(at.now)
    if left == retreat.left:
        over = f"{retreat.ends:%H:%M:%S} UTC"
        return Hold(reason=f"rolling back until {over}", next_look=retreat.next_step)
    if not left:
        return replace(roll_back_at_once(at, retreat.reason), verdict=retreat.verdict)
    return Transition(
        event=Event.STEPPED_BACK,
        progress=replace(at.progress, split_id=None, retreat=replace(retreat, left=left)),
        reason=retreat.reason,
        verdict=retreat.verdict,
    )


def _begin(at: Situation) -> Decision:
    """Begin when the time has come and the way is free; the command knows the baseline then."""
    begins = at.progress.entered_at
    if at.now < begins:
        return Hold(
            reason=f"starts at {begins.astimezone(UTC):%Y-%m-%d %H:%M} UTC", next_look=begins
        )
    if at.ahead is not None and at.plan.on_conflict is OnConflict.QUEUE:
        return Hold(reason=f"starts when rollout {at.ahead} has ended")
    if at.frozen is not None:
        return Hold(reason=str(at.frozen), next_look=at.frozen.until)
    return start(at.plan, at.now, "the time has come")


def _end_of_warm_up(at: Situation) -> Decision:
    if at.progress.elapsed(at.now) < at.stage.warm_up:
        return Hold(reason="warming up", next_look=at.progress.ends(at.stage.warm_up))
    stage, approved = at.progress.stage, at.progress.approved
    return Transition(
        event=Event.WARMED_UP,
        progress=entry(at.plan, stage, at.now, approved=approved, warm=True),
        reason="warmed up: from now on everything counts",
        verdict=at.judgement.verdict,
    )


def _end_of_stage(at: Situation) -> Decision:
    if at.progress.elapsed(at.now) < at.stage.bake:
        return Hold(reason="the bake time is not over", next_look=at.progress.ends(at.stage.bake))
    if at.judgement.verdict is not Verdict.PASS:
        return _wait(at, at.judgement.reason)
    if at.judgement.goal is not None and at.judgement.goal.status is not GoalStatus.WIN:
        return _without_win(at, at.judgement.goal)
    if at.stage.approval and at.progress.stage not in at.progress.approved:
        return await_approval(at)
    return advance(at, _passed(at))


def _passed(at: Situation) -> str:
    goal = at.judgement.goal
    return f"{at.stage.goal}: {goal.reason}" if goal is not None else at.judgement.reason


def _wait(at: Situation, reason: str) -> Decision:
    longest = at.stage.longest + at.progress.unwatched
    if at.progress.elapsed(at.now) < longest:
        return Hold(reason=reason, next_look=at.progress.ends(longest))
    late = f"not passed within {at.stage.longest}: {reason}"
    if at.judgement.concern(Worry.AILING_BASELINE) is not None:
        return pause(at, late, by=PausedBy.EVIDENCE)
    match at.stage.on_deadline:
        case OnDeadline.PAUSE:
            return pause(at, late, by=PausedBy.EVIDENCE)
        case OnDeadline.ROLLBACK:
            return roll_back(at, late)


def _without_win(at: Situation, goal: GoalFinding) -> Decision:
    """Wait while there is something to find. A candidate that is no better did no harm either, so
    it is not quarantined: the baseline stays, and the candidate may be tried again."""
    reason = f"{at.stage.goal}: {goal.reason}"
    if goal.status in {GoalStatus.CONTINUE, GoalStatus.NO_DATA}:
        return _wait(at, reason)
    return replace(abort(at, f"the baseline stays. {reason}"), verdict=Verdict.INCONCLUSIVE)


def await_approval(at: Situation) -> Transition:
    return Transition(
        event=Event.AWAITING_APPROVAL,
        progress=replace(at.progress, phase=Phase.AWAITING_APPROVAL),
        reason=at.judgement.reason,
        verdict=at.judgement.verdict,
    )


def approve(at: Situation, reason: str) -> Transition:
    """Advance; a member of a group notes the approval and goes on when the others are ready."""
    progress = replace(at.progress, approved=(*at.progress.approved, at.progress.stage))
    if not at.grouped:
        return advance(replace(at, progress=progress), reason)
    return Transition(
        event=Event.APPROVED,
        progress=replace(progress, phase=working_phase(at.plan, progress.stage)),
        reason=reason,
        verdict=at.judgement.verdict,
    )


def advance(at: Situation, reason: str, *, to: int | None = None) -> Transition:
    """Enter the next stage, or stage `to`; after the last one the rollout has succeeded."""
    following = at.progress.stage + 1 if to is None else to
    if following < len(at.plan.stages):
        event = Event.ADVANCED
        progress = entry(at.plan, following, at.now, approved=at.progress.approved)
    else:
        event, progress = Event.SUCCEEDED, at.progress.ended(Phase.SUCCEEDED, at.now)
    return Transition(event=event, progress=progress, reason=reason, verdict=at.judgement.verdict)


def skip(at: Situation, reason: str) -> Transition:
    """Advance without the stage having passed; the history calls it by another name."""
    return replace(advance(at, reason), event=Event.SKIPPED)


def pause(at: Situation, reason: str, *, by: PausedBy) -> Transition:
    """Stop the timer and leave the traffic as it is; the guardrails stay armed."""
    note = Pause(by=by, reason=reason, at=at.now)
    return Transition(
        event=Event.PAUSED,
        progress=at.progress.stopped(Phase.PAUSED, at.now, pause=note),
        reason=reason,
        verdict=at.judgement.verdict,
    )


def resume(at: Situation, reason: str) -> Transition:
    """Go on where a person stopped. Where the evidence did not suffice, start the stage afresh:
    what was seen so far is kept, and not counted again."""
    paused = at.progress.pause
    if paused is not None and paused.by is PausedBy.EVIDENCE:
        stage = at.progress.stage
        approved = tuple(index for index in at.progress.approved if index != stage)
        progress = entry(at.plan, stage, at.now, approved=approved)
    else:
        progress = at.progress.continued(at.plan, at.now)
    return Transition(
        event=Event.RESUMED, progress=progress, reason=reason, verdict=at.judgement.verdict
    )


def roll_back(at: Situation, reason: str) -> Transition:
    """Take the candidate off the road, by and by where the plan says so and it answers anybody.
    A second time it goes at once."""
    over, answers = at.plan.rollback_over, exposure(at.plan, at.progress).weight
    if over is None or not answers or at.progress.retreat is not None:
        return roll_back_at_once(at, reason)
    verdict = at.judgement.verdict
    retreat = Retreat(began=at.now, over=over, reason=reason, verdict=verdict)
    ended = at.progress.ended(Phase.ROLLING_BACK, at.now)
    return Transition(
        event=Event.ROLLING_BACK,
        progress=replace(ended, warming=False, retreat=retreat),
        reason=reason,
        verdict=verdict,
    )


def roll_back_at_once(at: Situation, reason: str) -> Transition:
    return Transition(
        event=Event.ROLLED_BACK,
        progress=replace(at.progress.ended(Phase.ROLLED_BACK, at.now), retreat=None),
        reason=reason,
        verdict=at.judgement.verdict,
    )


def abort(at: Situation, reason: str) -> Transition:
    """End without a verdict on the candidate: what was under way is cancelled, not failed."""
    return Transition(
        event=Event.ABORTED,
        progress=at.progress.ended(Phase.ABORTED, at.now),
        reason=reason,
        verdict=Verdict.CANCELLED,
    )


def obstructed(at: Situation, attempted: Transition, refusal: Refusal) -> Transition:
    """What becomes of a rollout whose decision could not be carried out.

    An advance waits for a person, and a start is given up. A rollback that is refused has failed:
    the traffic stays where it is, and a person must move it.
    """
    reason = f"{attempted.event} could not be carried out: {refusal.detail}"
    if at.progress.phase.waiting:
        return abort(at, reason)
    if attempted.event not in OFF_THE_ROAD:
        return replace(pause(at, reason, by=PausedBy.EVIDENCE), verdict=Verdict.ERROR)
    return Transition(
        event=Event.FAILED,
        progress=at.progress.stopped(Phase.FAILED, at.now),
        reason=reason,
        verdict=attempted.verdict,
    )
