"""What every router shares: session, clock, actor, paging, and refusals as problem documents."""

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from turnout import idempotency, telemetry
from turnout.db import Sessions, transaction
from turnout.errors import Refusal, TooLarge, Unavailable, Unprocessable
from turnout.settings import Settings

PROBLEM_TYPE = "application/problem+json"
Item = TypeVar("Item")

LOST_CONNECTION = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the lifespan made and every request may use; `app.state.resources`."""

    settings: Settings
    sessions: Sessions
    clock: Clock = system_clock


def resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


def current_time(resources: Annotated[Resources, Depends(resources)]) -> datetime:
    return resources.clock()


def current_actor() -> str:
    """Name who asks. Without keys the service is in development mode and knows nobody."""
    return "developer"


async def unit_of_work(
    request: Request,
    resources: Annotated[Resources, Depends(resources)],
    actor: Annotated[str, Depends(current_actor)],
) -> AsyncIterator[AsyncSession]:
    async with resources.sessions() as session, session.begin():
        key = request.headers.get(idempotency.HEADER)
        if key is not None and request.method == "POST":
            await idempotency.claim(
                session,
                actor=actor,
                key=key,
                fingerprint=idempotency.fingerprint(
                    request.method, str(request.url), await request.body()
                ),
                now=resources.clock(),
            )
        yield session


# scope="function" commits before the response is sent: a failing commit must answer 500, not 200.
Session = Annotated[AsyncSession, Depends(unit_of_work, scope="function")]
Now = Annotated[datetime, Depends(current_time)]
Actor = Annotated[str, Depends(current_actor)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list: at most `limit` items after the position `after`, if any."""

    limit: int
    after: tuple[str | int, ...] | None

    def cursor(
        self, rows: Sequence[Any], key: Callable[[Any], tuple[str | int, ...]]
    ) -> str | None:
        """Point behind the last of `rows`, when one more than `limit` was found."""
        if len(rows) <= self.limit:
            return None
        position = json.dumps(key(rows[self.limit - 1])).encode()
        return base64.urlsafe_b64encode(position).decode().rstrip("=")


def page(
    limit: Annotated[int, Query(ge=1, le=500, description="Items per page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=1000, description="`next_cursor` of the page before")
    ] = None,
) -> Page:
    if cursor is None:
        return Page(limit=limit, after=None)
    try:
        position = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", True))
    except (binascii.Error, ValueError):
        position = None
    if not isinstance(position, list) or not all(map(_storable, position)):
        raise Unprocessable(
            "cursor is not one that this service gave: use `next_cursor` of the page before",
            field="query.cursor",
        )
    return Page(limit=limit, after=tuple(position))


def _storable(part: object) -> bool:
    """Whether PostgreSQL could hold it, as a bigint or as text."""
    if isinstance(part, str):
        return "\x00" not in part and part.isprintable()
    return type(part) is int and -(2**63) <= part < 2**63


Paging = Annotated[Page, Depends(page)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Item]):
    items: Sequence[Item]
    next_cursor: str | None = None


class StrictRequest(Request):
    """A request whose JSON is JSON: Python's parser would let NaN and Infinity pass."""

    async def json(self) -> Any:
        text = (await self.body()).decode(errors="replace")

        def refuse(constant: str) -> None:
            raise json.JSONDecodeError(f"{constant} is not JSON", text, text.find(constant))

        return json.loads(text, parse_constant=refuse)


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(given: Request) -> Response:
            request = StrictRequest(given.scope, given.receive)
            response = await handle(request)
            key = request.headers.get(idempotency.HEADER)
            if key is not None and request.method == "POST" and response.status_code < 300:
                async with transaction(resources(request).sessions) as session:
                    await idempotency.keep_answer(
                        session,
                        actor=current_actor(),
                        key=key,
                        status=response.status_code,
                        answer=bytes(response.body),
                    )
            return response

        return strict


def router(tag: str) -> APIRouter:
    """Make a slice's router; every slice uses this one."""
    return APIRouter(tags=[tag], route_class=StrictRoute)


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


def refused(refusal: Refusal) -> JSONResponse:
    return problem(
        refusal.status,
        kind=type(refusal).__name__,
        title=refusal.title,
        detail=refusal.detail,
        facts=refusal.facts,
    )


def location(path: Sequence[str | int]) -> str:
    """Write where a bad value stands: `body.stages[1].weight`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"not valid JSON: {error['ctx']['error']}"
    reason = str(error["msg"]).removeprefix("Value error, ")
    return (
        "unknown field"
        if error["type"] in {"unexpected_keyword_argument", "extra_forbidden"}
        else reason
    )


async def _refusal(request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refusal)
    return refused(refusal)


async def _replay(request: Request, replay: Exception) -> Response:
    assert isinstance(replay, idempotency.Replay)
    return Response(
        replay.answer,
        status_code=replay.status,
        media_type="application/json",
        headers={"Idempotency-Replayed": "true"},
    )


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": location(found["loc"]), "reason": _reason(found)} for found in error.errors()
    ]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return problem(
        422,
        kind="Malformed",
        title=Unprocessable.title,
        detail=f"{first['field']}: {first['reason']}{more}",
        facts={"errors": errors},
    )


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


def lost_connection(error: BaseException) -> bool:
    """Tell a database that is away or shutting down from a statement that is wrong."""
    if isinstance(error, DBAPIError):
        causes = [error.orig, getattr(error.orig, "__cause__", None)]
        return error.connection_invalidated or any(map(lost_connection, filter(None, causes)))
    # asyncpg calls a value that it cannot encode an InterfaceError, too, but also a ValueError.
    return isinstance(error, LOST_CONNECTION) and not isinstance(error, ValueError)


class BodyLimit:
    """Refuses larger bodies with a problem document, which the framework's own limit cannot.

    A route that declares a `max_body_size` keeps to that instead.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        size = int(declared) if declared.isdecimal() else 0

        async def bounded() -> Message:
            nonlocal size
            limit = scope.get(MAX_BODY_SIZE_SCOPE_KEY, self.limit)
            message = await receive()
            if not declared:
                size += len(message.get("body", b""))
            if size > limit:
                # An HTTPException, because the framework turns any other into 400.
                raise HTTPException(
                    TooLarge.status,
                    f"the body is over the limit of {limit:,} bytes: send less at once, or raise"
                    " TURNOUT_MAX_BODY_MEGABYTES",
                )
            return message

        await self.app(scope, bounded, send)


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(idempotency.Replay, _replay)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _standard)
    for kind in (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(Exception, _defect)
