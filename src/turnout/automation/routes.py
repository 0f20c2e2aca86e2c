from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Body, Depends, Path, Query, Response

from turnout import http
from turnout.automation import examples, queries
from turnout.automation.commands import request
from turnout.automation.domain.policy import NewUpdatePolicy
from turnout.automation.domain.statistics import summary
from turnout.automation.domain.update import (
    Cancellation,
    NewUpdate,
    NewUpdateSchedule,
    NoPipeline,
    ScheduleNotFound,
    UpdateNotFound,
    UpdateOver,
    UpdateState,
)
from turnout.automation.schemas import (
    UpdatePolicyView,
    UpdateScheduleView,
    UpdateStatistics,
    UpdateStory,
    UpdateView,
    policy_view,
    schedule_view,
    update_story,
    update_views,
)
from turnout.gates.domain.policy import WebhookGate
from turnout.http import Actor, Listing, Now, Paging, Reason, Resources, Session
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.registry.filters import after_id

router = http.router("updates")

Named = Annotated[str, Path(examples=["fraud-detection"])]
Identified = Annotated[UUID, Path()]
Shared = Annotated[Resources, Depends(http.resources)]


@router.post(
    "/models/{model}/updates",
    status_code=201,
    summary="Update a model",
    responses=problems(ModelNotFound, VersionNotFound, NoPipeline),
)
async def start_update(
    model: Named,
    body: Annotated[NewUpdate, Body(openapi_examples=examples.UPDATE)],
    session: Session,
    actor: Actor,
    now: Now,
) -> UpdateStory:
    """Takes a model to a version, from the rules of its update policy through the gates and a
    rollout to the end, by itself.

    It waits for its turn: a model has one update under way at a time, the service
    `TURNOUT_UPDATES_AT_ONCE` (3), and none begins while a rollout or experiment of the model goes
    on or in a freeze window. `latest` is looked up when the update begins, and is not needed when
    that version, or a newer one, answers already.

    With `retrain`, the training pipeline of the policy is called first, and the version that it
    registers is the target.
    """
    return await update_story(
        session, await request.request(session, model, body, actor=actor, now=now)
    )


@router.get("/updates", summary="All updates", responses=problems(ModelNotFound))
async def list_updates(
    session: Session,
    page: Paging,
    *,
    model: Annotated[str | None, Query(description="Only of this model")] = None,
    state: Annotated[UpdateState | None, Query(description="Only in this state")] = None,
) -> Listing[UpdateView]:
    """Updates, newest first, each with where it stands and what it waits for."""
    rows = await queries.updates(
        session,
        model_id=None if model is None else (await registry.model(session, model)).id,
        state=state,
        limit=page.limit + 1,
        before=after_id(page),
    )
    return Listing(
        items=await update_views(session, rows[: page.limit]),
        next_cursor=page.cursor(rows, lambda row: (row.seq,)),
    )


@router.get("/updates/statistics", summary="How updates went", responses=problems(ModelNotFound))
async def show_update_statistics(
    session: Session,
    resources: Shared,
    now: Now,
    *,
    model: Annotated[str | None, Query(description="Only of this model")] = None,
    days: Annotated[int, Query(ge=1, le=365, description="How far back")] = 30,
) -> UpdateStatistics:
    """How many ended how in the last days, by state and by trigger, how many of those that were
    tried succeeded and how long they took, and how many are under way or wait now.

    Updates are kept for `TURNOUT_RETENTION_DAYS`, so `days` is no more than that, and the answer
    says how many they are."""
    days = min(days, resources.settings.retention_days)
    ids = None if model is None else [(await registry.model(session, model)).id]
    unfinished = await queries.unfinished(session, model_ids=ids)
    since = now - timedelta(days=days)
    return UpdateStatistics(
        days=days,
        ended=summary(await queries.ended_since(session, since, model_ids=ids)),
        unfinished=unfinished,
        under_way=sum(n for state, n in unfinished.items() if state.under_way),
        at_once=resources.settings.updates_at_once,
    )


@router.get("/updates/{update_id}", summary="One update", responses=problems(UpdateNotFound))
async def show_update(update_id: Identified, session: Session) -> UpdateStory:
    """The story from what called for it to its end: every step, who took it and why, and what each
    rule found. Reports of gates stand at the version, evidence at the rollout."""
    return await update_story(session, await queries.update(session, update_id))


