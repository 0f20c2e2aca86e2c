"""What calls a person to an experiment, and what calls them off again."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.alerts import commands as alerts
from turnout.alerts.domain import Kind, Severity
from turnout.errors import Refusal
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.health import Check
from turnout.experiments.domain.machine import Transition
from turnout.experiments.domain.state import PausedBy, Progress
from turnout.experiments.tables import Experiment
from turnout.registry.queries import models_by_id
from turnout.stats.verdict import Verdict
from turnout.traffic.commands import stuck


async def stepped(
    session: AsyncSession,
    experiment: Experiment,
    model: str,
    before: Progress,
    transition: Transition,
    *,
    analysis: Analysis | None,
    now: datetime,
) -> None:
    """Call for an experiment that paused because it cannot be believed: it ends by hand only."""
    cause = f"experiments/{experiment.id}/paused"
    if _waits(before) and transition.progress.status.terminal:
        reason = f"the experiment is {transition.progress.status}: {transition.reason}"
        await alerts.resolve(session, cause=cause, reason=reason, now=now)
    if _waits(transition.progress):
        uneven = analysis is not None and any(
            found.check is Check.SAMPLE_RATIO and found.verdict is Verdict.FAIL
            for found in analysis.health
        )
        await alerts.fire(
            session,
            cause=cause,
            kind=Kind.SAMPLE_RATIO if uneven else Kind.NO_DATA,
            severity=Severity.WARNING,
            summary=f"{experiment.key} is paused and cannot go on: {transition.reason}",
            **_about(experiment, model, now),
        )


async def not_ended(
    session: AsyncSession, experiment: Experiment, refusal: Refusal, *, now: datetime
) -> None:
    """Call for one whose end was refused: its treatments keep their traffic until it is moved."""
    model = (await models_by_id(session, [experiment.model_id]))[experiment.model_id].name
    await alerts.fire(
        session,
        cause=stuck(model),
        kind=Kind.ACTION_FAILED,
        severity=Severity.CRITICAL,
        summary=f"{experiment.key} should end, and its control cannot answer: {refusal.detail}",
        **_about(experiment, model, now),
    )


def _waits(progress: Progress) -> bool:
    return progress.pause is not None and progress.pause.by is PausedBy.EVIDENCE


def _about(experiment: Experiment, model: str, now: datetime) -> dict[str, Any]:
    return {
        "subject": f"models/{model}/experiments/{experiment.id}",
        "model": model,
        "data": {"experiment": experiment.id, "key": experiment.key},
        "now": now,
    }
