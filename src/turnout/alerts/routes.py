from enum import StrEnum
from typing import Annotated

from fastapi import Body, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.alerts import commands, examples, queries
from turnout.alerts.domain import (
    AcknowledgedAlready,
    AlertOver,
    Hush,
    Quiet,
    Remark,
    Severity,
    Silence,
    State,
)
from turnout.alerts.queries import AlertNotFound, SilenceNotFound
from turnout.alerts.schemas import AlertStory, AlertView, alert_story, alert_view
from turnout.alerts.tables import Alert
from turnout.errors import Unprocessable
from turnout.http import Actor, Listing, Now, Page, Paging, Reason, Session
from turnout.problems import problems
from turnout.quantities import Line

router = http.router("alerts")

Identified = Annotated[int, Path(ge=1, lt=2**63, description="The alert's `id`")]
NOTHING_SAID = Remark()


class Asked(StrEnum):
    OPEN = "open"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@router.get("/alerts", summary="All alerts", responses=problems())
async def list_alerts(
    session: Session,
    page: Paging,
    now: Now,
    *,
    state: Annotated[
        Asked | None, Query(description="Only in this state; `open`: firing or acknowledged")
    ] = None,
    model: Annotated[Line | None, Query(max_length=200, description="Only of this model")] = None,
    severity: Annotated[Severity | None, Query(description="Only of this severity")] = None,
) -> Listing[AlertView]:
    """Alerts, newest first, each with what is wrong in plain words.

    An alert fires when its cause is found, is acknowledged by whoever looks into it, and is
    resolved by itself when the cause is gone. One cause has one open alert.
    """
    rows = await queries.alerts(
        session,
        states=_states(state),
        model=model,
        severity=severity,
        limit=page.limit + 1,
        before=_number(page),
    )
    silences = await queries.silences(session, now=now)
    return Listing(
        items=[alert_view(row, silences) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.id,)),
    )


def _states(asked: Asked | None) -> list[State]:
    match asked:
        case None:
            return list(State)
        case Asked.OPEN:
            return [State.FIRING, State.ACKNOWLEDGED]
        case _:
            return [State(asked)]


def _number(page: Page) -> int | None:
    match page.after:
        case None:
            return None
        case (int(number),):
            return number
    raise Unprocessable(
        "cursor is not of this list: use `next_cursor` of the page before", field="query.cursor"
    )


@router.get("/alerts/{alert_id}", summary="One alert", responses=problems(AlertNotFound))
async def show_alert(alert_id: Identified, session: Session, now: Now) -> AlertStory:
    """What is wrong, with the figures it rests on, and who did what about it."""
    return await _story(session, await queries.alert(session, alert_id), now)


async def _story(session: AsyncSession, alert: Alert, now: Now) -> AlertStory:
    await session.flush()
    return alert_story(
        alert,
        await queries.history(session, alert.id),
        await queries.silences(session, now=now),
    )


@router.post(
    "/alerts/{alert_id}/acknowledge",
    summary="Say that you look into it",
    responses=problems(AlertNotFound, AlertOver, AcknowledgedAlready),
)
async def acknowledge_alert(
    alert_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Remark, Body(openapi_examples=examples.REMARK)] = NOTHING_SAID,
) -> AlertStory:
    """Marks a firing alert as being looked into: nobody is told of it again. It still resolves by
    itself when its cause is gone."""
    alert = await commands.acknowledge(session, alert_id, body, actor=actor, now=now)
    return await _story(session, alert, now)


@router.post(
    "/alerts/{alert_id}/resolve",
    summary="Resolve by hand",
    responses=problems(AlertNotFound, AlertOver),
)
async def resolve_alert(
    alert_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Remark, Body(openapi_examples=examples.RESOLUTION)] = NOTHING_SAID,
) -> AlertStory:
    """Ends an alert that nothing will end by itself, such as one of a rule since taken back.

    A threshold that is still broken, and a version that is still silent, fires again at its next
    look, as a new alert: to be left alone by it, silence it. What is said of a rollout or an
    experiment is said once, as long as it lasts.
    """
    alert = await commands.resolve_by_hand(session, alert_id, body, actor=actor, now=now)
    return await _story(session, alert, now)


@router.post(
    "/alerts/{alert_id}/silence",
    summary="Silence one alert",
    responses=problems(AlertNotFound, AlertOver),
)
async def silence_alert(
    alert_id: Identified,
    body: Annotated[Quiet, Body(openapi_examples=examples.QUIET)],
    session: Session,
    actor: Actor,
    now: Now,
) -> AlertStory:
    """Tells nobody of this alert for `duration`. If it still fires when that is over, and nobody
    has acknowledged it, all are told again."""
    alert = await commands.silence(session, alert_id, body, actor=actor, now=now)
    return await _story(session, alert, now)


@router.post(
    "/silences",
    status_code=201,
    summary="Silence a model or a kind of alert",
    responses=problems(),
)
async def set_silence(
    body: Annotated[Hush, Body(openapi_examples=examples.HUSH)],
    session: Session,
    actor: Actor,
    now: Now,
) -> Silence:
    """Tells nobody for `duration` of alerts of `model`, of `kind`, or of both at once, such as
    during planned work. They fire, are listed and resolve as ever, and what was set to be done
    about them is done; who still fires when it is over is told of then."""
    return await commands.hush(session, body, actor=actor, now=now)


@router.get("/silences", summary="Silences in force")
async def list_silences(session: Session, now: Now) -> Listing[Silence]:
    """What nobody is told of at present, until when, by whom and why."""
    return Listing(items=await queries.silences(session, now=now))


@router.delete(
    "/silences/{silence_id}",
    status_code=204,
    summary="End a silence early",
    responses=problems(SilenceNotFound),
)
async def lift_silence(
    silence_id: Annotated[int, Path(ge=1, lt=2**63, description="The silence's `id`")],
    session: Session,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> None:
    """Ends it now. What fires and was held back is told within seconds."""
    await commands.lift(session, silence_id, actor=actor, now=now, reason=reason)
