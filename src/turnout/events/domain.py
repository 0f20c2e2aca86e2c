"""What others are told: by webhook, by the event stream, on the phone of who is on call."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class EventType(StrEnum):
    VERSION_REGISTERED = "version.registered"
    VERSION_TRANSITIONED = "version.transitioned"
    ROLLOUT_STARTED = "rollout.started"
    ROLLOUT_ADVANCED = "rollout.advanced"
    ROLLOUT_PAUSED = "rollout.paused"
    ROLLOUT_AWAITING_APPROVAL = "rollout.awaiting_approval"
    ROLLOUT_SUCCEEDED = "rollout.succeeded"
    ROLLOUT_ABORTED = "rollout.aborted"
    ROLLOUT_ROLLING_BACK = "rollout.rolling_back"
    ROLLOUT_ROLLED_BACK = "rollout.rolled_back"
    ROLLOUT_FAILED = "rollout.failed"
    EXPERIMENT_STARTED = "experiment.started"
    EXPERIMENT_CONCLUDED = "experiment.concluded"
    EXPERIMENT_STOPPED = "experiment.stopped"
    ALERT_FIRING = "alert.firing"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    ALERT_RESOLVED = "alert.resolved"
    UPDATE_STARTED = "update.started"
    UPDATE_FINISHED = "update.finished"
    RETRAINING_REQUESTED = "retraining.requested"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `position` is its place in the order in which events are read.

    While replicas are updated, an older one reads events of types that it does not know yet, and
    tells of them all the same.
    """

    id: int
    position: int
    at: datetime
    type: EventType | str
    subject: str
    model: str | None
    data: Mapping[str, Any]


def check_pattern(pattern: str) -> str:
    """Refuse a pattern that no event would ever match."""
    if len(pattern) > 100 or not any(fnmatchcase(kind, pattern) for kind in EventType):
        raise ValueError(
            f"{pattern!r} matches no event: write a type such as rollout.rolled_back, or a pattern"
            f" such as rollout.* or *; the types are {', '.join(EventType)}"
        )
    return pattern


def wanted(
    kind: str, model: str | None, *, types: Collection[str], models: Collection[str] | None
) -> bool:
    """Whether a reader who asked for these types (or patterns) and models wants an event.

    An event about no model in particular, such as a disabled webhook, is for every reader of its
    type who named no models.
    """
    return any(fnmatchcase(kind, pattern) for pattern in types) and (
        models is None or model in models
    )


def told(event: Event) -> dict[str, Any]:
    """What every reader is told of an event, as JSON values: by the stream and by webhooks.

    `data` names the subject and the model beside what its type brings; alerts bring a `subject`
    of their own, which is what they are about.
    """
    return {
        "type": event.type,
        "timestamp": event.at.isoformat().replace("+00:00", "Z"),
        "data": {"subject": event.subject, "model": event.model, **event.data},
    }
