"""The planner over HTTP: it rehearses a start, and changes nothing."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Body, Path
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.callers import Role, needs
from turnout.errors import Conflict
from turnout.http import Actor, Now, Session
from turnout.observations import history
from turnout.observations.domain.guardrails import PROPORTIONS, Guardrail
from turnout.observations.domain.metric import Metric
from turnout.observations.domain.pace import Pace
from turnout.observations.waves import waves
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.rollouts import examples, queries
from turnout.rollouts.commands.start import start
from turnout.rollouts.domain.goal_outlook import GoalPast
from turnout.rollouts.domain.goals import StageGoal
from turnout.rollouts.domain.outlook import History, Known
from turnout.rollouts.domain.plan import Launch, Plan
from turnout.rollouts.domain.planner import RolloutForecast, forecast
from turnout.stats.baseline import Baseline
from turnout.stats.effect import per_exposed_unit

router = http.router("rollouts")

Named = Annotated[str, Path(examples=["fraud-detection"])]
OF_EVERY_PREDICTION: Final = frozenset({"error_rate", "success_rate", "latency_mean"})


@router.post(
    "/models/{model}/rollouts/plan",
    summary="Ask before a start: how long, and can it conclude?",
    responses=problems(ModelNotFound, VersionNotFound),
)
@needs(Role.VIEWER)
async def plan_rollout(
    model: Named,
    body: Annotated[Launch, Body(openapi_examples=examples.LAUNCH)],
    session: Session,
    actor: Actor,
    now: Now,
) -> RolloutForecast:
    """Takes what starts a rollout, and starts none: `refusal` says why it would be refused now.

    For each stage it answers, at the pace of the last week, how many predictions candidate and
    baseline make by the end of the bake time; for each guardrail, when it has what a pass takes
    (`decides_after`, later where labels come late), whether that is in time, and the least harm
    that it shows by then with a chance of 80 % (`shows`). A stage that cannot conclude would
    pause the rollout: give it more weight, a longer `max_duration`, or fewer `min_samples`.
    """
    found = await registry.model(session, model)
    candidate = await registry.version(session, found.id, body.candidate)
    rehearsal = await _rehearse(session, model, body, actor=actor, now=now)
    # Refused or queued, it has none yet.
    baseline_id = rehearsal.baseline_id or await _beside(session, found.id, body.baseline)
    plan = body.plan()
    past = History()
    if baseline_id is not None:
        past = await _history(session, found.id, baseline_id, plan, now=now)
    versions = await registry.versions_by_id(session, [baseline_id] if baseline_id else [])
    return await asyncio.to_thread(
        forecast,
        plan,
        past,
        candidate=candidate.version,
        baseline=versions[baseline_id].version if baseline_id else None,
        refusal=rehearsal.refusal,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    refusal: str | None = None
    baseline_id: int | None = None


async def _rehearse(
    session: AsyncSession, model: str, launch: Launch, *, actor: str, now: datetime
) -> Rehearsal:
    """Start the rollout, and take all of it back."""
    stage = await session.begin_nested()
    try:
        rollout = await start(session, model, launch, actor=actor, now=now)
        return Rehearsal(baseline_id=rollout.baseline_id)
    except Conflict as refusal:
        return Rehearsal(refusal=refusal.detail)
    finally:
        await stage.rollback()


async def _beside(session: AsyncSession, model_id: int, named: str | None) -> int | None:
    """The version that the candidate would be compared with."""
    if named is not None:
        return (await registry.version(session, model_id, named)).id
    serving = await queries.answering(session, model_id)
    if serving:
        return serving[0].id
    current = await registry.current_version(session, model_id)
    return current.id if current else None


def _limits(plan: Plan) -> list[Guardrail]:
    return [limit for index in range(len(plan.stages)) for limit in plan.limits(index)]


async def _history(
    session: AsyncSession,
    model_id: int,
    version_id: int,
    plan: Plan,
    *,
    now: datetime,
) -> History:
    pace = await history.pace(session, model_id, now=now)
    metrics = {}
    for limit in {limit.series: limit for limit in _limits(plan)}.values():
        known = await _known(session, model_id, version_id, limit)
        if known is not None:
            metrics[limit.series] = known
    goals = {
        stage.goal: await _goal_past(session, model_id, version_id, stage.goal, pace)
        for stage in plan.stages
        if stage.goal is not None
    }
    limits = list(dict.fromkeys(_limits(plan)))
    swaying = await waves(session, limits, model_id=model_id, version_id=version_id, now=now)
    return History(
        predictions_per_day=pace.predictions_per_day if pace else None,
        metrics=metrics,
        goals=goals,
        waves={limit: one for limit, one in zip(limits, swaying, strict=True) if one},
    )


async def _known(
    session: AsyncSession, model_id: int, version_id: int, limit: Guardrail
) -> Known | None:
    """None for a metric that has not been reported yet."""
    if limit.quantile is not None or limit.paired:
        return Known(per_prediction=1.0)
    exposed = await history.recent_totals(session, model_id, version_id, "error_rate")
    found = await history.recent_totals(session, model_id, version_id, limit.metric)
    if not found.n or not exposed.n:
        return Known(per_prediction=1.0) if limit.metric in OF_EVERY_PREDICTION else None
    return Known(
        per_prediction=found.n / exposed.n,
        units_per_event=found.units / found.n,
        baseline=Baseline.of(found, proportion=limit.metric in PROPORTIONS),
        delay=await _delay(session, model_id, limit),
    )


async def _goal_past(
    session: AsyncSession, model_id: int, version_id: int, goal: StageGoal, pace: Pace | None
) -> GoalPast:
    exposed = await history.recent_totals(session, model_id, version_id, "error_rate")
    found = await history.recent_totals(session, model_id, version_id, goal.metric)
    units = pace.units_per_day if pace else None
    # An outcome may be folded a moment before the prediction that it speaks of.
    if not 0 < found.units <= exposed.units:
        return GoalPast(units_per_day=units)
    per_unit = goal.per == "unit"
    totals = per_exposed_unit(exposed, found) if per_unit else found
    share = 1.0 if per_unit else found.units / exposed.units
    return GoalPast(
        units_per_day=None if units is None else units * share,
        baseline=Baseline.of(totals, proportion=goal.proportion),
        delay=await _delay(session, model_id, goal),
    )


async def _delay(session: AsyncSession, model_id: int, metric: Guardrail | Metric) -> timedelta:
    """Until most outcomes are in, and as old as they must be to count."""
    found = await history.label_delay(session, model_id, metric.metric)
    return max(found.p90 if found else timedelta(), metric.maturity or timedelta())
