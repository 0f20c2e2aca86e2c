from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.callers import Caller
from turnout.experiments import queries as experiments
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.state import Conclusion, Status
from turnout.interop.classic.domain import (
    ABTest,
    AbTestNotFound,
    NoModelYet,
    SeveralModels,
    canary_status,
)
from turnout.interop.classic.tables import ClassicTest
from turnout.interop.own import QUICK_START
from turnout.observations import queries as observations
from turnout.observations.domain.evidence import ArmEvidence
from turnout.quantities import BASIS_POINTS
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelRef, NoProductionVersion, VersionRef
from turnout.rollouts import queries as rollouts
from turnout.rollouts.commands.tick import WORKER
from turnout.rollouts.domain.progress import exposure
from turnout.traffic import queries as traffic
from turnout.traffic.domain.split import Owner, OwnerKind

MOST_TESTS: Final = 100

Arms = Sequence[Mapping[int, ArmEvidence]]


async def classic_model(session: AsyncSession, name: str | None, caller: Caller) -> ModelRef:
    """The model that these paths mean: the one of the settings, or the only one there is, that of
    the quick start aside. A caller who is confined to some models hears of no others."""
    if name is not None:
        return await registry.model(session, name)
    every = await registry.models(session, limit=3, after=None)
    found = [row for row in every if row.name != QUICK_START] or every
    if not found:
        raise NoModelYet
    if len(found) > 1:
        raise SeveralModels([row.name for row in found[:2]] if caller.models is None else [])
    return ModelRef(id=found[0].id, name=found[0].name)


async def serving(session: AsyncSession, model: ModelRef) -> VersionRef:
    """The version that answers most requests now; before any split, the one in production."""
    answering = await rollouts.answering(session, model.id)
    found = answering[0] if answering else await registry.current_version(session, model.id)
    if found is None:
        raise NoProductionVersion(model.name)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Takedown:
    """A version that was taken off the road."""

    at: datetime
    left: str | None
    answers: str | None
    reason: str
    automatic: bool
    actor: str


