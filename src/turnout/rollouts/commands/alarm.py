"""What calls a person to a rollout, and what calls them off again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts import commands as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.rollouts.domain.concerns import Concern, Worry
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import PausedBy, Progress, moves_traffic
from turnout.rollouts.domain.transitions import Transition
from turnout.rollouts.tables import Rollout
from turnout.stats.verdict import Verdict

_KINDS: Final[Mapping[Worry, Kind]] = {
    Worry.UNEVEN_ARMS: Kind.SAMPLE_RATIO,
    Worry.AILING_BASELINE: Kind.BASELINE,
}


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

    What can be said against the evidence calls by itself, so a pause for that does not.
    """
    progress = transition.progress
    if _waits(before) and not _waits(progress):
        reason = f"it was {transition.event}: {transition.reason}"
        await alerts.resolve(session, cause=_cause(rollout.id, "paused"), reason=reason, now=now)
    if rollout.missed_at is not None:
        await seen_again(session, rollout.id, now=now)
        rollout.missed_at = None
    told: dict[str, Any] = {
        "now": now,
        "subject": _subject(model, rollout.id),
        "model": model,
        "summary": transition.reason,
        "data": {"rollout": rollout.id, "stage": before.stage, "verdict": transition.verdict},
    }
    if _waits(progress) and not _waits(before) and not rollout.sequences.worries:
        await alerts.fire(
            session,
            **told,
            cause=_cause(rollout.id, "paused"),
            kind=Kind.ACTION_FAILED if transition.verdict is Verdict.ERROR else Kind.NO_DATA,
            severity=Severity.WARNING,
        )
    if progress.phase is Phase.FAILED:
        cause, kind = _failed(model), Kind.ACTION_FAILED
        await alerts.fire(session, **told, cause=cause, kind=kind, severity=Severity.CRITICAL)
    elif progress.split_id is None and moves_traffic(before, progress):
        reason = f"the traffic was moved since: {transition.reason}"
        await alerts.resolve(session, cause=_failed(model), reason=reason, now=now)


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
    await alerts.resolve(session, cause=cause, reason="somebody has looked at it again", now=now)


def _waits(progress: Progress) -> bool:
    pause = progress.pause
    return pause is not None and pause.by is PausedBy.EVIDENCE


def _subject(model: str, rollout_id: UUID) -> str:
    return f"models/{model}/rollouts/{rollout_id}"


def _cause(rollout_id: UUID, what: str) -> str:
    return f"rollouts/{rollout_id}/{what}"


def _failed(model: str) -> str:
    return f"models/{model}/rollback-failed"
