"""Experiments and what is written down about them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from turnout.db import among
from turnout.errors import NotFound
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import EXPOSURE, ExperimentEvidence
from turnout.experiments.domain.segments import Cut
from turnout.experiments.domain.state import Status
from turnout.experiments.tables import (
    Experiment,
    ExperimentAnalysis,
    ExperimentArm,
    ExperimentStep,
)
from turnout.observations import queries as observations
from turnout.observations.segments import segments
from turnout.registry import queries as registry
from turnout.stats.effect import per_exposed_unit
from turnout.stats.totals import UnitTotals

# What an analysis was made from is far larger than what it says, and read only to make it again.
_ANALYSES: Final = select(ExperimentAnalysis).options(
    defer(ExperimentAnalysis.evidence, raiseload=True),
    defer(ExperimentAnalysis.sequences, raiseload=True),
)


class ExperimentNotFound(NotFound):
    def __init__(self, experiment_id: UUID) -> None:
        super().__init__(f"there is no experiment {experiment_id}", experiment=str(experiment_id))


class AnalysisNotFound(NotFound):
    """Nothing has been analysed yet, or not so often."""


async def experiment(session: AsyncSession, experiment_id: UUID) -> Experiment:
    found = await session.get(Experiment, experiment_id)
    if found is None:
        raise ExperimentNotFound(experiment_id)
    return found


async def models_of(session: AsyncSession, experiment_id: UUID) -> list[str]:
    """The model that an experiment concerns, if there is such an experiment."""
    ids = await session.scalars(select(Experiment.model_id).where(Experiment.id == experiment_id))
    return [model.name for model in (await registry.models_by_id(session, ids.all())).values()]


async def locked(session: AsyncSession, experiment_id: UUID) -> Experiment:
    """The experiment as it is now; until the transaction ends nobody else can change it."""
    query = select(Experiment).where(Experiment.id == experiment_id).with_for_update()
    found = await session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise ExperimentNotFound(experiment_id)
    return found


async def live(session: AsyncSession, model_id: int) -> Experiment | None:
    """The one experiment of a model that is under way."""
    return await session.scalar(
        select(Experiment).where(
            Experiment.model_id == model_id,
            Experiment.started_at.is_not(None),
            Experiment.finished_at.is_(None),
        )
    )


async def under_way(
    session: AsyncSession, model_ids: Collection[int] | None = None
) -> Sequence[Experiment]:
    """The experiments that have begun and are not over, a model having one at a time."""
    memory = defer(Experiment.sequences, raiseload=True)
    query = (
        select(Experiment)
        .options(memory)
        .where(Experiment.started_at.is_not(None), Experiment.finished_at.is_(None))
    )
    if model_ids is not None:
        query = query.where(among(Experiment.model_id, model_ids))
    return (await session.scalars(query)).all()


async def experiments(
    session: AsyncSession,
    *,
    model_id: int | None,
    status: Status | None,
    key: str | None,
    limit: int,
    before: int | None,
) -> Sequence[Experiment]:
    """Newest first, made before number `before`."""
    memory = defer(Experiment.sequences, raiseload=True)
    query = select(Experiment).options(memory).order_by(Experiment.seq.desc()).limit(limit)
    if model_id is not None:
        query = query.where(Experiment.model_id == model_id)
    if status is not None:
        query = query.where(Experiment.status == status)
    if key is not None:
        query = query.where(Experiment.key == key)
    if before is not None:
        query = query.where(Experiment.seq < before)
    return (await session.scalars(query)).all()


async def keyed(session: AsyncSession, key: str) -> dict[int, bool]:
    """The models that have an experiment of this key, and whether it is under way."""
    under_way = Experiment.started_at.is_not(None) & Experiment.finished_at.is_(None)
    query = select(Experiment.model_id, under_way.label("under_way"))
    rows = await session.execute(query.where(Experiment.key == key))
    return {row.model_id: row.under_way for row in rows}


async def keys(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    query = select(Experiment.id, Experiment.key).where(among(Experiment.id, ids))
    return {row.id: row.key for row in await session.execute(query)}


async def history(
    session: AsyncSession, experiment_id: UUID, *, limit: int, after: int
) -> Sequence[ExperimentStep]:
    """The steps behind number `after`, in the order they were taken."""
    query = (
        select(ExperimentStep)
        .where(ExperimentStep.experiment_id == experiment_id, ExperimentStep.step > after)
        .order_by(ExperimentStep.step)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def newest_steps(
    session: AsyncSession, experiments: Collection[Experiment]
) -> dict[UUID, ExperimentStep]:
    keys = [(experiment.id, experiment.step) for experiment in experiments]
    query = select(ExperimentStep).where(
        tuple_(ExperimentStep.experiment_id, ExperimentStep.step).in_(keys)
    )
    return {step.experiment_id: step for step in await session.scalars(query)}


async def analyses(
    session: AsyncSession, experiment_id: UUID, *, limit: int, before: int | None
) -> Sequence[ExperimentAnalysis]:
    """The stored analyses, newest first."""
    query = _ANALYSES.where(ExperimentAnalysis.experiment_id == experiment_id)
    if before is not None:
        query = query.where(ExperimentAnalysis.number < before)
    newest_first = query.order_by(ExperimentAnalysis.number.desc())
    return (await session.scalars(newest_first.limit(limit))).all()


async def analysis(
    session: AsyncSession, experiment_id: UUID, number: int | None = None
) -> ExperimentAnalysis:
    """The analysis of this number, or the newest."""
    query = _ANALYSES.where(ExperimentAnalysis.experiment_id == experiment_id)
    if number is not None:
        query = query.where(ExperimentAnalysis.number == number)
    found = await session.scalar(query.order_by(ExperimentAnalysis.number.desc()).limit(1))
    if found is None:
        raise AnalysisNotFound(
            "nothing has been analysed yet: start the experiment, then POST …/analyses or wait"
            " for the first look"
            if number is None
            else f"there is no analysis {number} of this experiment",
            experiment=str(experiment_id),
        )
    return found


async def newest_analyses(
    session: AsyncSession, experiments: Collection[Experiment]
) -> dict[UUID, Analysis]:
    keys = [(experiment.id, experiment.analyses) for experiment in experiments]
    query = select(ExperimentAnalysis.experiment_id, ExperimentAnalysis.analysis).where(
        tuple_(ExperimentAnalysis.experiment_id, ExperimentAnalysis.number).in_(keys)
    )
    return {row.experiment_id: row.analysis for row in await session.execute(query)}


async def arms(
    session: AsyncSession, experiment_ids: Collection[UUID]
) -> dict[UUID, dict[str, int]]:
    """The ids of the versions that each experiment compares, by their text."""
    query = select(ExperimentArm).where(among(ExperimentArm.experiment_id, experiment_ids))
    found: dict[UUID, dict[str, int]] = defaultdict(dict)
    for arm in await session.scalars(query):
        found[arm.experiment_id][arm.version] = arm.version_id
    return found


async def evidence(
    session: AsyncSession, experiments: Collection[Experiment]
) -> dict[UUID, ExperimentEvidence]:
    """What the arms of each experiment have shown: two statements, however many there are."""
    splits = {
        (experiment.model_id, split_id)
        for experiment in experiments
        if (split_id := experiment.progress.split_id) is not None
    }
    versions = await arms(session, [experiment.id for experiment in experiments])
    shown = await observations.evidence(session, splits)
    evidence = {}
    for experiment in experiments:
        of_split = shown.get(experiment.progress.split_id or 0, {})
        evidence[experiment.id] = ExperimentEvidence(
            arms={
                version: of_split[version_id]
                for version, version_id in versions[experiment.id].items()
                if version_id in of_split
            }
        )
    return evidence


async def cut(
    session: AsyncSession, experiment: Experiment, attribute: str, *, now: datetime
) -> Cut:
    """The goal's totals by the value of an attribute, from raw rows; where the goal matures, of
    predictions that are old enough."""
    split_id = experiment.progress.split_id
    if split_id is None:
        return {}
    of_model = experiment.model_id, split_id
    goal = experiment.plan.goal
    found = await segments(
        session,
        *of_model,
        attribute=attribute,
        metric=goal.metric,
        answered_by=None if goal.maturity is None else now - goal.maturity,
    )
    if goal.per == "unit":
        exposed = await segments(session, *of_model, attribute=attribute, metric=EXPOSURE)
        found = {
            segment: {
                version_id: per_exposed_unit(
                    units, found.get(segment, {}).get(version_id, UnitTotals())
                )
                for version_id, units in versions.items()
            }
            for segment, versions in exposed.items()
        }
    names = {
        version_id: version
        for version, version_id in (await arms(session, [experiment.id]))[experiment.id].items()
    }
    return {
        segment: {names[version_id]: units for version_id, units in versions.items()}
        for segment, versions in found.items()
    }
