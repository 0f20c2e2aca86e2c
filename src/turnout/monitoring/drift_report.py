"""What the drift report is made of, read for one model."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.drift import queries as drift
from turnout.errors import NotFound
from turnout.monitoring import queries
from turnout.monitoring.domain.advice import advice
from turnout.monitoring.domain.anomalies import HOURS, Anomalies, anomalies
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.report import (
    DriftView,
    FigureView,
    Serving,
    VersionDriftView,
    figure,
    in_words,
    version_drift,
)
from turnout.monitoring.domain.thresholds import Drift, Rule
from turnout.monitoring.domain.watch import Watch
from turnout.monitoring.drift_looks import TRAFFIC
from turnout.observations.domain.figures import Figures
from turnout.observations.points import IntervalFigures, points
from turnout.observations.volume import volumes
from turnout.registry.domain.version import ModelRef
from turnout.traffic import queries as traffic

HOUR = timedelta(hours=1)

Judged = Mapping[int, list[tuple[Rule, Judgement]]]


class VersionNotServing(NotFound):
    def __init__(self, model: str, version: str, serving: Collection[str]) -> None:
        super().__init__(
            f"{version} does not answer for {model} now, and only what answers is watched:"
            f" {', '.join(serving) or 'nothing does'}",
            model=model,
            version=version,
            serving=[*serving],
        )


async def drift_report(
    session: AsyncSession,
    model: ModelRef,
    limits: Drift,
    *,
    version: str | None = None,
    now: datetime,
) -> DriftView:
    """Of all versions that serve, or of one of them."""
    split = await traffic.active_split(session, model.id)
    serving = {one.version_id: one.version for one in split.serving if one.weight} if split else {}
    if version is not None and version not in serving.values():
        raise VersionNotServing(model.name, version, sorted(serving.values()))
    judged, traffic_now = await _judged(session, model.id, serving, limits, now)
    volume = await volumes(session, [model.id], now=now) if traffic_now else {}
    every = await _versions(session, model.id, serving, limits, judged, now=now)
    versions = [one for one in every if version in {None, one.version}]
    verdict, summary = in_words(versions, traffic_now)
    return DriftView(
        model=model.name,
        since=now - limits.window,
        until=now,
        verdict=verdict,
        summary=summary,
        advice=advice(model.name, versions, traffic_now),
        limits=limits,
        versions=versions,
        traffic=traffic_now,
        volume=volume.get(model.id),
        anomalies=await _anomalies(session, model.id, serving, limits, now=now),
    )


async def _judged(
    session: AsyncSession, model_id: int, serving: Mapping[int, str], limits: Drift, now: datetime
) -> tuple[Judged, FigureView | None]:
    """By version, and apart what is the same for all."""
    found = [
        (model_id, rule, Watch(version_id=version_id, rule=rule.key))
        for version_id in sorted(serving)
        for rule in limits.rules
    ]
    judgements = await queries.judged(session, found, {model_id: serving}, now)
    by_version: dict[int, list[tuple[Rule, Judgement]]] = defaultdict(list)
    volume = None
    for (_, rule, watch), judgement in zip(found, judgements, strict=True):
        if rule.metric == TRAFFIC:
            volume = figure(rule, judgement)
        else:
            by_version[watch.version_id].append((rule, judgement))
    return by_version, volume


async def _versions(
    session: AsyncSession,
    model_id: int,
    serving: Mapping[int, str],
    limits: Drift,
    judged: Judged,
    *,
    now: datetime,
) -> list[VersionDriftView]:
    baselines = await drift.baselines(session, serving)
    provenances = await drift.provenances(session, serving)
    evidence = await drift.gathered(
        session, baselines, {model_id: tuple(serving)}, window=limits.window, now=now
    )
    answered = await _answered(session, model_id, limits, now=now)
    views = []
    for version_id, version in sorted(serving.items()):
        known = Serving(
            version=version,
            provenance=provenances.get(version_id),
            baseline=baselines.get(version_id),
            answered=answered[version_id],
        )
        found = evidence.get(version_id)
        beside = serving.get(found.beside.version_id) if found and found.beside else None
        views.append(version_drift(known, found, judged.get(version_id, ()), beside))
    return views


async def _answered(
    session: AsyncSession, model_id: int, limits: Drift, *, now: datetime
) -> Mapping[int, int]:
    """By version, from the hour on that the window reaches into, as features are counted."""
    since = (now - limits.window).replace(minute=0, second=0, microsecond=0)
    found = await points(
        session, model_id, since=since, until=now, every=limits.window, sketched=False
    )
    answered: dict[int, int] = defaultdict(int)
    for one in found:
        answered[one.version_id] += one.figures.predictions
    return answered


async def _anomalies(
    session: AsyncSession,
    model_id: int,
    serving: Mapping[int, str],
    limits: Drift,
    *,
    now: datetime,
) -> Anomalies:
    hour = now.replace(minute=0, second=0, microsecond=0) - HOUR
    found = await points(
        session, model_id, since=hour - HOURS * HOUR, until=hour + HOUR, every=HOUR
    )
    return anomalies(_by_version(found, serving), hour, sensitivity=limits.anomaly_sensitivity)


def _by_version(
    found: Sequence[IntervalFigures], serving: Mapping[int, str]
) -> dict[str, dict[datetime, Figures]]:
    hours: dict[str, dict[datetime, Figures]] = {version: {} for version in serving.values()}
    for one in found:
        if one.version_id in serving:
            hours[serving[one.version_id]][one.starts] = one.figures
    return hours
