"""What the classic paths change: all of it by the commands of the slices."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.access.commands import audit
from turnout.experiments.commands import create as experiments
from turnout.experiments.commands import order as experiment_order
from turnout.experiments.commands.start import start as start_experiment
from turnout.experiments.domain import machine
from turnout.interop.classic import queries
from turnout.interop.classic.domain import (
    ABTest,
    AbTestEnded,
    AbTestExists,
    AbTestNotRunning,
    AlreadyStarted,
    VariantName,
    launch,
    plan,
)
from turnout.interop.classic.queries import Conduct
from turnout.interop.classic.tables import ClassicTest
from turnout.interop.classic.verdict import of_canary
from turnout.monitoring import commands as monitoring
from turnout.monitoring import queries as thresholds
from turnout.monitoring.domain.thresholds import Standard, Thresholds
from turnout.observations import commands as observations
from turnout.observations.domain.batch import BatchReport
from turnout.observations.domain.outcome import Outcome
from turnout.observations.domain.prediction import uuid7
from turnout.observations.wire import OutcomeLine, PredictionLine, Submission
from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.version import ModelRef, VersionNotFound
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands import order as rollout_order
from turnout.rollouts.commands.start import start as start_rollout
from turnout.rollouts.domain.orders import Order, Promotion
from turnout.rollouts.domain.plan import Launch, Stage, Strategy

AT_ONCE: Final = (Stage(weight=BASIS_POINTS, bake=timedelta(), guardrails=()),)


async def promote(
    session: AsyncSession,
    model: ModelRef,
    version: str,
    *,
    override_quarantine: bool,
    reason: str | None,
    actor: str,
    now: datetime,
) -> UUID:
    """Send all traffic to a version at once, and let it enter production; the rollout that did."""
    others = [one for one in await rollouts.answering(session, model.id) if one.version != version]
    wish = Launch(
        candidate=version,
        # Where several share the traffic, all of them are replaced.
        baseline=others[0].version if others else None,
        strategy=Strategy.REPLACE,
        stages=AT_ONCE,
        override_quarantine=override_quarantine,
        reason=reason or f"{version} promoted",
    )
    rollout = await start_rollout(session, model.name, wish, actor=actor, now=now)
    await _promote(session, rollout.id, wish.reason, actor=actor, now=now)
    return rollout.id


async def _promote(
    session: AsyncSession, rollout_id: UUID, reason: str | None, *, actor: str, now: datetime
) -> None:
    """All the way: to the last stage, and beyond it."""
    said = Promotion(reason=reason, full=True)
    while not (await rollouts.rollout(session, rollout_id)).progress.phase.terminal:
        await rollout_order.promote(session, rollout_id, said, actor=actor, now=now)


async def create_test(
    session: AsyncSession, model: ModelRef, asked: ABTest, *, actor: str, now: datetime
) -> str:
    """Write a test down; no traffic moves before it is started."""
    test_id = asked.test_id or f"test-{uuid7(now)[-12:]}"
    reason = asked.description or asked.name or _said(test_id, "planned")
    values = {"model_id": model.id, "test_id": test_id, "asked": asked}
    values |= {"created_by": actor, "created_at": now}
    insertion = insert(ClassicTest).values(values).on_conflict_do_nothing()
    row = await session.scalar(insertion.returning(ClassicTest))
    if row is None:
        raise AbTestExists(test_id)
    if not asked.canary:
        made = await experiments.create(
            session, model.name, plan(asked, test_id), actor=actor, now=now, reason=reason
        )
        row.experiment_id = made.id
    known = await queries.version_ids(session, model, asked)
    for version in asked.versions:
        if version not in known:
            raise VersionNotFound(model.name, version)
    audit(
        session,
        actor=actor,
        action="ab_test.created",
        subject=_subject(model, test_id),
        after=to_jsonable_python(asked),
        reason=reason,
        now=now,
    )
    await session.flush()
    return test_id


async def start_test(
    session: AsyncSession, model: ModelRef, test_id: str, *, actor: str, now: datetime
) -> None:
    row = await queries.test_row(session, model, test_id)
    if row.experiment_id is not None:
        said = machine.Order(reason=_said(test_id, "started"))
        await start_experiment(session, row.experiment_id, said, actor=actor, now=now)
        return
    if row.rollout_id is not None:
        raise AlreadyStarted(test_id)
    started = await start_rollout(
        session, model.name, launch(row.asked, test_id), actor=actor, now=now
    )
    row.rollout_id = started.id
    await session.flush()


async def conclude_test(
    session: AsyncSession,
    model: ModelRef,
    test_id: str,
    *,
    promote_winner: bool,
    actor: str,
    now: datetime,
) -> None:
    """End a test, and promote its winner if that is wished. Without one the control stays."""
    row = await queries.test_row(session, model, test_id)
    found = await queries.conduct(session, model, test_id)
    if not found.status.live:
        raise AbTestEnded(test_id, found.status)
    by: dict[str, Any] = {"actor": actor, "now": now}
    if row.experiment_id is not None:
        wish = machine.ConcludeOrder(promote_winner=promote_winner)
        try:
            await experiment_order.conclude(session, row.experiment_id, wish, **by)
        except machine.NoWinner:
            stays = machine.ConcludeOrder(promote_winner=False)
            await experiment_order.conclude(session, row.experiment_id, stays, **by)
        return
    assert row.rollout_id is not None
    shown = of_canary(found)
    reason = f"{_said(test_id, 'concluded')}: {shown.recommendation}"
    if promote_winner and shown.winner == "treatment":
        await _promote(session, row.rollout_id, reason, **by)
    else:
        await rollout_order.abort(session, row.rollout_id, Order(reason=reason), **by)
    row.concluded_at = now
    subject = _subject(model, test_id)
    audit(session, action="ab_test.concluded", subject=subject, reason=reason, **by)
    await session.flush()


def _said(test_id: str, verb: str) -> str:
    return f"A/B test {test_id} {verb}"


def _subject(model: ModelRef, test_id: str) -> str:
    return f"models/{model.name}/ab-tests/{test_id}"


async def give_variant_feedback(
    session: AsyncSession,
    model: ModelRef,
    found: Conduct,
    variant: VariantName,
    *,
    correct: bool,
    retention: timedelta,
    now: datetime,
) -> BatchReport:
    """Record an answer of a variant together with what came of it."""
    if not found.status.live or found.split_id is None:
        raise AbTestNotRunning(found.test_id, found.status)
    return await observe(
        session,
        model,
        found.asked.version(variant),
        correct=correct,
        split_id=found.split_id,
        retention=retention,
        now=now,
    )


async def observe(
    session: AsyncSession,
    model: ModelRef,
    version: str,
    *,
    correct: bool,
    split_id: int | None,
    retention: timedelta,
    now: datetime,
) -> BatchReport:
    """One answer of a version that was not recorded before, and whether it was right."""
    answer = uuid7(now)
    seen = PredictionLine(prediction_id=answer, version=version, unit=answer, split_id=split_id)
    came_of_it = OutcomeLine(prediction_id=answer, correct=correct)
    batch = Submission(batch_id=None, predictions=[seen], outcomes=[came_of_it])
    return await observations.record(
        session, model.id, batch, atomic=True, retention=retention, now=now
    )


async def give_feedback(
    session: AsyncSession,
    model: ModelRef,
    prediction_id: str,
    *,
    correct: bool,
    retention: timedelta,
    now: datetime,
) -> BatchReport:
    said = Outcome(prediction_id=prediction_id, correct=correct)
    return await observations.feedback(session, model.id, said, retention=retention, now=now)


async def set_standard(
    session: AsyncSession, model: ModelRef, standard: Standard, *, actor: str, now: datetime
) -> None:
    """Replace the four limits; rules of the model's own stay."""
    found = await thresholds.threshold_set(session, model.id)
    rules = found.thresholds.rules if found else ()
    wanted = Thresholds(rules=rules, standard=standard, reason="limits set at the classic path")
    await monitoring.set_thresholds(session, model.name, wanted, actor=actor, now=now)
