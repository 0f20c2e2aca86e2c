from typing import Annotated, Final

from fastapi import Body, Path, Query

from turnout import http
from turnout.errors import Unprocessable
from turnout.experiments import examples, queries
from turnout.experiments.clearing import (
    AS_PLANNED,
    NOTHING_SAID,
    ConcludeBody,
    ConclusionCleared,
    Identified,
    StartBody,
    StartCleared,
)
from turnout.experiments.commands import order
from turnout.experiments.commands.create import KeyTaken, NotDeletable, create, delete_draft
from turnout.experiments.commands.start import ExperimentUnderWay, start
from turnout.experiments.domain.machine import Order, VerbRefused
from turnout.experiments.domain.plan import Plan
from turnout.experiments.domain.segments import compare_segments
from turnout.experiments.domain.state import Status
from turnout.experiments.queries import AnalysisNotFound, ExperimentNotFound
from turnout.experiments.schemas import (
    AnalysisSummary,
    AnalysisView,
    ExperimentView,
    Segments,
    StepView,
    analysis_summary,
    analysis_view,
    experiment_view,
    experiment_views,
    step_view,
)
from turnout.http import Actor, Listing, Now, Page, Paging, Reason, Session
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.fields import Label
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.traffic.domain.split import SplitOwned

router = http.router("experiments")

Named = Annotated[str, Path(examples=["fraud-detection"])]
LARGEST_NUMBER: Final = 2**31 - 1


@router.post(
    "/models/{model}/experiments",
    status_code=201,
    summary="Plan an experiment",
    responses=problems(ModelNotFound, VersionNotFound, KeyTaken),
)
async def create_experiment(
    model: Named,
    body: Annotated[Plan, Body(openapi_examples=examples.PLAN)],
    session: Session,
    *,
    actor: Actor,
    now: Now,
    reason: Reason = None,
) -> ExperimentView:
    """Writes down a draft: which versions are compared, on which goal, by which rules. No traffic
    moves before it is started, and the start locks the plan.

    One `goal` decides. `secondary` metrics are shown beside it, `guardrails` take the treatments
    off the road as soon as one fails. Without `target_sample_size`, the start works out how many
    units are needed from what the control did before. `key` is unique within the model.
    """
    made = await create(session, model, body, actor=actor, now=now, reason=reason)
    return await experiment_view(session, made, now)


@router.get("/experiments", summary="All experiments", responses=problems(ModelNotFound))
async def list_experiments(
    session: Session,
    page: Paging,
    now: Now,
    *,
    model: Annotated[str | None, Query(description="Only of this model")] = None,
    status: Annotated[Status | None, Query(description="Only with this status")] = None,
    key: Annotated[Label | None, Query(description="Only with this key")] = None,
) -> Listing[ExperimentView]:
    """Experiments, newest first, each with where it stands and what it waits for."""
    rows = await queries.experiments(
        session,
        model_id=None if model is None else (await registry.model(session, model)).id,
        status=status,
        key=key,
        limit=page.limit + 1,
        before=_number(page),
    )
    return Listing(
        items=await experiment_views(session, rows[: page.limit], now),
        next_cursor=page.cursor(rows, lambda row: (row.seq,)),
    )


@router.get(
    "/experiments/{experiment_id}",
    summary="One experiment",
    responses=problems(ExperimentNotFound),
)
async def show_experiment(experiment_id: Identified, session: Session, now: Now) -> ExperimentView:
    """Where it stands: its status and plan, what the newest analysis recommends, and what it
    waits for; once it has ended, its conclusion and which version answers since."""
    found = await queries.experiment(session, experiment_id)
    return await experiment_view(session, found, now)


@router.delete(
    "/experiments/{experiment_id}",
    status_code=204,
    summary="Delete a draft",
    responses=problems(ExperimentNotFound, NotDeletable),
)
async def delete_experiment(
    experiment_id: Identified, session: Session, actor: Actor, now: Now, reason: Reason = None
) -> None:
    """Deletes an experiment that was never started, and frees its key. What was started is kept:
    stop it instead."""
    await delete_draft(session, experiment_id, actor=actor, now=now, reason=reason)


