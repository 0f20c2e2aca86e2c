from collections.abc import AsyncIterator
from typing import Annotated, Final

from annotated_types import MaxLen
from fastapi import Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from turnout import http
from turnout.errors import Refusal, Unprocessable
from turnout.events import queries
from turnout.events.domain import EventType, check_pattern, told, wanted
from turnout.events.feed import Feed, NoEvents
from turnout.events.schemas import LoggedEvent, logged
from turnout.http import Listing, Paging, Session
from turnout.problems import problems
from turnout.quantities import Line

router = http.router("events")

LARGEST: Final = 2**63 - 1
RECONNECT_MS: Final = 1000

Model = Annotated[Line | None, Query(description="Only about this model")]
Types = Annotated[
    tuple[str, ...],
    Query(
        alias="type",
        description="Only of this type, or pattern such as `rollout.*`; may be given several times",
    ),
    MaxLen(50),
]
EVERYTHING: Final = ("*",)


async def _patterns(types: Types = EVERYTHING) -> tuple[str, ...]:
    try:
        return tuple(map(check_pattern, types))
    except ValueError as error:
        raise Unprocessable(str(error), field="query.type") from None


async def _beginning(
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="The `id` of the last event you know")
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="As `after`; what a browser sends by itself when it comes back"),
    ] = None,
) -> int:
    if last_event_id:
        if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
            raise Unprocessable(
                "Last-Event-ID is not one that this service gave: send the `id` of an event",
                field="header.Last-Event-ID",
            )
        after = int(last_event_id)
    feed: Feed = request.app.state.feed
    return await feed.position(after)


Patterns = Annotated[tuple[str, ...], Depends(_patterns)]


@router.get(
    "/events",
    summary="Follow what happens",
    response_class=EventSourceResponse,
    responses=problems(NoEvents),
)
async def follow_events(
    request: Request,
    beginning: Annotated[int, Depends(_beginning)],
    types: Patterns,
    model: Model = None,
) -> AsyncIterator[ServerSentEvent]:
    """A stream of server-sent events, one for everything that is told to webhooks, within
    milliseconds. It begins with what happens from now on, or behind the event that `after` or
    `Last-Event-ID` names, if that is still kept (`TURNOUT_RETENTION_DAYS`).

    Each event has an `id`, its type as `event`, and as `data` the JSON
    `{"type", "timestamp", "data"}`. The first thing to come is an `id` without an event, behind
    which this stream begins. A comment comes every 15 seconds while nothing happens. The
    stream ends when the service stops: come back with the last `id`, as a browser's `EventSource`
    does by itself, and nothing is missed. It also ends before the first event after the key was
    revoked, or the key or token has expired. Try it with `curl -N`; Swagger UI waits for an end.
    """
    feed: Feed = request.app.state.feed
    gate = (await http.resources(request)).gate
    models = None if model is None else (model,)
    # With an id, so that also who leaves before the first event comes back to where it began.
    yield ServerSentEvent(comment="following", retry=RECONNECT_MS, id=str(beginning))
    async for event in feed.follow(
        beginning, lambda event: wanted(event.type, event.model, types=types, models=models)
    ):
        try:
            await gate.admit(request.scope["headers"], again=True)
        except Refusal:
            return
        yield ServerSentEvent(id=str(event.position), event=event.type, data=told(event))


@router.get("/events/log", summary="What has happened", responses=problems())
async def list_events(
    session: Session, page: Paging, types: Patterns, model: Model = None
) -> Listing[LoggedEvent]:
    """Events, newest first, for as long as they are kept (`TURNOUT_RETENTION_DAYS`)."""
    match page.after:
        case None:
            before = None
        case (int(before),):
            pass
        case _:
            raise Unprocessable(
                "cursor is not of this list: use `next_cursor` of the page before",
                field="query.cursor",
            )
    kinds = [kind for kind in EventType if wanted(kind, None, types=types, models=None)]
    rows = await queries.past(
        session, types=kinds, model=model, before=before, limit=page.limit + 1
    )
    return Listing(
        items=[logged(event) for event in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda event: (event.position,)),
    )
