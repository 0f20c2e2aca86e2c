"""What is sent: an event in the form that its receiver reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Literal

from turnout.delivery.domain.webhook import Format
from turnout.delivery.domain.words import headline, reason
from turnout.events.domain import Event, EventType, told

JSON: Final = "application/json"
CLOUDEVENTS: Final = "application/cloudevents+json"

SLACK_SECTION: Final = 3000
PAGERDUTY_SUMMARY: Final = 1024
PAGERDUTY_KEY: Final = 255

Action = Literal["trigger", "acknowledge", "resolve"]

ACTIONS: Final[Mapping[str, Action]] = {
    EventType.ROLLOUT_AWAITING_APPROVAL: "trigger",
    EventType.ROLLOUT_PAUSED: "trigger",
    EventType.ROLLOUT_ROLLING_BACK: "trigger",
    EventType.ROLLOUT_ROLLED_BACK: "trigger",
    EventType.ROLLOUT_FAILED: "trigger",
    EventType.ROLLOUT_ADVANCED: "resolve",
    EventType.ROLLOUT_SUCCEEDED: "resolve",
    EventType.ROLLOUT_ABORTED: "resolve",
    EventType.ALERT_FIRING: "trigger",
    EventType.ALERT_ACKNOWLEDGED: "acknowledge",
    EventType.ALERT_RESOLVED: "resolve",
    EventType.WEBHOOK_DISABLED: "trigger",
    EventType.WEBHOOK_TEST: "trigger",
}
"""What an event does to an incident; the others concern nobody on call."""

SEVERITIES: Final[Mapping[str, str]] = {
    EventType.ROLLOUT_AWAITING_APPROVAL: "info",
    EventType.ROLLOUT_PAUSED: "warning",
    EventType.ROLLOUT_ROLLING_BACK: "error",
    EventType.ROLLOUT_ROLLED_BACK: "error",
    EventType.ROLLOUT_FAILED: "critical",
    EventType.WEBHOOK_DISABLED: "warning",
    EventType.WEBHOOK_TEST: "info",
}
SYMBOLS: Final[Mapping[str, str]] = {
    EventType.ROLLOUT_AWAITING_APPROVAL: ":raised_hand:",
    EventType.ROLLOUT_SUCCEEDED: ":white_check_mark:",
    EventType.ROLLOUT_ROLLING_BACK: ":rewind:",
    EventType.ROLLOUT_ROLLED_BACK: ":rewind:",
    EventType.ROLLOUT_FAILED: ":rotating_light:",
    EventType.ALERT_FIRING: ":rotating_light:",
    EventType.ALERT_RESOLVED: ":white_check_mark:",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    body: str
    content_type: str = JSON


def sends(form: Format, kind: str) -> bool:
    """Whether an event has anything to say in this format."""
    return form is not Format.PAGERDUTY or kind in ACTIONS


def message(event: Event, form: Format, *, secret: str, public_url: str | None) -> Message:
    link = None
    if public_url is not None:
        link = public_url.rstrip("/") + _path(event)
        if _report(event):
            figures = {**event.data["data"], "report": link}
            event = replace(event, data={**event.data, "data": figures})
    match form:
        case Format.STANDARD:
            return Message(body=_json(told(event)))
        case Format.CLOUDEVENTS:
            source = public_url or "urn:turnout"
            return Message(body=_json(cloudevent(event, source)), content_type=CLOUDEVENTS)
        case Format.SLACK:
            return Message(body=_json(slack(event, link)))
        case Format.PAGERDUTY:
            return Message(body=_json(pagerduty(event, secret, link)))


def cloudevent(event: Event, source: str) -> dict[str, Any]:
    """CloudEvents 1.0, structured."""
    body = told(event)
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": body["timestamp"],
        "datacontenttype": JSON,
        "data": body["data"],
    }


def slack(event: Event, link: str | None) -> dict[str, Any]:
    title = _slack_text(headline(event))
    lines = [f"{SYMBOLS.get(event.type, ':information_source:')} *{title}*"]
    if why := reason(event):
        lines.append(_slack_text(why))
    if isinstance(actor := event.data.get("actor"), str):
        lines.append(f"by {_slack_text(actor)}, {event.at:%Y-%m-%d %H:%M} UTC")
    else:
        lines.append(f"{event.at:%Y-%m-%d %H:%M} UTC")
    if link:
        lines.append(f"<{link}|Look at it>")
    text = "\n".join(lines)
    if len(text) > SLACK_SECTION:  # only a reason is that long
        lines[1] = _slack_text((reason(event) or "")[:500]) + " …"
        text = "\n".join(lines)
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return {"text": title, "blocks": [section]}


def _slack_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pagerduty(event: Event, routing_key: str, link: str | None) -> dict[str, Any]:
    """PagerDuty's Events API v2; one incident per cause of an alert, and per rollout."""
    action = ACTIONS[event.type]
    sent: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": _dedup_key(event),
    }
    if action != "trigger":
        return sent
    why = reason(event)
    summary = headline(event) + (f": {why}" if why else "")
    if event.type == EventType.ALERT_FIRING:
        summary = headline(event)
    severity = event.data.get("severity")
    body = told(event)
    return sent | {
        "payload": {
            "summary": summary[:PAGERDUTY_SUMMARY],
            "source": event.model or "turnout",
            "severity": severity
            if severity in {"critical", "error", "warning", "info"}
            else SEVERITIES.get(event.type, "error"),
            "timestamp": body["timestamp"],
            "component": event.subject,
            "class": event.type,
            "custom_details": body["data"],
        },
        "links": [{"href": link, "text": "Look at it"}] if link else [],
        "client": "Turnout",
    }


def _dedup_key(event: Event) -> str:
    cause = event.data.get("cause")
    key = f"turnout/{cause if isinstance(cause, str) and cause else event.subject}"
    return key if len(key) <= PAGERDUTY_KEY else f"turnout/{sha256(key.encode()).hexdigest()}"


def _report(event: Event) -> str | None:
    """The page that an alert brings, such as that of drift."""
    figures = event.data.get("data")
    found = figures.get("report") if isinstance(figures, Mapping) else None
    return found if isinstance(found, str) and found.startswith("/") else None


def _path(event: Event) -> str:
    """Where people see what an event is about."""
    if report := _report(event):
        return report
    *_, kind, identity = ("", *event.subject.split("/"))
    match kind:
        case "rollouts" | "experiments":
            return f"/api/v1/{kind}/{identity}"
    return f"/api/v1/{event.subject}"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
