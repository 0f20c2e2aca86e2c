"""An event as the log shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from turnout.events.domain import Event, EventType, told


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """`data` names the `subject` (the path of what it is about) and the `model`, if it is about
    one; its further fields depend on the type. `id` is what the stream calls so."""

    id: int
    type: EventType | str
    timestamp: datetime
    data: Mapping[str, Any]


def logged(event: Event) -> LoggedEvent:
    return LoggedEvent(
        id=event.position, type=event.type, timestamp=event.at, data=told(event)["data"]
    )