@router.post(
    "/experiments/{experiment_id}/start",
    summary="Start",
    responses=problems(ExperimentNotFound, ExperimentUnderWay, VerbRefused, SplitOwned),
)
async def start_experiment(
    experiment_id: Identified,
    cleared: StartCleared,
    session: Session,
    *,
    actor: Actor,
    now: Now,
    body: StartBody = NOTHING_SAID,
) -> ExperimentView:
    """Locks the plan and splits the model's traffic by it; from here on the worker watches.

    Health and guardrails are judged at every tick, the goal up to two hundred times over
    `max_duration`: however often it is looked at, the error rate stays what `confidence_level`
    promises. With `auto_conclude` the experiment ends by itself when the answer is clear.

    Refused while a rollout or another experiment decides where the model's traffic goes, and,
    with the figures, when the plan leaves the sample size open and there is nothing to work it
    out from, or the model's traffic cannot reach it within `max_duration`. Where the plan says
    `promote_winner`, slow gates before production are run first, and found for the day it ends.
    """
    found = await start(session, experiment_id, body, actor=actor, now=now)
    return await experiment_view(session, found, now)


@router.post(
    "/experiments/{experiment_id}/pause",
    summary="Pause",
    responses=problems(ExperimentNotFound, VerbRefused),
)
async def pause_experiment(
    experiment_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.PAUSE)] = NOTHING_SAID,
) -> ExperimentView:
    """Gives all traffic to the control, until you resume; the time until then does not count.

    Outcomes of what was answered before go on being counted, and the guardrails stay armed.
    """
    found = await order.pause(session, experiment_id, body, actor=actor, now=now)
    return await experiment_view(session, found, now)


@router.post(
    "/experiments/{experiment_id}/resume",
    summary="Resume",
    responses=problems(ExperimentNotFound, VerbRefused),
)
async def resume_experiment(
    experiment_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.RESUME)] = NOTHING_SAID,
) -> ExperimentView:
    """Goes on after a pause: every unit gets the version that it had before, and is counted on.

    Refused where the experiment paused by itself because its figures cannot be believed.
    """
    found = await order.resume(session, experiment_id, body, actor=actor, now=now)
    return await experiment_view(session, found, now)


@router.post(
    "/experiments/{experiment_id}/stop",
    summary="Stop without a conclusion",
    responses=problems(ExperimentNotFound, VerbRefused),
)
async def stop_experiment(
    experiment_id: Identified,
    session: Session,
    actor: Actor,
    now: Now,
    body: Annotated[Order, Body(openapi_examples=examples.STOP)] = NOTHING_SAID,
) -> ExperimentView:
    """Ends the experiment and gives all traffic to the control. Nothing is concluded from it;
    what it has shown is kept."""
    found = await order.stop(session, experiment_id, body, actor=actor, now=now)
    return await experiment_view(session, found, now)


@router.post(
    "/experiments/{experiment_id}/conclude",
    summary="Conclude",
    responses=problems(ExperimentNotFound, VerbRefused),
)
async def conclude_experiment(
    experiment_id: Identified,
    cleared: ConclusionCleared,
    session: Session,
    *,
    actor: Actor,
    now: Now,
    body: ConcludeBody = AS_PLANNED,
) -> ExperimentView:
    """Looks once more and ends with what that says; while nothing is clear, the control stays. A
    treatment that has won by then is the winner, though another might yet have proved better.

    With `promote_winner` (or where the plan says so) the winner goes into production and gets all
    traffic, once its gate policy lets it in: slow gates are run first, unless they have passed
    just now. Otherwise the control does. Asking for it is refused where there is no winner.
    """
    found = await order.conclude(session, experiment_id, body, actor=actor, now=now)
    return await experiment_view(session, found, now)


