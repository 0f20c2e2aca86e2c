"""What fires, acknowledges and resolves alerts, and what keeps them quiet.

A silence withholds only that an alert fires, until it is over; whoever was told of an alert is
also told what becomes of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic_core import to_jsonable_python
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.alerts import queries
from turnout.alerts.domain import (
    SYSTEM,
    AcknowledgedAlready,
    AlertOver,
    Hush,
    Kind,
    Quiet,
    Remark,
    Severity,
    Silence,
    State,
)
from turnout.alerts.tables import Alert, AlertChange, SilenceRow
from turnout.db import among
from turnout.events.commands import emit
from turnout.events.domain import EventType

_EVENTS: Final = {
    State.FIRING: EventType.ALERT_FIRING,
    State.ACKNOWLEDGED: EventType.ALERT_ACKNOWLEDGED,
    State.RESOLVED: EventType.ALERT_RESOLVED,
}


async def fire(
    session: AsyncSession,
    *,
    cause: str,
    kind: Kind,
    severity: Severity,
    subject: str,
    model: str | None,
    summary: str,
    data: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Open the alert of a cause; False where it is open, which then gets the newest figures.

    `cause` names what is wrong, and nothing that changes while it is: who fires it twice, also
    from two workers at once, has one alert. `subject` is the path of what it is about. The lock
    of a cause is held until the transaction ends: fire several in the order of their causes, or
    under a lock that all who fire them hold, such as that of a rollout's row.
    """
    figures = to_jsonable_python(data)
    while True:
        if (alert := await queries.locked_open(session, cause)) is not None:
            alert.summary, alert.data, alert.seen_at = summary, figures, now
            return False
        opened = await session.scalar(
            insert(Alert)
            .values(
                cause=cause,
                kind=kind,
                severity=severity,
                state=State.FIRING,
                subject=subject,
                model=model,
                summary=summary,
                data=figures,
                fired_at=now,
                seen_at=now,
                untold=True,
            )
            .on_conflict_do_nothing()
            .returning(Alert)
        )
        if opened is not None:
            _write_down(session, opened, None, actor=SYSTEM, reason=summary, now=now)
            _tell_unless_silenced(session, opened, await queries.silences(session, now=now), now)
            return True


async def resolve(session: AsyncSession, *, cause: str, reason: str, now: datetime) -> bool:
    """End the open alert of a cause, if there is one."""
    alert = await queries.locked_open(session, cause)
    if alert is None:
        return False
    _end(session, alert, actor=SYSTEM, reason=reason, now=now)
    return True


async def resolve_by_hand(
    session: AsyncSession, alert_id: int, remark: Remark, *, actor: str, now: datetime
) -> Alert:
    alert = await _open(session, alert_id)
    _end(session, alert, actor=actor, reason=remark.reason, now=now)
    return alert


async def acknowledge(
    session: AsyncSession, alert_id: int, remark: Remark, *, actor: str, now: datetime
) -> Alert:
    alert = await _open(session, alert_id)
    if alert.acknowledged_at is not None and alert.acknowledged_by is not None:
        raise AcknowledgedAlready(alert_id, alert.acknowledged_by, alert.acknowledged_at)
    before, alert.state, alert.untold = alert.state, State.ACKNOWLEDGED, False
    alert.acknowledged_at, alert.acknowledged_by = now, actor
    _write_down(session, alert, before, actor=actor, reason=remark.reason, now=now)
    _tell(session, alert, actor=actor, reason=remark.reason, now=now)
    return alert


async def silence(
    session: AsyncSession, alert_id: int, wish: Quiet, *, actor: str, now: datetime
) -> Alert:
    """Tell nobody of one alert for a time; where it fires on after that, tell them again."""
    alert = await _open(session, alert_id)
    silence = await _add(session, SilenceRow(alert_id=alert_id), wish, actor=actor, now=now)
    _quieten([alert], silence)
    return alert


async def hush(session: AsyncSession, wish: Hush, *, actor: str, now: datetime) -> Silence:
    """Tell nobody for a time of any alert of a model or kind, those that fire already included."""
    row = SilenceRow(model=wish.model, kind=wish.kind)
    silence = await _add(session, row, wish, actor=actor, now=now)
    await _quieten_all(session, [silence])
    return silence


async def lift(
    session: AsyncSession, silence_id: int, *, actor: str, now: datetime, reason: str | None
) -> None:
    """End a silence early."""
    query = select(SilenceRow).where(SilenceRow.id == silence_id, SilenceRow.until > now)
    row = await session.scalar(query.with_for_update())
    if row is None:
        raise queries.SilenceNotFound(silence_id)
    audit(
        session,
        actor=actor,
        action="silence.lifted",
        subject=f"silences/{row.id}",
        before={"until": row.until.isoformat()},
        after={"until": now.isoformat()},
        reason=reason,
        now=now,
    )
    row.until = now


