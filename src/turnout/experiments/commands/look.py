"""Analyses: made from stored totals alone, and kept for good."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.experiments import queries
from turnout.experiments.domain.analyse import analyse
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.state import Sequences
from turnout.experiments.tables import Experiment, ExperimentAnalysis, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The evidence of one moment and what is made of it, with the memory before and after."""

    evidence: ExperimentEvidence
    before: Sequences
    analysis: Analysis
    after: Sequences
    at_goal: bool


async def look_at_goal(session: AsyncSession, experiment: Experiment, now: datetime) -> Look:
    """Look by hand, at everything."""
    evidence = (await queries.evidence(session, [experiment]))[experiment.id]
    return look(experiment, evidence, now, at_goal=True)


def look(
    experiment: Experiment, evidence: ExperimentEvidence, now: datetime, *, at_goal: bool
) -> Look:
    before = experiment.sequences
    analysis, after = analyse(
        experiment.plan, experiment.progress, evidence, before, now=now, look=at_goal
    )
    return Look(evidence=evidence, before=before, analysis=analysis, after=after, at_goal=at_goal)


async def store(
    session: AsyncSession, experiment: Experiment, look: Look, trigger: Trigger
) -> ExperimentAnalysis:
    """Keep an analysis; the caller holds the lock of the experiment's row."""
    experiment.analyses += 1
    row = ExperimentAnalysis(
        experiment_id=experiment.id,
        number=experiment.analyses,
        at=look.analysis.at,
        trigger=trigger,
        at_goal=look.at_goal,
        progress=experiment.progress,
        evidence=look.evidence.on(experiment.plan),
        sequences=look.before,
        analysis=look.analysis,
        plan_hash=look.analysis.plan_hash,
    )
    session.add(row)
    remember(experiment, look)
    experiment.seen = look.analysis.verdicts
    await session.flush()
    return row


def remember(experiment: Experiment, look: Look) -> None:
    """Leave the memory of a look to the next one. Unchanged, it is not written again."""
    if look.after != look.before:
        experiment.sequences = look.after
    if look.at_goal:
        experiment.looked_at = look.analysis.at
