from typing import Annotated, Final

from fastapi import Body

from turnout import http
from turnout.gates.domain.outcome import GatesNotPassed
from turnout.http import Actor, Calling, Now, Session
from turnout.problems import problems
from turnout.rollouts import examples
from turnout.rollouts.clearing import ONCE_MORE, Identified, RetryBody, RetryCleared
from turnout.rollouts.commands import order
from turnout.rollouts.commands.refusals import Quarantined, RolloutUnderWay
from turnout.rollouts.commands.retry import NothingToRetry, retry
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion
from turnout.rollouts.domain.replan import PlanDoesNotFit, Replan
from turnout.rollouts.domain.verbs import InFreezeWindow, StageMoved
from turnout.rollouts.queries import RolloutNotFound
from turnout.rollouts.schemas import RolloutView, rollout_view

router = http.router("rollouts")

NOTHING_SAID: Final = Order()
GO_ON: Final = Advance()
NEXT_STAGE: Final = Promotion()


@router.post(
    "/rollouts/{rollout_id}/approve",
    summary="Approve a stage that waits for it",
    responses=problems(RolloutNotFound, StageMoved, InFreezeWindow),
)
async def approve_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Advance, Body(openapi_examples=examples.APPROVAL)] = GO_ON,
) -> RolloutView:
    """Lets a rollout in phase `awaiting_approval` go on to its next stage.

    The approval is the last gate: it is refused, with what is still missing, before the bake time
    is over and the guardrails have passed, and in a freeze window unless `override_freeze` is set,
    with a reason.
    """
    rollout = await order.approve(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/pause",
    summary="Pause",
    responses=problems(RolloutNotFound, StageMoved),
)
async def pause_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.PAUSE)] = NOTHING_SAID,
) -> RolloutView:
    """Stops the timer and leaves the traffic as it is, until you resume.

    The guardrails stay armed: a candidate that does harm is rolled back while paused, too. Refused
    while a guardrail fails: the rollback is under way, and only an abort goes before it.
    """
    rollout = await order.pause(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/resume",
    summary="Resume",
    responses=problems(RolloutNotFound, StageMoved),
)
async def resume_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.RESUME)] = NOTHING_SAID,
) -> RolloutView:
    """Goes on after a pause, with what was left of the bake time.

    Where the rollout paused by itself, for want of evidence, the stage starts afresh: full bake
    time, and what was seen before is kept but not counted again. Refused while a guardrail fails.
    """
    rollout = await order.resume(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/promote",
    summary="Promote by hand",
    responses=problems(RolloutNotFound, StageMoved, InFreezeWindow),
)
async def promote_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Promotion, Body(openapi_examples=examples.PROMOTION)] = NEXT_STAGE,
) -> RolloutView:
    """Goes on to the next stage now, without waiting for the rest of this one; from the last
    stage, finishes the rollout.

    With `"full": true`, goes straight to the last stage, where the guardrails watch the candidate
    at 100 % for its bake time. Send `expected_stage` (the `stage.index` you are looking at) to be
    refused, instead of skipping a stage you have not seen, when the rollout has moved on
    meanwhile. Refused while a guardrail fails, and in a freeze window unless `override_freeze` is
    set, with a reason.
    """
    rollout = await order.promote(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/skip",
    summary="Skip the rest of a stage in an emergency",
    responses=problems(RolloutNotFound, StageMoved),
)
async def skip_stage(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Emergency, Body(openapi_examples=examples.SKIP)],
) -> RolloutView:
    """Ends the stage now, although its guardrails have not passed, in whatever it waits for:
    bake time, evidence, an approval, a freeze window.

    For emergencies: the history and the audit log call it `skipped`, with the reason, which is
    required. Only a guardrail that fails goes before; its rollback cannot be skipped.
    """
    rollout = await order.skip(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.put(
    "/rollouts/{rollout_id}/stages",
    summary="Change the stages to come",
    responses=problems(RolloutNotFound, StageMoved, PlanDoesNotFit),
)
async def replace_stages(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Replan, Body(openapi_examples=examples.REPLAN)],
) -> RolloutView:
    """Replaces the stages from the next one on; the present stage goes on as it is, with all it
    has seen. The rollout's `plan.version` goes up by one, and the history keeps who and why.

    Refused while a guardrail fails, when they do not fit behind the present stage (weights rise,
    and a plan that promotes ends at 100 %), when there would be more guardrails that may roll back
    than at the start, and in the last stage.
    """
    rollout = await order.replan(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/abort",
    summary="Abort",
    responses=problems(RolloutNotFound, StageMoved),
)
async def abort_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.ABORT)] = NOTHING_SAID,
) -> RolloutView:
    """Ends the rollout and gives all traffic back to the baseline. Possible in any phase
    until it has ended, also before it has begun.

    Nothing is held against the candidate: it may be started again at any time. To take a bad
    version off the road and keep it off, roll back instead. What is being rolled back already
    stays that, and has no traffic left at once.
    """
    rollout = await order.abort(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/rollback",
    summary="Roll back by hand",
    responses=problems(RolloutNotFound, StageMoved),
)
async def rollback_rollout(
    rollout_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.ROLLBACK)] = NOTHING_SAID,
) -> RolloutView:
    """Takes the candidate off the road: all traffic to the baseline, on every replica within
    milliseconds. Always possible while the rollout is under way, in any phase.

    Where the plan says `rollback_over`, the candidate's share goes down by quarters in that time
    (phase `rolling_back`): to have it go at once, roll back a second time.

    The candidate is quarantined: starting it again needs `override_quarantine` and a reason. When
    the rollout has succeeded already, use `POST /models/{model}/rollback`.
    """
    rollout = await order.roll_back(session, rollout_id, body, actor=actor, now=now)
    return await rollout_view(session, rollout, now)


@router.post(
    "/rollouts/{rollout_id}/retry",
    status_code=201,
    summary="Try again",
    responses=problems(
        RolloutNotFound, NothingToRetry, RolloutUnderWay, Quarantined, GatesNotPassed
    ),
)
async def retry_rollout(
    rollout_id: Identified,
    cleared: RetryCleared,
    session: Session,
    *,
    caller: Calling,
    actor: Actor,
    now: Now,
    body: RetryBody = ONCE_MORE,
) -> RolloutView:
    """Starts a new rollout of the same version by the same plan, from its first stage: nothing
    that was seen before counts again.

    For a rollout that was rolled back or aborted, or that failed. A version that was rolled back
    is quarantined, so `override_quarantine` and a reason are needed. Answers the new rollout,
    whose `retries` is the id of the one before. What went down with its group starts again with
    its group, under a new `group`, or is refused together. A plan that takes the place of another
    rollout does so again: a key that is confined to some models must be for all of that one's
    release group. Slow gates are run first, unless they have passed just now.
    """
    rollout = await retry(
        session, rollout_id, body, actor=actor, now=now, confined_to=caller.models
    )
    return await rollout_view(session, rollout, now)
