"""What may become of an experiment: each decision is a value, and `commands` carries it out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, assert_never

from annotated_types import MaxLen

from turnout.errors import Conflict, Fact
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.state import Conclusion, Pause, PausedBy, Progress, Status
from turnout.quantities import STRICT, Text


class Event(StrEnum):
    """What happened; `experiment.<event>` in the audit log."""

    CREATED = "created"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    CONCLUDED = "concluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change to carry out. `progress` is the experiment's afterwards.

    While it runs, the traffic is split by the plan's weights; while it is paused, the control
    answers and the treatments stay loaded at weight 0; once it is over, `serves` answers alone.
    """

    event: Event
    progress: Progress
    reason: str
    conclusion: Conclusion | None = None
    winner: str | None = None
    serves: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing to change. `next_look` is when time alone may change that, if ever."""

    reason: str
    next_look: datetime | None = None


Decision = Transition | Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person says with a verb."""

    __pydantic_config__ = STRICT

    reason: Annotated[Text, MaxLen(2000)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcludeOrder(Order):
    """`promote_winner` sends all traffic to the winner; without it, the plan decides."""

    __pydantic_config__ = STRICT

    promote_winner: bool | None = None


class VerbRefused(Conflict):
    """A verb that the present state does not allow; its facts name the status."""

    def __init__(self, sentence: str, progress: Progress, **facts: Fact) -> None:
        super().__init__(sentence, experiment_status=progress.status, **facts)


class NotADraft(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__(
            f"only a draft can be started, and this experiment {_STANDS[progress.status]}: create"
            f" a new one",
            progress,
        )


class NotStarted(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__("the experiment is a draft: start it first", progress)


class ExperimentEnded(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__(f"the experiment is over: it {_STANDS[progress.status]}", progress)


class AlreadyPaused(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__("the experiment is paused already", progress)


class NotPaused(VerbRefused):
    def __init__(self, progress: Progress) -> None:
        super().__init__("the experiment is not paused: it is running", progress)


class NotMended(VerbRefused):
    def __init__(self, progress: Progress, pause: Pause) -> None:
        super().__init__(
            f"the experiment cannot be mended by going on: {pause.reason}. Find the cause, stop or"
            f" conclude this experiment, and start a new one",
            progress,
        )


class NoWinner(VerbRefused):
    def __init__(self, progress: Progress, analysis: Analysis) -> None:
        super().__init__(
            f"there is no winner to promote: the conclusion is {analysis.conclusion}. Conclude"
            f" without promote_winner, and the control takes all traffic",
            progress,
            conclusion=analysis.conclusion,
        )


_STANDS = {
    Status.DRAFT: "is a draft",
    Status.RUNNING: "is running",
    Status.PAUSED: "is paused",
    Status.CONCLUDED: "has been concluded",
    Status.STOPPED: "has been stopped",
}


def start(
    plan: Plan, progress: Progress, order: Order, *, target_sample_size: int, now: datetime
) -> Transition:
    """`target_sample_size` is the plan's own, or what was worked out for it."""
    check_draft(progress)
    return Transition(
        event=Event.STARTED,
        progress=Progress(
            status=Status.RUNNING,
            started_at=now,
            running_since=now,
            target_sample_size=target_sample_size,
        ),
        reason=order.reason or "started by hand",
    )


def pause(progress: Progress, order: Order, *, now: datetime) -> Transition:
    check_live(progress)
    if progress.status is Status.PAUSED:
        raise AlreadyPaused(progress)
    return _pause(progress, order.reason or "paused by hand", by=PausedBy.PERSON, now=now)


def resume(progress: Progress, order: Order, *, now: datetime) -> Transition:
    """Go on where a person paused. What was paused because it cannot be believed stays so."""
    check_live(progress)
    if progress.pause is None:
        raise NotPaused(progress)
    if progress.pause.by is PausedBy.EVIDENCE:
        raise NotMended(progress, progress.pause)
    return Transition(
        event=Event.RESUMED,
        progress=progress.continued(now),
        reason=order.reason or "resumed by hand",
    )


def stop(plan: Plan, progress: Progress, order: Order, *, now: datetime) -> Transition:
    """End without a conclusion; the control takes all traffic."""
    check_live(progress)
    return Transition(
        event=Event.STOPPED,
        progress=progress.stopped(Status.STOPPED, now),
        reason=order.reason or "stopped by hand",
        serves=plan.control,
    )


def conclude(
    plan: Plan, progress: Progress, analysis: Analysis, order: ConcludeOrder, *, now: datetime
) -> Transition:
    """End with what the newest analysis says, without waiting for what may prove better still.

    Where nothing has won yet, the control stays.
    """
    check_live(progress)
    promote = plan.promote_winner if order.promote_winner is None else order.promote_winner
    if order.promote_winner and analysis.winner_so_far is None:
        raise NoWinner(progress, analysis)
    reason = order.reason or f"concluded by hand: {analysis.reason}"
    return _conclude(plan, progress, analysis, reason, promote=promote, now=now)


def decide(plan: Plan, progress: Progress, analysis: Analysis, *, now: datetime) -> Decision:
    """Decide by the newest analysis; whatever a person decides goes before.

    A guardrail that fails takes the treatments off the road also while paused, and whether or not
    the experiment concludes by itself.
    """
    if not progress.status.live:
        return Hold(reason=f"the experiment {_STANDS[progress.status]}")
    if analysis.harm:
        return _conclude(plan, progress, analysis, analysis.reason, promote=False, now=now)
    if progress.status is Status.PAUSED:
        return Hold(reason="paused until a person resumes it")
    return _settle(plan, progress, analysis, now=now)


def _settle(plan: Plan, progress: Progress, analysis: Analysis, *, now: datetime) -> Decision:
    match analysis.conclusion:
        case Conclusion.KEEP_RUNNING:
            return Hold(reason=analysis.reason, next_look=progress.ends(plan.max_duration))
        case _ if not plan.auto_conclude:
            return Hold(reason=f"{analysis.conclusion} waits for a person: {analysis.reason}")
        case Conclusion.INVALID:
            return _pause(progress, analysis.reason, by=PausedBy.EVIDENCE, now=now)
        case Conclusion.SHIP | Conclusion.KEEP_CONTROL | Conclusion.FUTILE:
            promote = plan.promote_winner
            return _conclude(plan, progress, analysis, analysis.reason, promote=promote, now=now)
        case _:
            assert_never(analysis.conclusion)


def _pause(progress: Progress, reason: str, *, by: PausedBy, now: datetime) -> Transition:
    note = Pause(by=by, reason=reason, at=now)
    return Transition(
        event=Event.PAUSED,
        progress=progress.stopped(Status.PAUSED, now, pause=note),
        reason=reason,
    )


def _conclude(
    plan: Plan,
    progress: Progress,
    analysis: Analysis,
    reason: str,
    *,
    promote: bool,
    now: datetime,
) -> Transition:
    winner, conclusion = analysis.winner_so_far, analysis.conclusion
    if conclusion is Conclusion.KEEP_RUNNING:
        conclusion = Conclusion.KEEP_CONTROL if winner is None else Conclusion.SHIP
    return Transition(
        event=Event.CONCLUDED,
        progress=progress.stopped(Status.CONCLUDED, now),
        reason=reason,
        conclusion=conclusion,
        winner=winner,
        serves=winner if winner is not None and promote else plan.control,
    )


def check_draft(progress: Progress) -> None:
    if progress.status is not Status.DRAFT:
        raise NotADraft(progress)


def check_live(progress: Progress) -> None:
    if progress.status is Status.DRAFT:
        raise NotStarted(progress)
    if progress.status.terminal:
        raise ExperimentEnded(progress)
