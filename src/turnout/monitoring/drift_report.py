"""What the drift report is made of, read for one model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.drift import queries as drift
from turnout.monitoring import queries
from turnout.monitoring.domain.anomalies import HOURS, Anomalies, anomalies
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.report import (
    DriftView,
    FigureView,
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
from turnout.registry.domain.version import ModelRef
from turnout.traffic import queries as traffic

HOUR = timedelta(hours=1)

Judged = Mapping[int, list[tuple[Rule, Judgement]]]


async def drift_report(
    session: AsyncSession, model: ModelRef, limits: Drift, *, now: datetime
) -> DriftView:
    split = await traffic.active_split(session, model.id)
    serving = {one.version_id: one.version for one in split.serving if one.weight} if split else {}
    judged, volume = await _judged(session, model.id, serving, limits, now)
    versions = await _versions(session, model.id, serving, limits, judged, now=now)
    verdict, summary = in_words(versions, volume)
    return DriftView(
        model=model.name,
        since=now - limits.window,
        until=now,
        verdict=verdict,
        summary=summary,
        limits=limits,
        versions=versions,
        traffic=volume,
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
    evidence = await drift.gathered(
        session, baselines, {model_id: tuple(serving)}, window=limits.window, now=now
    )
    views = []
    for version_id, version in sorted(serving.items()):
        found = evidence.get(version_id)
        beside = serving.get(found.beside.version_id) if found and found.beside else None
        views.append(
            version_drift(
                version, baselines.get(version_id), found, judged.get(version_id, ()), beside
            )
        )
    return views


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
