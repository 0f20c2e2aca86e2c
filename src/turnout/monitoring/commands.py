"""The worker's look at the thresholds, what it does about them, and how they are set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import telemetry
from turnout.access.commands import audit
from turnout.alerts import commands as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.db import Sessions, transaction
from turnout.errors import Refusal
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.monitoring import queries
from turnout.monitoring.domain.looks import Look, gone
from turnout.monitoring.domain.thresholds import Action, Thresholds
from turnout.monitoring.domain.watch import Change, Watch
from turnout.monitoring.queries import Survey
from turnout.monitoring.rollback import roll_back
from turnout.monitoring.tables import ThresholdSet
from turnout.quantities import Clock
from turnout.registry import queries as registry

WORKER: Final = "worker"
LOCK: Final = 0x7468
"""Keeps this slice's advisory locks apart from other uses of them in the same database."""
BATCH: Final = 500
EARLY: Final = 0.9
"""Of the interval: a beat that comes a little early still finds every model due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A model about which something is to be done; void once its fence has been raised again."""

    model_id: int
    fence: int


async def set_thresholds(
    session: AsyncSession, model_name: str, thresholds: Thresholds, *, actor: str, now: datetime
) -> ThresholdSet:
    """Replace what is watched of a model; rules that stay go on where they stand."""
    model = await registry.model(session, model_name)
    await session.execute(select(func.pg_advisory_xact_lock(LOCK, model.id)))  # there may be no row
    found = await queries.locked(session, model.id)
    before = found.thresholds if found else None
    kept: tuple[Watch, ...] = ()
    if found is None:
        found = ThresholdSet(model_id=model.id, fence=0)
        session.add(found)
    else:
        rules = {rule.key for rule in thresholds.watched}
        kept = tuple(watch for watch in found.watches if watch.rule in rules)
        taken_back = [watch for watch in found.watches if watch.rule not in rules]
        await _end(session, model.name, taken_back, reason="the rule was taken back", now=now)
    found.thresholds, found.watches = thresholds, kept
    found.set_at, found.set_by, found.due_at = now, actor, now
    found.looked_at = found.drift_looked_at = None
    found.fence += 1
    audit(
        session,
        actor=actor,
        action="thresholds.set",
        subject=f"models/{model.name}/thresholds",
        before=_noted(before) if before else None,
        after=_noted(thresholds),
        reason=thresholds.reason,
        now=now,
    )
    await session.flush()
    return found


def _noted(thresholds: Thresholds) -> dict[str, Any]:
    return {"rules": [f"{rule.key}: {rule.severity}, {rule.action}" for rule in thresholds.watched]}


async def tick(sessions: Sessions, *, clock: Clock, interval: timedelta) -> None:
    """Look at the thresholds of all models that are due, the latest first, until none is.

    Any number of workers may look at once. What only fires or resolves an alert is written where
    it was found; what calls for more is done by itself, after another look. What fails for one
    model is raised after the others have had their turn.
    """
    failures: list[Exception] = []
    began = clock()
    while (claims := await _survey(sessions, clock, began=began, interval=interval)) is not None:
        for claim in claims:
            try:
                await _attempt(sessions, claim, {}, clock)
            except Exception as error:  # noqa: BLE001  (raised below: the others come first)
                failures.append(error)
    if failures:
        raise ExceptionGroup("thresholds that could not be acted on", failures)


async def _survey(
    sessions: Sessions, clock: Clock, *, began: datetime, interval: timedelta
) -> list[Claim] | None:
    """Look at one batch; None where nothing was due."""
    async with transaction(sessions) as session:
        sets = await _due(session, now=began, interval=interval)
        if not sets:
            return None
        now = clock()
        found = await queries.surveys(session, sets, now)
        claims, settled = [], []
        for one in sets:
            survey = found.get(one.model_id)
            if survey is None:
                continue
            if any(look.acts(now) for look in survey.looks):
                claims.append(Claim(model_id=one.model_id, fence=one.fence))
            else:
                settled.append((one, survey))
        # In one order everywhere, because of the locks.
        for one, survey in sorted(settled, key=lambda pair: f"{pair[1].model}/"):
            await _write_down(session, one, survey, now)
        return claims


