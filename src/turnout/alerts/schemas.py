from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from turnout.alerts.domain import Kind, Severity, Silence, State
from turnout.alerts.tables import Alert, AlertChange


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """`subject` is the path of what it is about; `data` has the figures that it rests on, as of
    `seen_at`."""

    id: int
    state: State
    severity: Severity
    kind: Kind
    cause: str
    subject: str
    model: str | None
    summary: str
    data: Mapping[str, Any]
    fired_at: datetime
    seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    silenced_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    state: State
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStory(AlertView):
    """An alert and how it came to where it is."""

    history: Sequence[ChangeView]


def alert_view(alert: Alert, silences: Collection[Silence]) -> AlertView:
    return AlertView(**_fields(alert, silences))


def alert_story(
    alert: Alert, history: Sequence[AlertChange], silences: Collection[Silence]
) -> AlertStory:
    changes = [
        ChangeView(state=change.state, at=change.at, actor=change.actor, reason=change.reason)
        for change in history
    ]
    return AlertStory(**_fields(alert, silences), history=changes)


def _fields(alert: Alert, silences: Collection[Silence]) -> dict[str, Any]:
    ends = [
        silence.until
        for silence in silences
        if alert.resolved_at is None and silence.covers(alert.id, alert.model, alert.kind)
    ]
    return {
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
        "seen_at": alert.seen_at,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": alert.acknowledged_by,
        "resolved_at": alert.resolved_at,
        "silenced_until": max(ends, default=None),
    }
