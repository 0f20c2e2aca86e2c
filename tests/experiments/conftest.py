from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from tests import factories
from tests.conftest import Clock
from turnout.db import Sessions, transaction
from turnout.experiments import queries
from turnout.experiments.commands import order
from turnout.experiments.commands.create import create
from turnout.experiments.commands.start import start
from turnout.experiments.commands.tick import tick
from turnout.experiments.domain.machine import ConcludeOrder, Order
from turnout.experiments.domain.plan import Plan, Treatment
from turnout.experiments.tables import Experiment, ExperimentAnalysis, ExperimentStep
from turnout.observations.domain.metric import Goal
from turnout.quantities import percent
from turnout.registry import queries as registry
from turnout.registry.commands import delete_version, transition
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands.restore import restore
from turnout.rollouts.commands.start import start as start_rollout
from turnout.rollouts.domain.orders import Restoration
from turnout.rollouts.domain.plan import Launch
from turnout.traffic import queries as traffic
from turnout.traffic.commands import set_split_by_hand
from turnout.traffic.domain.split import Share, Split, Spread

MODEL = "fraud-detection"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

SEEN = Mapping[str, tuple[int, int]]
"""By version: units, and how many of them were answered right."""


def plan(**fields: Any) -> Plan:
    """2.0.0 against 1.0.0 on accuracy, half of the units each, for ten hours."""
    stated: dict[str, Any] = {
        "key": "accuracy-of-2-0",
        "control": "1.0.0",
        "treatments": (Treatment(version="2.0.0"),),
        "goal": Goal(metric="accuracy", minimum_detectable_effect=0.05),
        "min_sample_size": 100,
        "target_sample_size": 2_000,
        "max_duration": 10 * HOUR,
    }
    return Plan(**stated | fields)


