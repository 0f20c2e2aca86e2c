"""Refusals and trouble as RFC 9457 problem documents: one renderer for all of them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from turnout import idempotency, telemetry
from turnout.db import lost_connection
from turnout.errors import Forbidden, Refusal, Unauthenticated, Unavailable, Unprocessable

PROBLEM_TYPE = "application/problem+json"

DIALECT: Final = "turnout.dialect"
Dialect = Callable[[Request, Refusal], tuple[int, Mapping[str, Any]]]
"""With which status, and in which further members of the problem document, clients that were made
for another service are told of a refusal. A route puts it into the scope of its requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An RFC 9457 problem document; refusals add machine-readable facts as further members."""

    type: str
    title: str
    status: int
    detail: str


def problems(*kinds: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """Describe in OpenAPI how a route refuses."""
    every: tuple[type[Refusal], ...] = (*kinds, Unprocessable)
    described: dict[int | str, str] = {kind.status: kind.title for kind in every}
    return {
        status: {
            "description": title,
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, title in described.items()
    }


def problem(
    status: int, *, kind: str, title: str, detail: str, facts: Mapping[str, Any] | None = None
) -> JSONResponse:
    """Render a refusal; facts never overwrite the standard members."""
    slug = re.sub(r"(?<=[a-z0-9])(?=[A-Z])| +", "-", kind).lower()
    body = {
        **(facts or {}),
        "type": f"urn:turnout:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if request_id := telemetry.request_id.get():
        body["request_id"] = request_id
    return JSONResponse(jsonable_encoder(body), status_code=status, media_type=PROBLEM_TYPE)


def refused(
    refusal: Refusal, *, status: int | None = None, also: Mapping[str, Any] | None = None
) -> JSONResponse:
    """Render a refusal; with `status` and `also` for clients that go by others than ours."""
    response = problem(
        status or refusal.status,
        kind=type(refusal).__name__,
        title=refusal.title,
        detail=refusal.detail,
        facts={**refusal.facts, **(also or {})},
    )
    response.headers.update(refusal.headers)
    return response


def answer(request: Request, refusal: Refusal) -> JSONResponse:
    """Render a refusal for who asked. A route returns this, instead of raising the refusal, where
    what it did is to stand all the same."""
    dialect: Dialect | None = request.scope.get(DIALECT)
    if dialect is None:
        return refused(refusal)
    status, also = dialect(request, refusal)
    return refused(refusal, status=status, also=also)


def location(path: Sequence[str | int]) -> str:
    """Write where a bad value stands: `body.stages[1].weight`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_WORDS = {
    "json_invalid": "not valid JSON: {error}",
    "unexpected_keyword_argument": "unknown field",
    "extra_forbidden": "unknown field",
    "missing": "required",
    "string_type": "text is expected",
    "tuple_type": "a list is expected",
    "list_type": "a list is expected",
    "dataclass_type": "an object is expected",
    "dict_type": "an object is expected",
    "too_short": "too few items: at least {min_length}",
    "too_long": "at most {max_length} items",
}
"""Where pydantic speaks of Python's types, in those of JSON."""


def _reason(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"])
    if words is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return words.format(**error.get("ctx", {}))


def _place(error: Mapping[str, Any], body: Any) -> Sequence[str | int]:
    """Where in what was sent an error is. Pydantic's path tells, too, as which of several forms a
    value was read, if only by its `kind`: that is no place in the body, unlike all else in the
    path but what is missing there."""
    path: Sequence[str | int] = error["loc"]
    if path[0] != "body" or not isinstance(body, (dict, list)):
        return path
    found: list[str | int] = [path[0]]
    kind: object = None
    at: Any = body
    for part in path[1:]:
        here = part in at if isinstance(at, dict) else isinstance(at, list) and type(part) is int
        if isinstance(at, dict) and kind is None and part == at.get("kind"):
            kind = part
        elif here:
            found.append(part)
            at, kind = at[part], None
    missing = error["type"] in {"missing", "missing_argument"}
    return [*found, path[-1]] if missing else found


def _errors(found: Sequence[Mapping[str, Any]], body: Any) -> list[dict[str, str]]:
    """A list that is too short only because what it holds is malformed is no error of its own, and
    a body that route and dependency read is malformed once."""
    around = {error["loc"][:depth] for error in found for depth in range(len(error["loc"]))}
    errors = dict.fromkeys(
        (location(_place(error, body)), _reason(error))
        for error in found
        if error["type"] != "too_short" or error["loc"] not in around
    )
    return [{"field": field, "reason": reason} for field, reason in errors]


MOST_ERRORS: Final = 100
"""Of a body that is wrong all over, so many are told; the sentence says how many there are."""

MOST_READ: Final = 1_000


class Malformed(Unprocessable):
    """The request is not what the operation takes."""


def malformed(error: RequestValidationError) -> Malformed:
    found = error.errors()
    errors = _errors(found[:MOST_READ], error.body)
    first, *others = errors
    others_in_all = len(others) + len(found[MOST_READ:])
    more = f" (and {others_in_all} more)" if others_in_all else ""
    return Malformed(f"{first['field']}: {first['reason']}{more}", errors=errors[:MOST_ERRORS])


async def _refusal(request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refusal)
    if isinstance(refusal, (Unauthenticated, Forbidden)):
        telemetry.log.info(
            "refused",
            method=request.method,
            path=request.url.path,
            client=request.client.host if request.client else None,
            reason=refusal.detail,
        )
    return answer(request, refusal)


async def _replay(request: Request, replay: Exception) -> Response:
    assert isinstance(replay, idempotency.Replay)
    return Response(
        replay.answer,
        status_code=replay.status,
        media_type="application/json" if replay.status < 400 else PROBLEM_TYPE,
        headers={"Idempotency-Replayed": "true"},
    )


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return await _refusal(request, malformed(error))


async def _standard(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    response = problem(error.status_code, kind=title, title=title, detail=error.detail)
    response.headers.update(error.headers or {})
    return response


async def _database(request: Request, error: Exception) -> JSONResponse:
    """A database that is away is 503; anything else it says is a defect of ours, so 500."""
    if isinstance(error, DBAPIError) and not lost_connection(error):
        return await _defect(request, error)
    telemetry.log.warning("database unavailable", path=request.url.path, error=repr(error))
    response = await _refusal(
        request, Unavailable("the database cannot be reached; nothing was changed, try again")
    )
    response.headers["Retry-After"] = "1"
    return response


async def _defect(request: Request, error: Exception) -> JSONResponse:
    telemetry.log.error("unexpected error", path=request.url.path, exc_info=error)
    return problem(
        500,
        kind="Defect",
        title="Unexpected error",
        detail="the service failed to do this; its log has the details under this request id",
    )


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(idempotency.Replay, _replay)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _standard)
    for kind in (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(Exception, _defect)
