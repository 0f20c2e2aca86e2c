from typing import Annotated
from uuid import UUID

from fastapi import Query

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.gates.domain.outcome import GatesNotPassed
from turnout.http import Actor, Calling, Listing, Now, Paging, Session
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.rollouts import queries
from turnout.rollouts.clearing import (
    GroupBody,
    GroupCleared,
    Identified,
    LaunchBody,
    LaunchCleared,
    Named,
)
from turnout.rollouts.commands.group import launch_group
from turnout.rollouts.commands.refusals import Quarantined, RolloutUnderWay
from turnout.rollouts.commands.start import start
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.paging import number
from turnout.rollouts.queries import RolloutNotFound
from turnout.rollouts.schemas import (
    GroupView,
    LookView,
    RolloutView,
    StepView,
    look_view,
    present_view,
    rollout_view,
    rollout_views,
    step_view,
)

router = http.router("rollouts")


@router.post(
    "/models/{model}/rollouts",
    status_code=201,
    summary="Start a rollout",
    responses=problems(
        ModelNotFound, VersionNotFound, RolloutUnderWay, Quarantined, GatesNotPassed
    ),
)
async def start_rollout(
    model: Named,
    body: LaunchBody,
    *,
    cleared: LaunchCleared,
    session: Session,
    caller: Calling,
    actor: Actor,
    now: Now,
) -> RolloutView:
    """Takes a candidate from its first stage to 100 %, or off the road if it does harm.

    From here on it runs by itself: a stage ends when its bake time is over and every guardrail
    passes, and a guardrail that fails puts the baseline back, in whatever phase: at once, or by
    quarters `rollback_over` a time such as `2m`, for a baseline that must grow first. Without
    `stages`, the strategy's own list is used: `canary` goes up by 10 % every ten minutes.
    Without guardrails, these limits apply: error rate 10 %, mean latency 10 s, success rate 95 %.

    A model's first version goes live at once, because there is nothing to compare it with. With
    `starts_at` it begins later, with `start_approval` when a person has approved. While another
    rollout of this model is under way it is refused, or, by `on_conflict`, waits for its turn
    (`queue`) or takes the other's place (`supersede`). Refused, too, in a freeze window (unless
    `override_freeze` is set, with a reason), for a version that was rolled back before (unless
    `override_quarantine` is), and for one that its gate policy keeps out of production; slow gates
    are run first, unless they have passed just now.
    """
    rollout = await start(session, model, body, actor=actor, now=now, confined_to=caller.models)
    return await rollout_view(session, rollout, now)


@router.post(
    "/release-groups",
    status_code=201,
    summary="Start rollouts that go together",
    responses=problems(
        ModelNotFound, VersionNotFound, RolloutUnderWay, Quarantined, GatesNotPassed
    ),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def start_group(
    body: GroupBody,
    *,
    cleared: GroupCleared,
    session: Session,
    caller: Calling,
    actor: Actor,
    now: Now,
) -> GroupView:
    """Starts a rollout of each of these models, or none if one is refused.

    They enter each stage together: one that has passed waits for the others. If one is rolled
    back or aborted, by a guardrail or by a person, all go down with it from the same instant on,
    each in the time that its own plan takes for that. `promote`,
    `skip`, `abort` and `rollback` of any of them are for all of them; `approve`, `pause` and
    `resume` for the one alone. The plans must have the same number of stages. Slow gates are run
    first, as for a single rollout.
    """
    group_id, rollouts = await launch_group(
        session, body, actor=actor, now=now, confined_to=caller.models
    )
    return GroupView(id=group_id, rollouts=await rollout_views(session, rollouts, now))


@router.get("/rollouts", summary="All rollouts", responses=problems(ModelNotFound))
async def list_rollouts(
    session: Session,
    page: Paging,
    now: Now,
    *,
    model: Annotated[str | None, Query(description="Only of this model")] = None,
    phase: Annotated[Phase | None, Query(description="Only in this phase")] = None,
    group: Annotated[UUID | None, Query(description="Only of this release group")] = None,
) -> Listing[RolloutView]:
    """Rollouts, newest first, each with where it stands and what it waits for."""
    rows = await queries.rollouts(
        session,
        model_id=None if model is None else (await registry.model(session, model)).id,
        phase=phase,
        group_id=group,
        limit=page.limit + 1,
        before=number(page),
    )
    return Listing(
        items=await rollout_views(session, rows[: page.limit], now),
        next_cursor=page.cursor(rows, lambda row: (row.seq,)),
    )


@router.get("/rollouts/{rollout_id}", summary="One rollout", responses=problems(RolloutNotFound))
async def show_rollout(rollout_id: Identified, session: Session, now: Now) -> RolloutView:
    """Where it stands: phase and stage, the candidate's share of the traffic, what each guardrail
    says with its figures, and what the next step waits for."""
    return await present_view(session, await queries.rollout(session, rollout_id), now)


@router.get(
    "/rollouts/{rollout_id}/history",
    summary="What happened, step by step",
    responses=problems(RolloutNotFound),
)
async def show_history(rollout_id: Identified, session: Session, page: Paging) -> Listing[StepView]:
    """Every step in the order taken: who or what decided, why, and on which evidence."""
    await queries.rollout(session, rollout_id)
    rows = await queries.history(session, rollout_id, limit=page.limit + 1, after=number(page) or 0)
    return Listing(
        items=[step_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.step,)),
    )


@router.get(
    "/rollouts/{rollout_id}/evidence",
    summary="Every verdict with its figures",
    responses=problems(RolloutNotFound),
)
async def show_evidence(
    rollout_id: Identified, session: Session, page: Paging
) -> Listing[LookView]:
    """The looks at which a verdict changed or a step was taken, newest first.

    A finding names the estimates of both versions, the bound that the verdict follows from, and
    how many events it rests on. Nothing here is ever changed or overwritten.
    """
    await queries.rollout(session, rollout_id)
    rows = await queries.looks(session, rollout_id, limit=page.limit + 1, before=number(page))
    return Listing(
        items=[look_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.id,)),
    )