@router.get(
    "/experiments/{experiment_id}/analysis",
    summary="The newest analysis",
    responses=problems(ExperimentNotFound, AnalysisNotFound),
)
async def show_analysis(experiment_id: Identified, session: Session) -> AnalysisView:
    """What the figures say and what follows from it, in words (`recommendation`) and in numbers:
    effect, interval and p-value on the goal, each treatment, secondary metrics, guardrails, and
    whether the figures can be believed (`health`, `sample_ratio`)."""
    await queries.experiment(session, experiment_id)
    return analysis_view(await queries.analysis(session, experiment_id))


@router.post(
    "/experiments/{experiment_id}/analyses",
    status_code=201,
    summary="Analyse now",
    responses=problems(ExperimentNotFound, VerbRefused),
)
async def analyse_experiment(experiment_id: Identified, session: Session, now: Now) -> AnalysisView:
    """Looks at the goal now instead of at the next scheduled time. Looking more often costs
    nothing but a little of the chance to find an effect late: the error rate stays as promised.

    Moves no traffic. Where the experiment concludes by itself, the worker's next tick acts on
    what this look has found.
    """
    return analysis_view(await order.analyse(session, experiment_id, now=now))


@router.get(
    "/experiments/{experiment_id}/analyses",
    summary="All analyses",
    responses=problems(ExperimentNotFound),
)
async def list_analyses(
    experiment_id: Identified, session: Session, page: Paging
) -> Listing[AnalysisSummary]:
    """Every analysis in short, newest first: how effect and interval came to be what they are.

    One is stored at each look at the goal, and whenever a guardrail or a health check says
    something new. None is ever changed.
    """
    await queries.experiment(session, experiment_id)
    rows = await queries.analyses(
        session, experiment_id, limit=page.limit + 1, before=_number(page)
    )
    return Listing(
        items=[analysis_summary(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.number,)),
    )


@router.get(
    "/experiments/{experiment_id}/analyses/{number}",
    summary="One analysis",
    responses=problems(ExperimentNotFound, AnalysisNotFound),
)
async def show_past_analysis(
    experiment_id: Identified,
    number: Annotated[int, Path(ge=1, le=LARGEST_NUMBER, examples=[1])],
    session: Session,
) -> AnalysisView:
    """An analysis in full, by its number in the list, exactly as it was made then."""
    await queries.experiment(session, experiment_id)
    return analysis_view(await queries.analysis(session, experiment_id, number))


@router.get(
    "/experiments/{experiment_id}/history",
    summary="What happened, step by step",
    responses=problems(ExperimentNotFound),
)
async def show_experiment_history(
    experiment_id: Identified, session: Session, page: Paging
) -> Listing[StepView]:
    """Every step in the order taken: who or what decided, why, and on which analysis."""
    await queries.experiment(session, experiment_id)
    rows = await queries.history(
        session, experiment_id, limit=page.limit + 1, after=_number(page) or 0
    )
    return Listing(
        items=[step_view(row) for row in rows[: page.limit]],
        next_cursor=page.cursor(rows, lambda row: (row.step,)),
    )


@router.get(
    "/experiments/{experiment_id}/segments",
    summary="The goal by segment",
    responses=problems(ExperimentNotFound),
)
async def show_segments(
    experiment_id: Identified,
    session: Session,
    now: Now,
    attribute: Annotated[
        Label, Query(description="One that requests or predictions carry", examples=["country"])
    ],
) -> Segments:
    """For whom does a treatment do well? The goal among the units of each of the twenty largest
    segments, the others together.

    To learn from, not to decide by: the intervals hold for one look each, and whoever cuts often
    enough finds a difference by chance. Where the goal has a `maturity`, only predictions that are
    old enough count. From raw rows, which are kept for the retention time.
    """
    found = await queries.experiment(session, experiment_id)
    cut = await queries.cut(session, found, attribute, now=now)
    return Segments(
        attribute=attribute,
        metric=found.plan.goal.metric,
        segments=compare_segments(found.plan, cut),
    )


def _number(page: Page) -> int | None:
    match page.after:
        case None:
            return None
        case (int(number),) if 0 <= number <= LARGEST_NUMBER:
            return number
    raise Unprocessable(
        "cursor is not of this list: use `next_cursor` of the page before", field="query.cursor"
    )
