from typing import Annotated
from uuid import UUID

from fastapi import Body, Depends, Query

from turnout import http
from turnout.callers import Role, needs
from turnout.delivery import commands, examples, queries
from turnout.delivery.domain.attempts import State
from turnout.delivery.domain.webhook import (
    DeliveryNotFound,
    NewWebhook,
    StillPending,
    WebhookInactive,
    WebhookNotFound,
    WrongSecret,
)
from turnout.delivery.schemas import (
    DeliveryView,
    WebhookPatch,
    WebhookView,
    delivery_views,
    webhook_view,
)
from turnout.errors import Unprocessable
from turnout.http import Actor, Listing, Now, Page, Paging, Reason, Resources, Session, resources
from turnout.idempotency import AnswerLost
from turnout.problems import problems
from turnout.quantities import Line

router = http.router("events")

LARGEST = 2**63 - 1


@router.post(
    "/webhooks",
    status_code=201,
    summary="Have events sent to an address",
    responses=problems(WrongSecret, AnswerLost),
)
@needs(Role.ADMIN)
async def create_webhook(
    body: Annotated[NewWebhook, Body(openapi_examples=examples.WEBHOOK)],
    session: Session,
    known: Annotated[Resources, Depends(resources)],
    *,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> WebhookView:
    """From now on, every event that matches `events` (and is about one of `models`, if given) is
    posted to `url` in the given `format`: retried for about a day until it is answered 2xx, in
    order per subject, at least once. What happened before is not sent.

    `standard` and `cloudevents` are signed by [Standard Webhooks](https://www.standardwebhooks.com):
    keep the `secret` of the answer, which is shown this once. `slack` is a message for people, to
    an incoming webhook. `pagerduty` opens and resolves incidents; `secret` is the routing key.

    Private addresses are refused unless `TURNOUT_ALLOW_PRIVATE_NETWORKS` is on.
    """
    known.calls.check(body.url)
    made = await commands.create(session, body, actor=actor, now=now, reason=reason)
    return webhook_view(made, secret=True)


@router.get("/webhooks", summary="All webhooks", responses=problems())
async def list_webhooks(
    session: Session,
    page: Paging,
    model: Annotated[Line | None, Query(description="Only those that hear of this model")] = None,
) -> Listing[WebhookView]:
    """Newest first, without their secrets."""
    rows = await queries.webhooks(session, model=model, before=_number(page), limit=page.limit + 1)
    return Listing(
        items=[webhook_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.seq,)),
    )


@router.get("/webhooks/{webhook_id}", summary="One webhook", responses=problems(WebhookNotFound))
async def show_webhook(webhook_id: UUID, session: Session) -> WebhookView:
    """Where it sends what; where it is not active, why not."""
    return webhook_view(await queries.webhook(session, webhook_id))


@router.patch(
    "/webhooks/{webhook_id}", summary="Edit a webhook", responses=problems(WebhookNotFound)
)
@needs(Role.ADMIN)
async def edit_webhook(
    webhook_id: UUID,
    patch: Annotated[WebhookPatch, Body(openapi_examples=examples.PATCH)],
    session: Session,
    known: Annotated[Resources, Depends(resources)],
    *,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> WebhookView:
    """Changes the fields you send and keeps the rest. `"secret": null` generates a new one; the
    one before signs beside it for 24 hours, so that receivers can change over.

    Deactivating cancels what waits to be sent; activating begins with what happens from then on.
    """
    changes = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "url" in changes:
        known.calls.check(patch.url)
    row = await commands.edit(session, webhook_id, changes, actor=actor, now=now, reason=reason)
    return webhook_view(row, secret=row.rotated_at == now)


@router.delete(
    "/webhooks/{webhook_id}",
    status_code=204,
    summary="Delete a webhook",
    responses=problems(WebhookNotFound),
)
@needs(Role.ADMIN)
async def delete_webhook(
    webhook_id: UUID, session: Session, actor: Actor, now: Now, reason: Reason = None
) -> None:
    """Deletes it with its delivery log; what waits to be sent is not sent."""
    await commands.remove(session, webhook_id, actor=actor, now=now, reason=reason)


@router.post(
    "/webhooks/{webhook_id}/test",
    status_code=202,
    summary="Send a test",
    responses=problems(WebhookNotFound, WebhookInactive),
)
async def test_webhook(
    webhook_id: UUID,
    session: Session,
    actor: Actor,
    now: Now,
    reason: Reason = None,  # noqa: PT028  (no test, for all its name)
) -> DeliveryView:
    """Sends a `webhook.test` event to this webhook alone, the way that everything is sent: by the
    worker, within a second or two. Ask for the delivery to see what the receiver answered."""
    made = await commands.test(session, webhook_id, actor=actor, now=now, reason=reason)
    return (await delivery_views(session, [made]))[0]


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    summary="The delivery log",
    responses=problems(WebhookNotFound),
)
async def list_deliveries(
    webhook_id: UUID,
    session: Session,
    page: Paging,
    state: Annotated[State | None, Query(description="Only in this state")] = None,
) -> Listing[DeliveryView]:
    """What was sent and what is still to be, newest event first, each with every attempt: what
    the receiver answered and how long it took."""
    await queries.webhook(session, webhook_id)
    rows = await queries.deliveries(
        session, webhook_id, state=state, before=_number(page), limit=page.limit + 1
    )
    return Listing(
        items=await delivery_views(session, rows[: page.limit]),
        next_cursor=page.cursor(rows, lambda row: (row.event_id,)),
    )


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    summary="One delivery",
    responses=problems(DeliveryNotFound),
)
async def show_delivery(webhook_id: UUID, delivery_id: UUID, session: Session) -> DeliveryView:
    """Its state and every attempt."""
    found = await queries.delivery(session, webhook_id, delivery_id)
    return (await delivery_views(session, [found]))[0]


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Send it again",
    responses=problems(WebhookNotFound, DeliveryNotFound, WebhookInactive, StillPending),
)
async def redeliver(
    webhook_id: UUID,
    delivery_id: UUID,
    session: Session,
    *,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> DeliveryView:
    """Begins a new series of attempts, under the same `webhook-id`: a receiver that has it
    already takes it for what it is. Later events do not wait for it."""
    found = await commands.redeliver(
        session, webhook_id, delivery_id, actor=actor, now=now, reason=reason
    )
    return (await delivery_views(session, [found]))[0]


def _number(page: Page) -> int | None:
    match page.after:
        case None:
            return None
        case (int(number),) if 0 <= number <= LARGEST:
            return number
    raise Unprocessable(
        "cursor is not of this list: use `next_cursor` of the page before", field="query.cursor"
    )
