"""What calls a person to a rollout, and what calls them off again."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts import commands as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.rollouts.domain.concerns import Concern, Worry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import PausedBy, Progress
from turnout.rollouts.domain.transitions import Transition
from turnout.rollouts.tables import Rollout
from turnout.stats.verdict import Verdict
from turnout.traffic.commands import stuck

_KINDS: Final[Mapping[Worry, Kind]] = {
    Worry.UNEVEN_ARMS: Kind.SAMPLE_RATIO,
    Worry.AILING_BASELINE: Kind.BASELINE,
}
SEEN_AGAIN: Final = "somebody has looked at it again"


async def doubt(
    session: AsyncSession,
    rollout: Rollout,
    model: str,
    concerns: tuple[Concern, ...],
    *,
    now: datetime,
) -> None:
    """Call for what can be said against the evidence now, and off for what could be before.

    `rollout` still remembers the look before. Where it paused for that, it waits on for a person,
    who is then called to the pause itself.
    """
    raised = {concern.worry: concern for concern in concerns}
    for worry in sorted(raised.keys() | set(rollout.sequences.worries)):
        cause = _cause(rollout.id, worry)
        if worry not in raised:
            await alerts.resolve(session, cause=cause, reason="not seen any more", now=now)
        elif worry not in rollout.sequences.worries:
            await alerts.fire(
                session,
                cause=cause,
                kind=_KINDS[worry],
                severity=Severity.WARNING,
                subject=_subject(model, rollout.id),
                model=model,
                summary=raised[worry].reason,
                data={"rollout": rollout.id, "stage": rollout.progress.stage},
                now=now,
            )
    pause = rollout.progress.pause
    if pause is not None and _waits(rollout.progress) and rollout.sequences.worries and not raised:
        await alerts.fire(
            session,
            cause=_cause(rollout.id, "paused"),
            kind=Kind.NO_DATA,
            severity=Severity.WARNING,
            subject=_subject(model, rollout.id),
            model=model,
            summary=f"it waits for a person since it was paused: {pause.reason}",
            data={"rollout": rollout.id, "stage": rollout.progress.stage},
            now=now,
        )


async def stepped(
    session: AsyncSession,
    rollout: Rollout,
    model: str,
    before: Progress,
    transition: Transition,
    *,
    now: datetime,
) -> None:
    """Call for what a step leaves to a person, and off for what it has settled.

    What can be said against the evidence calls by itself, so a pause for that does not. A rollback
    that could not be carried out is settled by whoever moves the traffic.
    """
    progress = transition.progress
    settled = {}
    if _waits(before) and not _waits(progress):
        settled["paused"] = f"the rollout is {progress.phase}: {transition.reason}"
    if rollout.missed_at is not None:
        settled["missed"] = SEEN_AGAIN
        rollout.missed_at = None
    if before.retreat is not None and progress.phase.terminal:
        settled["rolling_back"] = f"the rollout is {progress.phase}"
    for what, reason in sorted(settled.items()):
        await alerts.resolve(session, cause=_cause(rollout.id, what), reason=reason, now=now)
    for cause, kind, severity in _calls(rollout, model, before, transition):
        await alerts.fire(
            session,
            cause=cause,
            kind=kind,
            severity=severity,
            subject=_subject(model, rollout.id),
            model=model,
            summary=_summary(transition),
            data={"rollout": rollout.id, "stage": before.stage, "verdict": transition.verdict},
            now=now,
        )


def _calls(
    rollout: Rollout, model: str, before: Progress, transition: Transition
) -> Iterator[tuple[str, Kind, Severity]]:
    progress = transition.progress
    if progress.phase is Phase.FAILED:
        yield stuck(model), Kind.ACTION_FAILED, Severity.CRITICAL
    if _waits(progress) and not _waits(before) and not rollout.sequences.worries:
        kind = Kind.ACTION_FAILED if transition.verdict is Verdict.ERROR else Kind.NO_DATA
        yield _cause(rollout.id, "paused"), kind, Severity.WARNING
    if progress.phase is Phase.ROLLING_BACK and before.retreat is None:
        yield _cause(rollout.id, "rolling_back"), Kind.ROLLBACK, Severity.WARNING


def _summary(transition: Transition) -> str:
    retreat = transition.progress.retreat
    if retreat is None or transition.progress.phase.terminal:
        return transition.reason
    return f"it is rolling back until {retreat.ends:%H:%M:%S} UTC: {retreat.reason}"


async def missed(
    session: AsyncSession, rollout_id: UUID, model: str, *, since: datetime, now: datetime
) -> None:
    await alerts.fire(
        session,
        cause=_cause(rollout_id, "missed"),
        kind=Kind.UNWATCHED,
        severity=Severity.CRITICAL,
        subject=_subject(model, rollout_id),
        model=model,
        summary=f"nobody has looked at it since {since:%Y-%m-%d %H:%M:%S} UTC",
        data={"rollout": rollout_id, "since": since},
        now=now,
    )


async def seen_again(session: AsyncSession, rollout_id: UUID, *, now: datetime) -> None:
    cause = _cause(rollout_id, "missed")
    await alerts.resolve(session, cause=cause, reason=SEEN_AGAIN, now=now)


def _waits(progress: Progress) -> bool:
    pause = progress.pause
    return pause is not None and pause.by is PausedBy.EVIDENCE


def _subject(model: str, rollout_id: UUID) -> str:
    return f"models/{model}/rollouts/{rollout_id}"


def _cause(rollout_id: UUID, what: str) -> str:
    return f"rollouts/{rollout_id}/{what}"
