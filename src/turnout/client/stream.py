"""Server-sent events, line by line. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, as webhooks tell it, too. `subject` is the path of the thing."""

    id: int
    type: str
    at: datetime
    subject: str
    model: str | None
    data: Mapping[str, Any]


class Lines:
    """Puts lines together to events, and remembers where a stream broke off."""

    def __init__(self, after: int | None = None) -> None:
        self.position = after
        """The last id that came, with an event or, at the beginning of a stream, without one."""
        self._id: int | None = None
        self._data: list[str] = []

    def begin(self) -> None:
        """Forget half an event, when another stream begins."""
        self._id, self._data = None, []

    def take(self, line: str) -> Event | None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdecimal():
            self._id = int(value)
        elif name == "data":
            self._data.append(value)
        elif not line:
            return self._ended()
        return None

    def _ended(self) -> Event | None:
        known, data = self._id, "\n".join(self._data)
        self.begin()
        if known is None:
            return None
        self.position = known
        if not data:
            return None
        told = json.loads(data)
        return Event(
            id=known,
            type=told["type"],
            at=datetime.fromisoformat(told["timestamp"]),
            subject=told["data"]["subject"],
            model=told["data"]["model"],
            data=told["data"],
        )