@dataclass(frozen=True)
class Driver:
    """Starts experiments, lets arms show evidence, moves the clock and ticks."""

    sessions: Sessions
    clock: Clock

    @property
    def by(self) -> dict[str, Any]:
        return {"actor": "ada", "now": self.clock()}

    async def register(self, *versions: str, model: str = MODEL) -> None:
        async with transaction(self.sessions) as session:
            for version in versions:
                await factories.version(session, version, model=model, now=self.clock())

    async def create(self, *, model: str = MODEL, **fields: Any) -> UUID:
        async with transaction(self.sessions) as session:
            made = await create(session, model, plan(**fields), reason=None, **self.by)
            return made.id

    async def start(self, experiment_id: UUID, reason: str | None = None) -> None:
        async with transaction(self.sessions) as session:
            await start(session, experiment_id, Order(reason=reason), **self.by)

    async def under_way(self, *versions: str, model: str = MODEL, **fields: Any) -> UUID:
        """An experiment that has just been started; 1.0.0 and 2.0.0 unless more are named."""
        await self.register(*versions or ("1.0.0", "2.0.0"), model=model)
        experiment_id = await self.create(model=model, **fields)
        await self.start(experiment_id)
        return experiment_id

    async def see(
        self,
        experiment_id: UUID,
        shown: SEEN,
        *,
        errors: int = 0,
        crossed: int = 0,
        after: timedelta = timedelta(),
    ) -> None:
        """Let time pass, in which the arms came to have answered so many units, so many right.

        `errors` are of the treatments, `crossed` of every arm.
        """
        self.clock.advance(after)
        async with transaction(self.sessions) as session:
            experiment = await session.get_one(Experiment, experiment_id)
            split_id = experiment.progress.split_id
            assert split_id is not None
            version_ids = (await queries.arms(session, [experiment_id]))[experiment_id]
            for version, (units, right) in shown.items():
                arm = factories.arm_evidence(
                    units,
                    errors=errors if version != experiment.plan.control else 0,
                    last_at=self.clock(),
                    version_id=version_ids[version],
                    outcomes={"accuracy": factories.counted(units, right)},
                    crossed=crossed,
                )
                await factories.add_evidence(session, experiment.model_id, split_id, arm)

    async def tick(self, after: timedelta = SECOND) -> None:
        self.clock.advance(after)
        await tick(self.sessions, clock=self.clock, interval=SECOND)

    async def pause(self, experiment_id: UUID) -> None:
        async with transaction(self.sessions) as session:
            await order.pause(session, experiment_id, Order(), **self.by)

    async def resume(self, experiment_id: UUID) -> None:
        async with transaction(self.sessions) as session:
            await order.resume(session, experiment_id, Order(), **self.by)

    async def stop(self, experiment_id: UUID) -> None:
        async with transaction(self.sessions) as session:
            await order.stop(session, experiment_id, Order(), **self.by)

    async def conclude(self, experiment_id: UUID, *, promote_winner: bool | None = None) -> None:
        wish = ConcludeOrder(promote_winner=promote_winner)
        async with transaction(self.sessions) as session:
            await order.conclude(session, experiment_id, wish, **self.by)

    async def analyse(self, experiment_id: UUID) -> None:
        async with transaction(self.sessions) as session:
            await order.analyse(session, experiment_id, now=self.clock())

    async def move(self, version: str, to: Lifecycle) -> None:
        """Move a version to another stage of its life, by hand."""
        async with transaction(self.sessions) as session:
            model = await registry.model(session, MODEL)
            found = await registry.version(session, model.id, version)
            await transition(session, found.id, to, reason=None, **self.by)

    async def delete(self, version: str) -> None:
        async with transaction(self.sessions) as session:
            model = await registry.model(session, MODEL)
            found = await registry.version(session, model.id, version)
            await delete_version(session, found.id, reason=None, **self.by)

    async def roll_out(self, candidate: str, **fields: Any) -> UUID:
        async with transaction(self.sessions) as session:
            launch = Launch(candidate=candidate, **fields)
            return (await start_rollout(session, MODEL, launch, **self.by)).id

    async def restore(self, version: str) -> None:
        """Roll the model back by hand."""
        wish = Restoration(reason="customers complain", to_version=version)
        async with transaction(self.sessions) as session:
            await restore(session, MODEL, wish, **self.by)

    async def split_by_hand(self, weights: Mapping[str, int]) -> None:
        async with transaction(self.sessions) as session:
            model = await registry.model(session, MODEL)
            shares = [Share(version=version, weight=weight) for version, weight in weights.items()]
            await set_split_by_hand(
                session, model, strategy=Spread.STICKY, shares=shares, **self.by
            )

    async def experiment(self, experiment_id: UUID) -> Experiment:
        async with self.sessions() as session:
            return await session.get_one(Experiment, experiment_id)

    async def steps(self, experiment_id: UUID) -> Sequence[ExperimentStep]:
        query = select(ExperimentStep).where(ExperimentStep.experiment_id == experiment_id)
        async with self.sessions() as session:
            return (await session.scalars(query.order_by(ExperimentStep.step))).all()

    async def events(self, experiment_id: UUID) -> list[str]:
        return [step.event.value for step in await self.steps(experiment_id)]

    async def analyses(self, experiment_id: UUID) -> Sequence[ExperimentAnalysis]:
        query = select(ExperimentAnalysis).where(ExperimentAnalysis.experiment_id == experiment_id)
        async with self.sessions() as session:
            return (await session.scalars(query.order_by(ExperimentAnalysis.number))).all()

    async def triggers(self, experiment_id: UUID) -> list[str]:
        """Why each stored analysis was made."""
        return [found.trigger.value for found in await self.analyses(experiment_id)]

    async def split(self, *, model: str = MODEL) -> Split:
        async with self.sessions() as session:
            found = await registry.model(session, model)
            split = await traffic.active_split(session, found.id)
            assert split is not None
            return split

    async def shares(self, *, model: str = MODEL) -> dict[str, float]:
        """What each version of the split in force gets, in percent."""
        split = await self.split(model=model)
        return {variant.version: percent(variant.weight) for variant in split.variants}

    async def stages_of_life(self, *, model: str = MODEL) -> dict[str, str]:
        async with self.sessions() as session:
            found = await registry.model(session, model)
            versions = await registry.versions(session, found.id, limit=100)
            return {version.version: version.stage.value for version in versions}

    async def actions(self) -> list[str]:
        """What the audit log says was done to experiments."""
        query = "SELECT action FROM audit_entry WHERE action LIKE 'experiment.%' ORDER BY id"
        async with self.sessions() as session:
            return list((await session.scalars(text(query))).all())


@pytest.fixture
def driver(joined: Sessions, clock: Clock) -> Driver:
    """In one transaction that is rolled back."""
    return Driver(joined, clock)


@pytest.fixture
def live_driver(sessions: Sessions, clock: Clock) -> Driver:
    """On a database of its own, with real commits."""
    return Driver(sessions, clock)
