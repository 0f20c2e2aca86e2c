"""What can go wrong, by what a caller may do about it.

Every refusal carries the service's problem document (RFC 9457): a sentence for people in `detail`,
and the facts behind it for programs in `facts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`type` is the name of the rule, such as `urn:turnout:problem:version-exists`."""

    type: str
    title: str
    status: int
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class TurnoutError(Exception):
    """Anything that went wrong between this client and the service."""


class Unreachable(TurnoutError):
    """No answer came. What was asked was tried a few times; it may have been carried out."""


class Unsent(TurnoutError):
    """`rows` recordings still wait. None is lost: they are sent as soon as that is possible."""

    def __init__(self, rows: int, trouble: str | None) -> None:
        super().__init__(f"{rows} recordings still wait to be sent: {trouble or 'out of time'}")
        self.rows = rows


class Refused(TurnoutError):
    """The service has answered, and will not do it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Unauthenticated(Refused):
    """No API key, or one that is not known (401)."""


class Forbidden(Refused):
    """The key's role or models do not cover this (403)."""


class NotFound(Refused):
    """There is no such model, version or experiment (404)."""


class Conflict(Refused):
    """The present state does not allow it (409); `problem.facts` say what stands in the way."""


class Malformed(Refused):
    """What was sent is not what the operation takes (422, 413, 400)."""


class TooManyRequests(Refused):
    """The key's rate limit is used up (429)."""


class Unavailable(Refused):
    """The service cannot do it now, or nothing serves the model (503)."""


BY_STATUS: Mapping[int, type[Refused]] = {
    400: Malformed,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Malformed,
    422: Malformed,
    429: TooManyRequests,
    503: Unavailable,
}
