import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from pydantic_core import to_jsonable_python

from turnout import http
from turnout.access import audit_queries
from turnout.access.audit_queries import Sought
from turnout.access.domain.chain import Entry, Head, Verification
from turnout.db import Sessions
from turnout.errors import Unprocessable
from turnout.http import Listing, Page, Paging, Resources, Session
from turnout.problems import problems
from turnout.quantities import MOMENT, Line

router = http.router("audit")
NDJSON = "application/x-ndjson"

Aware = Annotated[AwareDatetime, MOMENT]
Text = Annotated[Line | None, Query(max_length=500)]


async def sought(
    *,
    actor: Annotated[Text, Query(description="Only by this key, person or `worker`")] = None,
    action: Annotated[Text, Query(description="Only this action: `version.registered`")] = None,
    subject: Annotated[
        Text, Query(description="Only things whose path begins so: `models/fraud/versions/`")
    ] = None,
    since: Annotated[Aware | None, Query(description="At this time or later")] = None,
    until: Annotated[Aware | None, Query(description="Before this time")] = None,
) -> Sought:
    return Sought(actor=actor, action=action, subject=subject, since=since, until=until)


Seeking = Annotated[Sought, Depends(sought)]
OfModel = Annotated[Text, Query(description="Only about this model and what belongs to it")]


@router.get("/audit", summary="Who changed what, when and why", responses=problems())
async def list_audit(
    session: Session, page: Paging, seeking: Seeking, model: OfModel = None
) -> Listing[Entry]:
    """Every change, newest first: who made it, what it was about, how it was before and after, for
    which reason, and in which request.

    `hash` seals an entry together with all before it; entries get it within seconds.
    """
    rows = await audit_queries.entries(
        session, replace(seeking, model=model), limit=page.limit + 1, before=_number(page)
    )
    return Listing(items=rows[: page.limit], next_cursor=page.cursor(rows, lambda row: (row.id,)))


def _number(page: Page) -> int | None:
    match page.after:
        case None:
            return None
        case (int(number),):
            return number
    raise Unprocessable(
        "cursor is not of this list: use `next_cursor` of the page before", field="query.cursor"
    )


@router.get("/audit/verify", summary="Is the log what was written?", responses=problems())
async def verify_audit(
    session: Session,
    *,
    position: Annotated[
        int | None, Query(ge=1, lt=2**63, description="Of a `head` that you kept")
    ] = None,
    hash: Annotated[  # noqa: A002  (the name in the query)
        str | None, Query(pattern="^[0-9a-f]{64}$", description="Its hash")
    ] = None,
) -> Verification:
    """Follows the whole chain of hashes, and names the first entry that was changed, is missing, or
    is not where it was sealed.

    Whoever can write to the database can compute a new chain, or cut off its end: keep the `head`
    of this answer elsewhere, and give it with the next question.
    """
    if (position is None) != (hash is None):
        raise Unprocessable(
            "position and hash belong together: give both, or neither", field="query.position"
        )
    known = None if position is None or hash is None else Head(position=position, hash=hash)
    return await audit_queries.verification(session, known)


@router.get(
    "/audit/export",
    summary="The whole log as NDJSON",
    response_class=StreamingResponse,
    responses={
        **problems(),
        200: {
            "description": "One entry a line",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
    },
)
async def export_audit(
    resources: Annotated[Resources, Depends(http.resources)],
    seeking: Seeking,
    model: OfModel = None,
) -> StreamingResponse:
    """Entries as in the list, one JSON object a line, oldest first, however many there are."""
    return StreamingResponse(
        _lines(resources.sessions, replace(seeking, model=model)), media_type=NDJSON
    )


async def _lines(sessions: Sessions, sought: Sought) -> AsyncIterator[bytes]:
    async for entry in audit_queries.every_entry(sessions, sought):
        yield json.dumps(to_jsonable_python(entry)).encode() + b"\n"