async def takedowns(session: AsyncSession, model: ModelRef, *, limit: int) -> list[Takedown]:
    """The newest first."""
    rows = await rollouts.rollbacks(session, model.id, limit=limit, before=None)
    ids = {rollout.candidate_id for _, rollout in rows}
    ids |= {rollout.baseline_id for _, rollout in rows if rollout.baseline_id is not None}
    names = {
        version_id: found.version
        for version_id, found in (await registry.versions_by_id(session, ids)).items()
    }
    found = []
    for step, rollout in rows:
        pair = (names.get(rollout.candidate_id), names.get(rollout.baseline_id or 0))
        left, answers = reversed(pair) if rollout.restores else pair
        found.append(
            Takedown(
                at=step.at,
                left=left,
                answers=answers,
                reason=step.reason,
                automatic=step.actor == WORKER,
                actor=step.actor,
            )
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Where a canary stands: `number` counts from 1."""

    number: int
    of: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a test is carried out, and what it has shown so far.

    `arms` has the totals of each split that it had, by version; `split_id` is the one in force.
    """

    test_id: str
    asked: ABTest
    status: Status = Status.DRAFT
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    experiment_id: UUID | None = None
    rollout_id: UUID | None = None
    version_ids: Mapping[str, int]
    split_id: int | None = None
    arms: Arms = ()
    weight: int = 0
    phase: Phase | None = None
    analysis: Analysis | None = None
    conclusion: Conclusion | None = None
    reason: str | None = None
    serves: str | None = None


async def test_row(session: AsyncSession, model: ModelRef, test_id: str) -> ClassicTest:
    """Until the transaction ends nobody else can start or conclude it."""
    found = await session.scalar(_of_id(model, test_id).with_for_update())
    if found is None:
        raise AbTestNotFound(test_id)
    return found


async def conduct(session: AsyncSession, model: ModelRef, test_id: str) -> Conduct:
    found = await session.scalar(_of_id(model, test_id))
    if found is None:
        raise AbTestNotFound(test_id)
    return await _conduct(session, model, found)


def _of_id(model: ModelRef, test_id: str) -> Select[ClassicTest]:
    if "\0" in test_id:  # a character that the database has not
        raise AbTestNotFound(test_id)
    return select(ClassicTest).where(
        ClassicTest.model_id == model.id, ClassicTest.test_id == test_id
    )


async def conducts(session: AsyncSession, model: ModelRef) -> list[Conduct]:
    """The newest first."""
    query = select(ClassicTest).where(ClassicTest.model_id == model.id)
    newest = query.order_by(ClassicTest.created_at.desc(), ClassicTest.test_id).limit(MOST_TESTS)
    return [await _conduct(session, model, row) for row in await session.scalars(newest)]


async def _conduct(session: AsyncSession, model: ModelRef, row: ClassicTest) -> Conduct:
    if row.experiment_id is not None:
        return await _of_experiment(session, model, row, row.experiment_id)
    if row.rollout_id is not None:
        return await _of_rollout(session, model, row, row.rollout_id)
    return Conduct(
        test_id=row.test_id,
        asked=row.asked,
        created_at=row.created_at,
        version_ids=await version_ids(session, model, row.asked),
    )


async def _of_experiment(
    session: AsyncSession, model: ModelRef, row: ClassicTest, experiment_id: UUID
) -> Conduct:
    found = await experiments.experiment(session, experiment_id)
    step = (await experiments.newest_steps(session, [found]))[found.id]
    progress, asked = found.progress, row.asked
    return Conduct(
        test_id=row.test_id,
        asked=asked,
        status=progress.status,
        created_at=row.created_at,
        started_at=found.started_at,
        ended_at=found.finished_at,
        experiment_id=found.id,
        version_ids=await version_ids(session, model, asked),
        split_id=progress.split_id,
        arms=await _arms(session, model, [progress.split_id] if progress.split_id else []),
        weight=_weight(progress.status, step.serves, asked),
        analysis=(await experiments.newest_analyses(session, [found])).get(found.id),
        conclusion=step.conclusion,
        reason=step.reason,
        serves=step.serves,
    )


def _weight(status: Status, serves: str | None, asked: ABTest) -> int:
    if status is Status.RUNNING:
        return asked.traffic_split
    return BASIS_POINTS if serves == asked.treatment_version else 0


async def _of_rollout(
    session: AsyncSession, model: ModelRef, row: ClassicTest, rollout_id: UUID
) -> Conduct:
    found = await rollouts.rollout(session, rollout_id)
    progress, asked = found.progress, row.asked
    owner = Owner(kind=OwnerKind.ROLLOUT, id=str(found.id))
    splits = await traffic.splits_since(session, model.id, found.created_at)
    weight = exposure(found.plan, progress).weight
    ended = found.finished_at
    return Conduct(
        test_id=row.test_id,
        asked=asked,
        status=canary_status(progress.phase, concluded=row.concluded_at is not None),
        created_at=row.created_at,
        started_at=found.created_at,
        ended_at=row.concluded_at or ended,
        rollout_id=found.id,
        version_ids=await version_ids(session, model, asked),
        split_id=progress.split_id,
        arms=await _arms(session, model, [one.id for one in splits if one.owner == owner]),
        weight=weight,
        phase=Phase(number=progress.stage + 1, of=len(found.plan.stages), weight=weight),
        serves=_serves(asked, weight) if ended else None,
    )


def _serves(asked: ABTest, weight: int) -> str:
    return asked.treatment_version if weight else asked.control_version


async def _arms(session: AsyncSession, model: ModelRef, splits: Collection[int]) -> Arms:
    found = await observations.evidence(session, [(model.id, split_id) for split_id in splits])
    return list(found.values())


async def version_ids(session: AsyncSession, model: ModelRef, asked: ABTest) -> Mapping[str, int]:
    return await registry.version_ids(session, model.id, asked.versions)
