"""Requests and replies as values: what is sent, and what is made of the answer. No I/O."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from turnout.client.errors import BY_STATUS, Problem, Refused

Answer = TypeVar("Answer")
JSON: Final = "application/json"
_STANDARD: Final = ("type", "title", "status", "detail")
_SHOWN: Final = 300
"""How much is quoted of an answer that is no problem document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str | float | Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    patience: float = 0.0
    """Seconds that the service may take on purpose, beyond the time it has for any answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def document(self) -> dict[str, Any] | None:
        """The service's own problem document. Something on the way may write one, too, without
        what the standard leaves optional."""
        if self.headers.get("content-type", "").startswith("application/problem+json"):
            with suppress(ValueError):
                found = json.loads(self.body)
                if isinstance(found, dict) and found.keys() >= set(_STANDARD):
                    return found
        return None


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """A request, and how its JSON is read. It may be sent again: that does it only once."""

    request: Request
    read: Callable[[Any], Answer]


def path(*parts: str) -> str:
    """Join parts of a path, each of them quoted."""
    return "/".join(quote(part, safe="") for part in parts)


def get(place: str, read: Callable[[Any], Answer], **query: str | float | None) -> Call[Answer]:
    return Call(Request(method="GET", path=place, query=_given(query)), read)


def post(place: str, read: Callable[[Any], Answer], body: object) -> Call[Answer]:
    """The key makes a second try the same request: the service answers it again, and does nothing
    again."""
    headers = {"Content-Type": JSON, "Idempotency-Key": str(uuid.uuid4())}
    request = Request(method="POST", path=place, headers=headers, body=encoded(body))
    return Call(request, read)


def encoded(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def given(**fields: object) -> dict[str, object]:
    """A body of what was given; what is None is left to the service."""
    return _given(fields)


Value = TypeVar("Value")


def _given(fields: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None}


def content(reply: Reply) -> Any:
    """The JSON of an answer; raises what a refusal says, and for an answer that is no JSON."""
    if reply.ok:
        with suppress(ValueError):
            return json.loads(reply.body)
    raise refused(reply)


def refused(reply: Reply) -> Refused:
    problem = _problem(reply)
    return BY_STATUS.get(reply.status, Refused)(problem)


def _problem(reply: Reply) -> Problem:
    """Read a problem document; whoever else answered, such as a proxy, is quoted."""
    if (found := reply.document) is not None:
        facts = {name: value for name, value in found.items() if name not in _STANDARD}
        return Problem(**{name: found[name] for name in _STANDARD}, facts=facts)
    text = reply.body[:_SHOWN].decode(errors="replace").strip()
    return Problem(
        type="about:blank",
        title="Not answered by Turnout",
        status=reply.status,
        detail=f"the answer has status {reply.status} and is not one of Turnout's: {text!r}",
    )