async def tell_untold(session: AsyncSession, *, now: datetime) -> int:
    """Tell of the alerts that fire and that no silence covers any more."""
    silences = await queries.silences(session, now=now)
    if silences:
        await _quieten_all(session, silences)
    untold = (await session.scalars(select(Alert).where(Alert.untold))).all()
    if not untold:
        return 0
    audible = [alert.id for alert in untold if not _silenced(alert, silences)]
    query = select(Alert).where(among(Alert.id, audible), Alert.untold).order_by(Alert.id)
    query = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    return sum(
        _tell_unless_silenced(session, alert, silences, now)
        for alert in await session.scalars(query)
    )


async def _open(session: AsyncSession, alert_id: int) -> Alert:
    alert = await queries.locked(session, alert_id)
    if alert.resolved_at is not None:
        raise AlertOver(alert_id, alert.resolved_at)
    return alert


async def _add(
    session: AsyncSession, row: SilenceRow, wish: Quiet, *, actor: str, now: datetime
) -> Silence:
    row.until = now + wish.duration
    row.reason, row.created_by, row.created_at = wish.reason, actor, now
    session.add(row)
    await session.flush()
    silence = queries.silence(row)
    audit(
        session,
        actor=actor,
        action="silence.set",
        subject=f"silences/{silence.id}",
        after=to_jsonable_python(
            {
                "alert": silence.alert,
                "model": silence.model,
                "kind": silence.kind,
                "until": silence.until,
            }
        ),
        reason=wish.reason,
        now=now,
    )
    return silence


async def _quieten_all(session: AsyncSession, silences: Sequence[Silence]) -> None:
    """Wait for no alert that somebody is at: they may hold it in whatever order, and wait for one
    that is held here. Those are quietened at the next beat."""
    query = select(Alert).where(Alert.state == State.FIRING, Alert.untold.is_(False))
    query = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    firing = (await session.scalars(query)).all()
    for silence in silences:
        _quieten(firing, silence)
    await session.flush()


def _quieten(alerts: Sequence[Alert], silence: Silence) -> None:
    for alert in alerts:
        if alert.state is State.FIRING and silence.covers(alert.id, alert.model, alert.kind):
            alert.untold = True


def _end(
    session: AsyncSession, alert: Alert, *, actor: str, reason: str | None, now: datetime
) -> None:
    before, alert.state = alert.state, State.RESOLVED
    alert.resolved_at, alert.untold = now, False
    _write_down(session, alert, before, actor=actor, reason=reason, now=now)
    _tell(session, alert, actor=actor, reason=reason, now=now)


def _write_down(
    session: AsyncSession,
    alert: Alert,
    before: State | None,
    *,
    actor: str,
    reason: str | None,
    now: datetime,
) -> None:
    session.add(
        AlertChange(alert_id=alert.id, state=alert.state, at=now, actor=actor, reason=reason)
    )
    audit(
        session,
        actor=actor,
        action=f"alert.{alert.state}",
        subject=f"alerts/{alert.id}",
        before={"state": before} if before else None,
        after={
            "state": alert.state,
            "cause": alert.cause,
            "severity": alert.severity,
            "about": alert.subject,
        },
        reason=reason,
        now=now,
    )


def _silenced(alert: Alert, silences: Sequence[Silence]) -> bool:
    return any(silence.covers(alert.id, alert.model, alert.kind) for silence in silences)


def _tell_unless_silenced(
    session: AsyncSession, alert: Alert, silences: Sequence[Silence], now: datetime
) -> bool:
    if _silenced(alert, silences):
        return False
    alert.untold, alert.told_at = False, now
    _tell(session, alert, actor=SYSTEM, reason=alert.summary, now=now)
    return True


def _tell(
    session: AsyncSession, alert: Alert, *, actor: str, reason: str | None, now: datetime
) -> None:
    """What becomes of an alert is told only to those who were told that it fires."""
    if alert.told_at is None:
        return
    emit(
        session,
        _EVENTS[alert.state],
        subject=f"alerts/{alert.id}",
        model=alert.model,
        data={
            "id": alert.id,
            "state": alert.state,
            "severity": alert.severity,
            "kind": alert.kind,
            "cause": alert.cause,
            "subject": alert.subject,
            "model": alert.model,
            "summary": alert.summary,
            "data": alert.data,
            "fired_at": alert.fired_at,
            "actor": actor,
            "reason": reason,
        },
        now=now,
    )
