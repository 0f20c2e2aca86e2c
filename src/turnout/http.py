"""What every router shares: who may call, session, clock, paging, and limits on what is sent."""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from turnout import idempotency
from turnout.callers import Caller, Gate, ModelsUnnamed, Scoping, need_of
from turnout.db import Sessions, transaction
from turnout.errors import Refusal, TooLarge, Unprocessable
from turnout.idempotency import Claim
from turnout.outgoing import Calls
from turnout.problems import DIALECT, Dialect
from turnout.quantities import Clock, Line
from turnout.settings import Settings

Item = TypeVar("Item")
API: Final = "/api/v1"
CALLER: Final = "turnout.caller"
WORK: Final = "turnout.work"
NO_STORE: Final = "no-store"


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the lifespan made and every request may use; `app.state.resources`."""

    settings: Settings
    sessions: Sessions
    gate: Gate
    calls: Calls
    clock: Clock = system_clock


# Dependencies are coroutines even where they await nothing: FastAPI runs plain functions in a
# thread each, which costs more than most requests do otherwise.


async def resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


async def current_time(resources: Annotated[Resources, Depends(resources)]) -> datetime:
    return resources.clock()


async def current_caller(request: Request) -> Caller:
    """Who was admitted to the route: see `GuardedRoute`."""
    found: Caller = request.scope[CALLER]
    return found


async def current_actor(caller: Annotated[Caller, Depends(current_caller)]) -> str:
    """Name who asks, for the audit log, for histories, and for the keys of repeated requests."""
    return caller.name


def _target(request: Request) -> str:
    """Path and query: by which of its names the service was reached does not matter."""
    return f"{request.url.path}?{request.url.query}"


async def current_claim(
    request: Request, actor: Annotated[str, Depends(current_actor)]
) -> Claim | None:
    key = request.headers.get(idempotency.HEADER)
    if key is None or request.method != "POST":
        return None
    sent = idempotency.fingerprint(request.method, _target(request), await request.body())
    return Claim(actor=actor, key=key, fingerprint=sent)


class UnitOfWork:
    """The one transaction of a request, begun when the route is ready for it.

    A route that first does what takes its time, outside of any transaction, asks before that
    whether the request was answered already.
    """

    def __init__(self, sessions: Sessions, clock: Clock, claim: Claim | None) -> None:
        self._sessions, self._clock, self._claim = sessions, clock, claim
        self._session: AsyncSession | None = None
        self.ending = AsyncExitStack()

    async def check_unanswered(self) -> None:
        if self._claim is not None and self._session is None:
            async with transaction(self._sessions) as session:
                await idempotency.check_untaken(session, self._claim)

    async def begin(self) -> AsyncSession:
        self._session = await self.ending.enter_async_context(transaction(self._sessions))
        if self._claim is not None:
            await idempotency.take(self._session, self._claim, now=self._clock())
        return self._session

    async def keep(self, response: Response) -> None:
        """Keep the answer in the transaction that it tells of, be it one of refusal."""
        if self._claim is None or self._session is None:
            return
        if response.headers.get("cache-control") != NO_STORE:
            status, body = response.status_code, bytes(response.body)
            await idempotency.keep_answer(self._session, self._claim, status=status, answer=body)


async def unit_of_work(
    request: Request,
    resources: Annotated[Resources, Depends(resources)],
    claim: Annotated[Claim | None, Depends(current_claim)],
) -> AsyncIterator[UnitOfWork]:
    work = request.scope[WORK] = UnitOfWork(resources.sessions, resources.clock, claim)
    async with work.ending:
        yield work


# scope="function" commits before the response is sent: a failing commit must answer 500, not 200.
Work = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]


async def begun(work: Work) -> AsyncSession:
    return await work.begin()


Session = Annotated[AsyncSession, Depends(begun)]
Now = Annotated[datetime, Depends(current_time)]
Actor = Annotated[str, Depends(current_actor)]
Calling = Annotated[Caller, Depends(current_caller)]
Reason = Annotated[
    Line | None, Query(max_length=500, description="Why, for the audit log and histories")
]
"""Of a change whose request has no body that could say so."""


def unchanged(tag: str, if_none_match: str | None) -> bool:
    """Whether what the caller has is what it would get (RFC 9110, section 13.1.2): whatever
    compressed the answer on its way has made the tag a weak one."""
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return tag in known or "*" in known


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


async def page(
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

        try:
            return json.loads(text, parse_constant=refuse)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError):  # what the framework would answer with 400
            reason = "nested too deeply, or a number of too many digits"
            raise json.JSONDecodeError(reason, text, 0) from None


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class GuardedRoute(APIRoute):
    """Admits who may call, before anything of the request is read.

    Every route is one of these, or is named as open in `api.py`. A caller who is confined to some
    models gets through where the models of the request are known beforehand: `{model}` or a known
    id in the path, or `?model=`. Everything else is refused, unless the operation itself keeps to
    `Caller.models` and says so.
    """

    def dialect(self) -> Dialect | None:
        """How refusals are told here, if not as everywhere."""
        return None

    def handler(self) -> Handler:
        """What is done for a caller who was admitted."""
        return super().get_route_handler()

    def get_route_handler(self) -> Handler:
        handle = self.handler()
        dialect = self.dialect()

        async def guarded(request: Request) -> Response:
            if dialect is not None:
                request.scope[DIALECT] = dialect
            gate = (await resources(request)).gate
            caller = await gate.admit(request.scope["headers"])
            need = need_of(self.endpoint, request.method)
            caller.check_role(need.roles)
            if caller.models is not None and need.scoping is Scoping.EDGE:
                await self._check_models(request, caller, gate)
            request.scope[CALLER] = caller
            return await handle(request)

        return guarded

    async def _check_models(self, request: Request, caller: Caller, gate: Gate) -> None:
        path: dict[str, Any] = request.path_params
        if "model" in path:
            caller.check_models([path["model"]])
            return
        for parameter, identity in path.items():
            models = await gate.models_of(parameter, str(identity))
            if models is not None:
                caller.check_concerned(models)
                return
        by_query = any(field.alias == "model" for field in self.dependant.query_params)
        named = request.query_params.getlist("model") if by_query else []
        if not named:
            raise ModelsUnnamed(caller, by_query=by_query)
        caller.check_models(named)


class StrictRoute(GuardedRoute):
    def handler(self) -> Handler:
        handle = super().handler()

        async def strict(given: Request) -> Response:
            request = StrictRequest(given.scope, given.receive)
            try:
                response = await handle(request)
            except Refusal:
                # Of two at once, the second may be refused for what the first has done.
                if work := request.scope.get(WORK):
                    await work.check_unanswered()
                raise
            if work := request.scope.get(WORK):
                await work.keep(response)  # the transaction is committed when this returns
            return response

        return strict


def operation_id(route: APIRoute) -> str:
    return route.name


def router(
    tag: str,
    *,
    prefix: str = API,
    route_class: type[GuardedRoute] = StrictRoute,
    responses: dict[int | str, dict[str, Any]] | None = None,
) -> APIRouter:
    """Make a slice's router; every slice uses this one.

    It knows the whole path, because a router that includes another makes each of its routes, and
    all that validates there, a second time: a second more for every process that starts.
    """
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=route_class,
        responses=responses,
        generate_unique_id_function=operation_id,
    )


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
