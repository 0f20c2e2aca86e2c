from typing import Annotated

from fastapi import Body, Path

from turnout import http
from turnout.http import Actor, Calling, Listing, Now, Paging, Session
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound
from turnout.rollouts import examples, queries
from turnout.rollouts.commands.freeze import set_freeze_windows
from turnout.rollouts.commands.restore import NoProvenVersion, concerned, restore
from turnout.rollouts.domain.freezes import FreezeWindows
from turnout.rollouts.domain.orders import Restoration
from turnout.rollouts.paging import number
from turnout.rollouts.schemas import RollbackView, RolloutView, rollback_views, rollout_view

router = http.router("rollouts")

Named = Annotated[str, Path(examples=["fraud-detection"])]


@router.get(
    "/models/{model}/freeze-windows",
    summary="Freeze windows: when rollouts hold",
    responses=problems(ModelNotFound),
)
async def show_freeze_windows(model: Named, session: Session) -> FreezeWindows:
    """The windows in which no rollout of this model goes forward; none until some are set."""
    found = await registry.model(session, model)
    return (await queries.freeze_windows(session, [found.id])).get(found.id, FreezeWindows())


@router.put(
    "/models/{model}/freeze-windows",
    summary="Set the freeze windows",
    responses=problems(ModelNotFound),
)
async def replace_freeze_windows(
    model: Named,
    body: Annotated[FreezeWindows, Body(openapi_examples=examples.FREEZE_WINDOWS)],
    session: Session,
    actor: Actor,
    now: Now,
) -> FreezeWindows:
    """Replaces all freeze windows of this model. In a window no rollout starts, advances or
    finishes by itself; a guardrail that fails still rolls back, and you may always abort.

    `weekly` windows repeat: `from` and `to` are times of the day in `zone`, so they keep to the
    clocks on the wall when those change; a `to` that is not later than `from` is on the next day.
    `once` windows name their moments. To advance by hand in a window, set `override_freeze` there.
    """
    await set_freeze_windows(session, model, body, actor=actor, now=now)
    return body


@router.post(
    "/models/{model}/rollback",
    summary="Go back to an earlier version",
    responses=problems(ModelNotFound, NoProvenVersion),
)
async def rollback_model(
    model: Named,
    body: Annotated[Restoration, Body(openapi_examples=examples.RESTORATION)],
    session: Session,
    *,
    caller: Calling,
    actor: Actor,
    now: Now,
) -> RolloutView:
    """Takes the version that answers now off the road, whether or not a rollout is under way.

    A rollout under way is rolled back to its baseline, and its release group with it: a key that is
    confined to some models must be for all of the group's. Otherwise all traffic goes at once to
    `to_version`, or, without it, to the version that last succeeded in a rollout and was not
    taken off the road since. What leaves is quarantined. Answers the rollout that did it.
    """
    caller.check_concerned(await concerned(session, model))
    return await rollout_view(
        session, await restore(session, model, body, actor=actor, now=now), now
    )


@router.get(
    "/models/{model}/rollbacks", summary="Past rollbacks", responses=problems(ModelNotFound)
)
async def list_rollbacks(model: Named, session: Session, page: Paging) -> Listing[RollbackView]:
    """Every time a version of this model was taken off the road, newest first: when, by whom or
    by which guardrail, and to which version."""
    found = await registry.model(session, model)
    rows = await queries.rollbacks(session, found.id, limit=page.limit + 1, before=number(page))
    return Listing(
        items=await rollback_views(session, rows[: page.limit]),
        next_cursor=page.cursor(rows, lambda row: (row[1].seq,)),
    )
