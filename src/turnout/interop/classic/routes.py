"""Versions, performance, thresholds, rollback and feedback at the classic paths."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import Body, Depends, Path, Query
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.db import transaction
from turnout.gates.dependencies import Clearing
from turnout.gates.domain.outcome import GatesNotPassed
from turnout.http import Actor, Calling, Now, Session
from turnout.interop.classic import commands, examples, queries
from turnout.interop.classic.dependencies import PREFIX, TAG, UNMEANT, Meant, Retention
from turnout.interop.classic.schemas import (
    ClassicPerformance,
    ClassicThresholds,
    Feedback,
    FeedbackReceipt,
    NextVersions,
    Promoted,
    PromotionBody,
    RollbackBody,
    RollbackEvent,
    RollbackHistory,
    Snapshots,
    VersionEntry,
    Versions,
    metrics,
    receipt,
    rollback_event,
    snapshot,
    version_entry,
)
from turnout.monitoring import queries as thresholds
from turnout.monitoring.domain.thresholds import Standard
from turnout.observations import queries as observations
from turnout.observations.domain.figures import Figures, Mean, whole_minutes
from turnout.observations.points import points
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import (
    ModelRef,
    NoProductionVersion,
    VersionNotFound,
    VersionRef,
)
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands.refusals import Quarantined, RolloutUnderWay
from turnout.rollouts.commands.restore import NoProvenVersion, concerned, restore
from turnout.rollouts.domain.orders import Restoration
from turnout.stats.quantile_sketch import QuantileSketch

router = http.router(TAG, prefix="")

HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
MOST: Final = 500
NOTHING: Final = Figures(
    predictions=0,
    errors=0,
    labelled=0,
    correct=0,
    latency=Mean(),
    confidence=Mean(),
    cost=Mean(),
    latencies=QuantileSketch(),
)
KEPT: Final = PromotionBody()
BY_HAND: Final = RollbackBody()

Versioned = Annotated[str, Path(description="A version, or `@` and an alias", examples=["2.0.0"])]
Hours = Annotated[int, Query(ge=1, le=168, description="How far back")]


@router.get(
    f"{PREFIX}/models/versions",
    summary="All versions",
    responses=problems(*UNMEANT),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def list_model_versions(session: Session, model: Meant) -> Versions:
    """Of the model that `TURNOUT_CLASSIC_MODEL` names, or of the only one; the newest first."""
    entries = await _entries(session, model)
    current = next((one.version for one in entries if one.is_current), None)
    return Versions(model=model.name, current=current, versions=entries)


@router.get(
    f"{PREFIX}/models/versions/current",
    summary="The version in production",
    responses=problems(*UNMEANT, NoProductionVersion),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_production_version(session: Session, model: Meant) -> VersionEntry:
    """404 while none is in production."""
    found = await registry.current_version(session, model.id)
    if found is None:
        raise NoProductionVersion(model.name)
    return next(
        one for one in await _entries(session, model, Lifecycle.PRODUCTION) if one.is_current
    )


@router.get(
    f"{PREFIX}/models/versions/next",
    summary="What to call the next version",
    responses=problems(*UNMEANT),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def suggest_next_versions(session: Session, model: Meant) -> NextVersions:
    """The next major, minor and patch after the newest version, whatever its stage."""
    newest = await registry.newest_version(session, model.id) or SemVer(0, 0, 0)
    return NextVersions(
        major=str(newest.next_major), minor=str(newest.next_minor), patch=str(newest.next_patch)
    )


async def _entries(
    session: AsyncSession, model: ModelRef, stage: Lifecycle | None = None
) -> list[VersionEntry]:
    serving = {one.id for one in await rollouts.answering(session, model.id)}
    return [
        version_entry(
            row.version,
            row.stage,
            row.details,
            serving=row.id in serving,
            created_at=row.created_at,
            created_by=row.created_by,
        )
        for row in await registry.versions(session, model.id, stage=stage, limit=MOST)
    ]


async def clear_promotion(version: Versioned, clearing: Clearing, caller: Calling) -> None:
    """Have slow gates run before the transaction of the promotion is opened."""
    known = clearing.resources
    async with transaction(known.sessions) as session:
        model = await queries.classic_model(session, known.settings.classic_model, caller)
        caller.check_models([model.name])
        found = await registry.version(session, model.id, version)
    await clearing.before_production([found], None)


@router.post(
    f"{PREFIX}/models/versions/{{version}}/promote",
    summary="Promote to production",
    responses=problems(*UNMEANT, VersionNotFound, RolloutUnderWay, Quarantined, GatesNotPassed),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def promote_version(
    version: Versioned,
    cleared: Annotated[None, Depends(clear_promotion)],
    session: Session,
    model: Meant,
    *,
    actor: Actor,
    now: Now,
    body: Annotated[PromotionBody, Body(openapi_examples=examples.PROMOTION)] = KEPT,
) -> Promoted:
    """All traffic goes to this version at once. The previous one is archived and kept, whatever
    `backup_current` says: a rollback leads to it.

    Refused while a rollout or a test is under way, for a version that was rolled back before
    (unless `override_quarantine` is set, with a `reason`), and for one that its gates keep out of
    production.
    """
    wanted = await registry.version(session, model.id, version)
    before = await _serving(session, model)
    rollout = await commands.promote(
        session,
        model,
        wanted.version,
        override_quarantine=body.override_quarantine,
        reason=body.reason,
        actor=actor,
        now=now,
    )
    return Promoted(
        version=wanted.version,
        stage=Lifecycle.PRODUCTION,
        backup_version=before.version if before else None,
        promoted_at=now,
        rollout=rollout,
    )


async def _serving(session: AsyncSession, model: ModelRef) -> VersionRef | None:
    try:
        return await queries.serving(session, model)
    except NoProductionVersion:
        return None


@router.post(
    f"{PREFIX}/models/rollback",
    summary="Go back to an earlier version",
    responses=problems(*UNMEANT, VersionNotFound, NoProvenVersion),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def roll_back_to_version(
    session: Session,
    model: Meant,
    caller: Calling,
    *,
    actor: Actor,
    now: Now,
    body: Annotated[RollbackBody, Body(openapi_examples=examples.ROLLBACK)] = BY_HAND,
) -> RollbackEvent:
    """All traffic goes to `to_version` at once, or to the version that last proved itself. What
    leaves is quarantined: it is not promoted again before a rollout says why it may be."""
    caller.check_concerned(await concerned(session, model.name))
    wish = Restoration(reason=body.details, to_version=body.to_version)
    await restore(session, model.name, wish, actor=actor, now=now)
    (newest,) = await queries.takedowns(session, model, limit=1)
    return rollback_event(newest)


@router.get(
    f"{PREFIX}/models/rollback/history",
    summary="Past rollbacks",
    responses=problems(*UNMEANT),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def list_rollback_events(session: Session, model: Meant) -> RollbackHistory:
    """The newest first: by hand, or by a guardrail or threshold (`automatic`)."""
    found = await queries.takedowns(session, model, limit=MOST)
    return RollbackHistory(events=[rollback_event(one) for one in found])


@router.get(
    f"{PREFIX}/models/performance",
    summary="How does the version that serves do?",
    responses=problems(*UNMEANT, VersionNotFound, NoProductionVersion),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_model_performance(
    session: Session,
    model: Meant,
    now: Now,
    *,
    hours: Hours = 24,
    version: Annotated[str | None, Query(description="Another version")] = None,
) -> ClassicPerformance:
    """Of the version with the most traffic, or of the one that is named."""
    if version is None:
        asked = await queries.serving(session, model)
    else:
        asked = await registry.version(session, model.id, version)
    since, until = whole_minutes(now - hours * HOUR, now)
    found = await observations.performance(
        session, model.id, since=since, until=until, version_id=asked.id
    )
    figures = next((one.figures for one in found if not one.shadow), NOTHING)
    return ClassicPerformance(
        version=asked.version, since=since, until=until, metrics=metrics(figures)
    )


@router.get(
    f"{PREFIX}/models/performance/history",
    summary="How did each version do, hour by hour?",
    responses=problems(*UNMEANT),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def list_performance_snapshots(
    session: Session, model: Meant, now: Now, hours: Hours = 24
) -> Snapshots:
    """A snapshot per version and hour, the oldest first; hours in which nothing was seen are left
    out, and the last one is still going on."""
    until = now.replace(second=0, microsecond=0) + MINUTE
    found = await points(session, model.id, since=until - hours * HOUR, until=until, every=HOUR)
    versions = await registry.versions_by_id(session, {one.version_id for one in found})
    shown = [one for one in found if one.version_id in versions]
    shown.sort(key=lambda one: (one.starts, one.version_id))
    return Snapshots(
        interval_minutes=HOUR // MINUTE,
        snapshots=[snapshot(one, versions[one.version_id].version) for one in shown],
    )


@router.get(
    f"{PREFIX}/models/performance/thresholds",
    summary="The limits that are watched",
    responses=problems(*UNMEANT),
)
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def show_performance_thresholds(session: Session, model: Meant) -> ClassicThresholds:
    """The four limits; `active` says whether they are watched."""
    found = await thresholds.threshold_set(session, model.id)
    return _shown(found.thresholds.standard if found else None)


@router.put(
    f"{PREFIX}/models/performance/thresholds",
    summary="Set the limits that are watched",
    responses=problems(*UNMEANT),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def replace_performance_thresholds(
    body: Annotated[Standard, Body(openapi_examples=examples.THRESHOLDS)],
    session: Session,
    model: Meant,
    actor: Actor,
    now: Now,
) -> ClassicThresholds:
    """The worker looks at them every second. Broken at `consecutive_failures` looks in a row, they
    fire an alert and roll back to the last proven version; with `"action": "alert"`, they only
    fire. Null leaves a limit out. Rules set elsewhere stay."""
    await commands.set_standard(session, model, body, actor=actor, now=now)
    return _shown(body)


def _shown(standard: Standard | None) -> ClassicThresholds:
    limits = standard or Standard()
    named = {name: getattr(limits, name) for name in Standard.__dataclass_fields__}
    return ClassicThresholds(active=standard is not None, **named)


@router.post(
    f"{PREFIX}/models/feedback",
    summary="Was an answer right?",
    responses=problems(*UNMEANT, NoProductionVersion),
)
@needs(Role.RECORDER, scoping=Scoping.OWN)
async def give_model_feedback(
    body: Annotated[Feedback, Body(openapi_examples=examples.FEEDBACK)],
    session: Session,
    model: Meant,
    *,
    retention: Retention,
    now: Now,
) -> FeedbackReceipt:
    """About the answer with this `prediction_id`, whatever serves by now. Without one, it stands
    for an answer of the version that serves, which counts in its performance and in no test."""
    if body.prediction_id is not None:
        report = await commands.give_feedback(
            session,
            model,
            body.prediction_id,
            correct=body.was_correct,
            retention=retention,
            now=now,
        )
        return receipt(report)
    serving = await queries.serving(session, model)
    report = await commands.observe(
        session,
        model,
        serving.version,
        correct=body.was_correct,
        split_id=None,
        retention=retention,
        now=now,
    )
    return receipt(report, serving.version)