async def _due(session: AsyncSession, *, now: datetime, interval: timedelta) -> list[ThresholdSet]:
    """Claim a batch, the latest first. What is due later than one interval from now was put off by
    a clock that has been set back since."""
    due = (
        select(ThresholdSet.model_id, ThresholdSet.due_at)
        .where(or_(ThresholdSet.due_at <= now, ThresholdSet.due_at > now + interval))
        .order_by(ThresholdSet.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claim = (
        update(ThresholdSet)
        .where(ThresholdSet.model_id == due.c.model_id)
        .values(fence=ThresholdSet.fence + 1, due_at=now + EARLY * interval)
        .returning(ThresholdSet)
        .execution_options(synchronize_session=False)
    )
    return list(await session.scalars(claim))


class _Refused(Exception):
    def __init__(self, version_id: int, refusal: Refusal) -> None:
        super().__init__(version_id, refusal)
        self.version_id = version_id
        self.refusal = refusal


async def _attempt(
    sessions: Sessions, claim: Claim, refused: Mapping[int, Refusal], clock: Clock
) -> None:
    """Do what is called for; where that is refused, write down that it is, and why."""
    try:
        async with transaction(sessions) as session:
            await _act(session, claim, refused, clock)
    except _Refused as error:
        if error.version_id in refused:
            raise error.refusal from error
        await _attempt(sessions, claim, {**refused, error.version_id: error.refusal}, clock)


async def _act(
    session: AsyncSession, claim: Claim, refused: Mapping[int, Refusal], clock: Clock
) -> None:
    """Look again under the lock: since the survey, a person or another worker may have acted."""
    one = await queries.locked(session, claim.model_id)
    if one is None or one.fence != claim.fence:
        return
    now = clock()
    survey = (await queries.surveys(session, [one], now)).get(one.model_id)
    if survey is None:
        return
    looks: list[Look] = []
    off_the_road: set[int] = set()
    asked = {_cause(survey.model, watch) for watch in one.watches if watch.shared and watch.done_at}
    for look in survey.looks:
        done = look
        if look.acts(now):
            done = await _carry_out(
                session, survey, look, refused, off_the_road, asked=asked, now=now
            )
        looks.append(done)
    await _write_down(session, one, replace(survey, looks=looks), now)


async def _carry_out(
    session: AsyncSession,
    survey: Survey,
    look: Look,
    refused: Mapping[int, Refusal],
    off_the_road: set[int],
    *,
    asked: set[str],
    now: datetime,
) -> Look:
    version_id = look.watch.version_id
    if look.rule.action is Action.RETRAIN:
        # For what all versions show, once.
        if (cause := _cause(survey.model, look.watch)) not in asked:
            _request_retraining(session, survey.model, look, now)
            asked.add(cause)
    elif (refusal := refused.get(version_id)) is not None:
        tried = replace(look.watch, refused_at=now)
        return replace(look, watch=tried, refused=refusal.detail)
    elif version_id not in off_the_road:
        try:
            await roll_back(session, survey.model, version_id, reason=_summary(look), now=now)
        except Refusal as error:
            raise _Refused(version_id, error) from error
        off_the_road.add(version_id)
        telemetry.log.info("threshold rolled back", model=survey.model, version=look.version)
    return replace(look, watch=replace(look.watch, done_at=now, refused_at=None))


def _request_retraining(session: AsyncSession, model: str, look: Look, now: datetime) -> None:
    subject = f"models/{model}/versions/{look.version}"
    emit(
        session,
        EventType.RETRAINING_REQUESTED,
        subject=subject,
        model=model,
        data={"model": model, "version": look.version, "reason": _summary(look), **_figures(look)},
        now=now,
    )
    audit(
        session,
        actor=WORKER,
        action="retraining.requested",
        subject=subject,
        reason=_summary(look),
        now=now,
    )


async def _write_down(
    session: AsyncSession, one: ThresholdSet, survey: Survey, now: datetime
) -> None:
    """Fire and resolve the alerts, and leave to the next look what it must know."""
    left = (*(look.watch for look in survey.looks), *survey.resting)
    lasting = {_cause(survey.model, watch) for watch in left if watch.firing}
    ended = gone(one.thresholds, one.watches, survey.serving)
    await _end(session, survey.model, ended, reason="it serves no more", lasting=lasting, now=now)
    for look in sorted(survey.looks, key=lambda look: _cause(survey.model, look.watch)):
        await _tell(session, survey.model, look, lasting, now)
    # What was taken off the road by now is not watched any longer.
    looked_at = (
        look.watch
        for look in survey.looks
        if look.rule.action is not Action.ROLLBACK or look.watch.done_at is None
    )
    watches = (*looked_at, *survey.resting)
    if survey.drift_looked_at is not None:
        one.drift_looked_at = survey.drift_looked_at
    if set(watches) != set(one.watches):
        one.watches = watches
    if one.looked_at is None:
        one.looked_at = now


async def _tell(
    session: AsyncSession, model: str, look: Look, lasting: Collection[str], now: datetime
) -> None:
    shared = look.watch.shared
    version = model if shared else f"{model} {look.version}"
    about: dict[str, Any] = {
        "subject": f"models/{model}" if shared else f"models/{model}/versions/{look.version}",
        "model": model,
        "data": _figures(look) | _report(model, look),
        "now": now,
    }
    match look.change:
        case Change.FIRES | Change.STILL_FIRES:
            if look.change is Change.FIRES and not shared:
                await _close_former(session, model, look.watch, now)
            await alerts.fire(
                session,
                cause=_cause(model, look.watch),
                kind=Kind.DRIFT if look.rule.drifts else Kind.THRESHOLD,
                severity=look.rule.severity,
                summary=f"{version}: {_summary(look)}",
                **about,
            )
        case Change.RESOLVED:
            reason = look.judgement.reason
            await _end(session, model, [look.watch], reason=reason, lasting=lasting, now=now)
    cause = _action_cause(model, look.watch)
    if look.refused is not None:
        await alerts.fire(
            session,
            cause=cause,
            kind=Kind.ACTION_FAILED,
            severity=Severity.CRITICAL,
            summary=f"{version} could not be rolled back: {look.refused}",
            **about,
        )
    if look.watch.done_at == now:
        await alerts.resolve(session, cause=cause, reason="it was done", now=now)


async def _close_former(session: AsyncSession, model: str, watch: Watch, now: datetime) -> None:
    """One that took the version off the road stays open: who acknowledged it would not be told
    that the version came back, and does it again."""
    reason = "the version came back, and breaks it again"
    await alerts.resolve(session, cause=_cause(model, watch), reason=reason, now=now)


async def _end(
    session: AsyncSession,
    model: str,
    watches: Sequence[Watch],
    *,
    reason: str,
    lasting: Collection[str] = (),
    now: datetime,
) -> None:
    """Resolve what these fired, but for what others still fire: an alert may be shared."""
    over = {_cause(model, watch) for watch in watches}.difference(lasting)
    for cause in sorted(name for one in over for name in (one, f"{one}/action")):
        await alerts.resolve(session, cause=cause, reason=reason, now=now)


def _cause(model: str, watch: Watch) -> str:
    whose = "all" if watch.shared else watch.version_id
    return f"thresholds/{model}/{whose}/{watch.rule}"


def _action_cause(model: str, watch: Watch) -> str:
    return f"{_cause(model, watch)}/action"


def _summary(look: Look) -> str:
    done = ", rolled back" if look.rule.action is Action.ROLLBACK and look.watch.done_at else ""
    return f"{look.judgement.reason}, where {look.rule} is allowed{done}"


def _report(model: str, look: Look) -> dict[str, str]:
    """Where a person sees what has moved."""
    return {"report": f"/api/v1/models/{model}/drift.html"} if look.rule.drifts else {}


def _figures(look: Look) -> dict[str, Any]:
    return {
        "rule": str(look.rule),
        "metric": look.rule.metric,
        "limit": look.rule.limit,
        "action": look.rule.action,
        "judged_by": look.rule.judged_by,
        "version": look.version,
        "value": look.judgement.value,
        "predictions": look.judgement.n,
        "verdict": look.judgement.verdict,
        "whose": look.judgement.whose,
        "features": look.judgement.features,
    }
