"""Kinds of refusal, each with its HTTP status.

A slice derives its own leaf errors from these and puts them beside the rule they speak for:
the kind owns the status, the leaf owns the sentence. Keyword facts are the machine-readable
part of the sentence (the current stage, the offending field) and reach the caller as members
of the problem document.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

Fact = str | int | float | bool | None | Sequence["Fact"] | Mapping[str, "Fact"]


class Refusal(Exception):
    """Something was asked that cannot be done; nothing was changed."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Refused"

    def __init__(self, detail: str, **facts: "Fact") -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer says in headers as well, where a standard asks for that."""
        return {}


class Unauthenticated(Refusal):
    status = 401
    title = "Authentication required"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="turnout"'}


class Forbidden(Refusal):
    status = 403
    title = "Forbidden"


class NotFound(Refusal):
    status = 404
    title = "Not found"


class Conflict(Refusal):
    status = 409
    title = "Refused by the present state"


class TooLarge(Refusal):
    status = 413
    title = "Too large"


class Unprocessable(Refusal):
    status = 422
    title = "Malformed request"


class TooManyRequests(Refusal):
    status = 429
    title = "Too many requests"


class Unavailable(Refusal):
    status = 503
    title = "Cannot be served now"