@router.post(
    "/updates/{update_id}/cancel",
    summary="Cancel an update",
    responses=problems(UpdateNotFound, UpdateOver),
)
async def cancel_update(
    update_id: Identified,
    body: Annotated[Cancellation, Body(openapi_examples=examples.CANCEL)],
    session: Session,
    actor: Actor,
    now: Now,
) -> UpdateStory:
    """Ends it, whatever it waits for. A rollout under way is aborted with it: the baseline has all
    the traffic again. A training pipeline that gives up says so by this, too."""
    return await update_story(
        session, await request.cancel(session, update_id, body, actor=actor, now=now)
    )


@router.post(
    "/models/{model}/update-schedules",
    status_code=201,
    summary="Update at certain times",
    responses=problems(ModelNotFound, VersionNotFound, NoPipeline),
)
async def create_update_schedule(
    model: Named,
    body: Annotated[NewUpdateSchedule, Body(openapi_examples=examples.SCHEDULE)],
    session: Session,
    actor: Actor,
    now: Now,
) -> UpdateScheduleView:
    """Starts an update at each time of a cron expression, on the clocks of a time zone.

    Each run starts once, however many workers there are. Times that clocks skip when they are set
    forward come at that moment, and those that are shown twice come at the first. Runs that were
    missed while no worker ran are one, and a run is left out while the update of the run before has
    not ended.
    """
    return schedule_view(
        await request.set_schedule(session, model, body, actor=actor, now=now), model
    )


@router.get(
    "/models/{model}/update-schedules",
    summary="When a model is updated",
    responses=problems(ModelNotFound),
)
async def list_update_schedules(
    model: Named, session: Session, page: Paging
) -> Listing[UpdateScheduleView]:
    """The schedules of a model, oldest first, each with its next run."""
    found = await registry.model(session, model)
    rows = await queries.schedules(session, found.id, limit=page.limit + 1, after=after_id(page))
    return Listing(
        items=[schedule_view(row, found.name) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.seq,)),
    )


@router.delete(
    "/update-schedules/{schedule_id}",
    status_code=204,
    summary="End a schedule",
    responses=problems(ScheduleNotFound),
)
async def delete_update_schedule(
    schedule_id: Identified, session: Session, actor: Actor, now: Now, reason: Reason = None
) -> Response:
    """Nothing more starts by it. An update that it has started goes on."""
    await request.delete_schedule(session, schedule_id, actor=actor, now=now, reason=reason)
    return Response(status_code=204)


@router.get(
    "/models/{model}/update-policy",
    summary="What an update must pass, and what starts one",
    responses=problems(ModelNotFound),
)
async def show_update_policy(model: Named, session: Session) -> UpdatePolicyView:
    """The rules that are checked before any update of this model begins, its training pipeline, and
    the triggers that start an update by themselves."""
    found = await registry.model(session, model)
    return policy_view(found.name, await queries.policy_row(session, found.id))


@router.put(
    "/models/{model}/update-policy",
    summary="Set what an update must pass, and what starts one",
    responses=problems(ModelNotFound),
)
async def replace_update_policy(
    model: Named,
    *,
    body: Annotated[NewUpdatePolicy, Body(openapi_examples=examples.POLICY)],
    session: Session,
    resources: Shared,
    actor: Actor,
    now: Now,
) -> UpdatePolicyView:
    """Replaces the policy of this model; an empty body brings back the standard.

    A rule whose check fails refuses the update, or with `severity: warning` only says so; one that
    could not be checked refuses it where it is `required`. `entry_point` and `webhook` are asked
    and answer as gates do. A threshold whose action is `retrain` starts what `on` says under
    `drift` or `performance`; the first version that is trained on a new `dataset_version` starts
    what it says under `new_data`.
    """
    for rule in body.rules:
        if isinstance(rule.check, WebhookGate):
            resources.calls.check(rule.check.url)
    if body.retraining is not None:
        resources.calls.check(body.retraining.url)
    row = await request.set_policy(
        session, model, body.policy, actor=actor, now=now, reason=body.reason
    )
    return policy_view(model, row)
