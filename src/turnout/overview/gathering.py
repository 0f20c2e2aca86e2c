"""Everything about many models at once: the number of queries does not depend on how many."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts import queries as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.alerts.domain import State as AlertState
from turnout.automation import queries as automation
from turnout.automation.domain.update import UpdateState
from turnout.experiments import queries as experiments
from turnout.experiments.domain.state import Status
from turnout.observations.domain.figures import Figures, whole_minutes
from turnout.observations.recent import Recent, recent
from turnout.overview.domain import Health, health
from turnout.quantities import Duration, Weight
from turnout.registry import queries as registry
from turnout.rollouts import queries as rollouts
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.progress import exposure
from turnout.traffic import queries as traffic
from turnout.traffic.domain.assignment import Route

LATELY: Final = timedelta(minutes=15)
ALERTS: Final = 20
_WAITING: Final = frozenset({Phase.PAUSED, Phase.AWAITING_APPROVAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingNow:
    """A version that answers, and what it did of late; latencies in milliseconds."""

    version: str
    weight: Weight
    predictions: int
    error_rate: float | None
    accuracy: float | None
    latency_mean: float | None
    latency_p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutNow:
    id: UUID
    candidate: str
    phase: Phase
    weight: Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentNow:
    id: UUID
    key: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateNow:
    id: UUID
    state: UpdateState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNow:
    """`health` is `critical` or `attention` while an alert of that severity is open, `attention`
    also while a rollout or an experiment waits for a person, and `idle` where nothing answers."""

    model: str
    health: Health
    serving: Sequence[ServingNow]
    alerts: Mapping[Severity, int]
    rollouts: Sequence[RolloutNow]
    experiment: ExperimentNow | None
    updates: Sequence[UpdateNow]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNow:
    id: int
    severity: Severity
    state: AlertState
    kind: Kind
    model: str | None
    summary: str
    fired_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of all models, whatever page is shown: how many there are, how many alerts are open, and
    what goes on."""

    models: int
    alerts: Mapping[Severity, int]
    rollouts: Mapping[Phase, int]
    experiments: Mapping[Status, int]
    updates: Mapping[UpdateState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The health of everything. `alerts` are the twenty that matter most: critical ones first, then
    the newest. Figures of versions are those of the last `window`."""

    at: datetime
    health: Health
    window: Duration
    totals: Totals
    alerts: Sequence[AlertNow]
    models: Sequence[ModelNow]
    next_cursor: str | None


async def totals(
    session: AsyncSession,
    names: Collection[str] | None,
    open_alerts: Mapping[str | None, Mapping[Severity, int]],
) -> Totals:
    """`names` are the models that the caller may see; None for all."""
    every = await registry.model_ids(session, names)
    ids = None if names is None else every
    running = [one.status for one in await experiments.under_way(session, ids)]
    return Totals(
        models=len(every),
        alerts={
            severity: count
            for severity in Severity
            if (count := sum(found.get(severity, 0) for found in open_alerts.values()))
        },
        rollouts=await rollouts.under_way(session, ids),
        experiments={status: running.count(status) for status in sorted(set(running))},
        updates=await automation.unfinished(session, model_ids=ids),
    )


async def alerts_now(session: AsyncSession, names: Collection[str] | None) -> list[AlertNow]:
    return [
        AlertNow(
            id=row.id,
            severity=row.severity,
            state=row.state,
            kind=row.kind,
            model=row.model,
            summary=row.summary,
            fired_at=row.fired_at,
        )
        for row in await alerts.newest_open(session, models=names, limit=ALERTS)
    ]


async def models_now(
    session: AsyncSession,
    models: Mapping[int, str],
    open_alerts: Mapping[str | None, Mapping[Severity, int]],
    *,
    now: datetime,
) -> list[ModelNow]:
    """Models by their ids, in the order given."""
    routes = {route.model.id: route for route in await traffic.routes(session, models.keys())}
    serving = await _serving(session, routes, now)
    rolling = await _rollouts(session, models.keys())
    trials = {one.model_id: one for one in await experiments.under_way(session, models.keys())}
    updates = await automation.unfinished_of(session, models.keys())
    found = []
    for model_id, name in models.items():
        trial = trials.get(model_id)
        waits = any(one.phase in _WAITING for one in rolling.get(model_id, ()))
        waits |= trial is not None and trial.status is Status.PAUSED
        own = open_alerts.get(name, {})
        found.append(
            ModelNow(
                model=name,
                health=health(own, serves=bool(serving.get(model_id)), waits=waits),
                serving=serving.get(model_id, ()),
                alerts=own,
                rollouts=rolling.get(model_id, ()),
                experiment=None
                if trial is None
                else ExperimentNow(id=trial.id, key=trial.key, status=trial.status),
                updates=[
                    UpdateNow(id=one.id, state=one.state, reason=one.reason)
                    for one in updates
                    if one.model_id == model_id
                ],
            )
        )
    return found


async def _serving(
    session: AsyncSession, routes: Mapping[int, Route], now: datetime
) -> dict[int, list[ServingNow]]:
    since, until = whole_minutes(now - LATELY, now)
    answering = [
        (model_id, variant)
        for model_id, route in routes.items()
        for variant in sorted(route.split.serving, key=lambda one: one.weight, reverse=True)
        if variant.weight
    ]
    wanted = [
        Recent(
            model_id=model_id,
            version_id=variant.version_id,
            since=since,
            until=until,
            sketched=True,
        )
        for model_id, variant in answering
    ]
    serving: dict[int, list[ServingNow]] = {}
    figures = await recent(session, wanted)
    for (model_id, variant), seen in zip(answering, figures, strict=True):
        shown = _shown(variant.version, variant.weight, seen)
        serving.setdefault(model_id, []).append(shown)
    return serving


def _shown(version: str, weight: int, seen: Figures) -> ServingNow:
    return ServingNow(
        version=version,
        weight=weight,
        predictions=seen.predictions,
        error_rate=seen.error_rate,
        accuracy=seen.accuracy,
        latency_mean=seen.latency.value,
        latency_p95=seen.latencies.quantile(0.95),
    )


async def _rollouts(
    session: AsyncSession, model_ids: Collection[int]
) -> dict[int, list[RolloutNow]]:
    unfinished = await rollouts.unfinished(session, model_ids)
    versions = await registry.versions_by_id(session, {one.candidate_id for one in unfinished})
    found: dict[int, list[RolloutNow]] = {}
    for one in unfinished:
        found.setdefault(one.model_id, []).append(
            RolloutNow(
                id=one.id,
                candidate=versions[one.candidate_id].version,
                phase=one.progress.phase,
                weight=exposure(one.plan, one.progress).weight,
            )
        )
    return found
