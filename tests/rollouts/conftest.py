from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from tests import factories
from tests.conftest import Clock
from turnout.db import Sessions, transaction
from turnout.events.tables import EventRow
from turnout.quantities import percent
from turnout.registry import queries as registry
from turnout.registry.commands import transition
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.rollouts.commands.freeze import set_freeze_windows
from turnout.rollouts.commands.group import launch_group
from turnout.rollouts.commands.start import start
from turnout.rollouts.commands.tick import tick
from turnout.rollouts.domain.freezes import FreezeWindows, Weekly
from turnout.rollouts.domain.group import GroupLaunch, MemberLaunch
from turnout.rollouts.domain.plan import Launch
from turnout.rollouts.tables import Quarantine, Rollout, RolloutLook, RolloutStep
from turnout.traffic import queries as traffic
from turnout.traffic.commands import set_split_by_hand
from turnout.traffic.domain.split import Share, Split, Spread

MODEL = "fraud-detection"
Wish_contra = TypeVar("Wish_contra", contravariant=True)


class Verb(Protocol[Wish_contra]):
    async def __call__(
        self,
        session: AsyncSession,
        rollout_id: UUID,
        wish: Wish_contra,
        /,
        *,
        actor: str,
        now: datetime,
    ) -> Rollout: ...


SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Driver:
    """Starts rollouts, lets arms show evidence, moves the clock and ticks."""

    sessions: Sessions
    clock: Clock

    async def register(self, *versions: str, model: str = MODEL) -> None:
        async with transaction(self.sessions) as session:
            for version in versions:
                await factories.version(session, version, model=model, now=self.clock())

    async def start(self, candidate: str, *, model: str = MODEL, **fields: Any) -> UUID:
        async with transaction(self.sessions) as session:
            launch = Launch(candidate=candidate, **fields)
            return (await start(session, model, launch, actor="ada", now=self.clock())).id

    async def under_way(self, *, model: str = MODEL, **fields: Any) -> UUID:
        """A rollout of 2.0.0 against 1.0.0, in its first stage."""
        await self.register("1.0.0", "2.0.0", model=model)
        await self.start("1.0.0", model=model)
        return await self.start("2.0.0", model=model, **fields)

    async def group_under_way(self, *models: str, **fields: Any) -> list[UUID]:
        """Rollouts of 2.0.0 against 1.0.0 of several models, which go together."""
        for model in models:
            await self.register("1.0.0", "2.0.0", model=model)
            await self.start("1.0.0", model=model)
        members = tuple(MemberLaunch(model=model, candidate="2.0.0", **fields) for model in models)
        return await self.start_group(GroupLaunch(rollouts=members))

    async def start_group(self, launch: GroupLaunch) -> list[UUID]:
        async with transaction(self.sessions) as session:
            _, rollouts = await launch_group(session, launch, actor="ada", now=self.clock())
            return [rollout.id for rollout in rollouts]

    async def see(
        self,
        rollout_id: UUID,
        candidate: int,
        errors: int = 0,
        *,
        baseline: int = 0,
        baseline_errors: int = 0,
        after: timedelta = timedelta(),
    ) -> None:
        """Let time pass, in which the arms of the present split came to have answered so often."""
        self.clock.advance(after)
        async with transaction(self.sessions) as session:
            rollout = await session.get_one(Rollout, rollout_id)
            arms = {
                rollout.candidate_id: (candidate, errors),
                rollout.baseline_id: (baseline, baseline_errors),
            }
            for version_id, (predictions, wrong) in arms.items():
                if predictions and version_id is not None:
                    arm = factories.arm_evidence(
                        predictions, errors=wrong, last_at=self.clock(), version_id=version_id
                    )
                    split_id = rollout.progress.split_id
                    assert split_id is not None
                    await factories.add_evidence(session, rollout.model_id, split_id, arm)

    async def say(self, verb: Verb[Wish_contra], rollout_id: UUID, wish: Wish_contra) -> Rollout:
        """Give an order, such as `order.promote`."""
        async with transaction(self.sessions) as session:
            return await verb(session, rollout_id, wish, actor="ada", now=self.clock())

    async def freeze(self, *weekly: Weekly, model: str = MODEL) -> None:
        """Replace the freeze windows of a model; none lifts them."""
        windows = FreezeWindows(weekly=weekly)
        async with transaction(self.sessions) as session:
            await set_freeze_windows(session, model, windows, actor="ada", now=self.clock())

    async def tick(self, after: timedelta = SECOND) -> None:
        """Let time pass in which nothing changed for the workers that looked, and look again."""
        now = self.clock.advance(after)
        async with transaction(self.sessions) as session:
            behind = select(Rollout.id).where(Rollout.finished_at.is_(None), Rollout.due_at < now)
            free = behind.with_for_update(skip_locked=True)
            await session.execute(update(Rollout).where(Rollout.id.in_(free)).values(due_at=now))
        await self.tick_after_outage()

    async def tick_after_outage(self, after: timedelta = timedelta()) -> None:
        self.clock.advance(after)
        await tick(self.sessions, clock=self.clock, interval=SECOND)

    async def move(self, version: str, to: Lifecycle) -> None:
        """Move a version to another stage of its life, by hand."""
        async with transaction(self.sessions) as session:
            model = await registry.model(session, MODEL)
            found = await registry.version(session, model.id, version)
            await transition(session, found.id, to, actor="ada", now=self.clock(), reason=None)

    async def split_by_hand(self, weights: Mapping[str, int]) -> None:
        async with transaction(self.sessions) as session:
            model = await registry.model(session, MODEL)
            shares = [Share(version=version, weight=weight) for version, weight in weights.items()]
            by: dict[str, Any] = {"actor": "ada", "now": self.clock()}
            await set_split_by_hand(session, model, strategy=Spread.STICKY, shares=shares, **by)

    async def rollout(self, rollout_id: UUID) -> Rollout:
        async with self.sessions() as session:
            return await session.get_one(Rollout, rollout_id)

    async def steps(self, rollout_id: UUID) -> Sequence[RolloutStep]:
        query = select(RolloutStep).where(RolloutStep.rollout_id == rollout_id)
        async with self.sessions() as session:
            return (await session.scalars(query.order_by(RolloutStep.step))).all()

    async def looks(self, rollout_id: UUID) -> Sequence[RolloutLook]:
        query = select(RolloutLook).where(RolloutLook.rollout_id == rollout_id)
        async with self.sessions() as session:
            return (await session.scalars(query.order_by(RolloutLook.id))).all()

    async def events(self, rollout_id: UUID) -> list[str]:
        return [step.event.value for step in await self.steps(rollout_id)]

    async def told(self, rollout_id: UUID) -> list[str]:
        """What others were told of a rollout."""
        query = select(EventRow.type).where(EventRow.subject.endswith(f"/rollouts/{rollout_id}"))
        async with self.sessions() as session:
            return list((await session.scalars(query.order_by(EventRow.id))).all())

    async def alerts(self) -> list[tuple[str, str]]:
        """What calls a person, or called one: the end of its cause, and how it stands."""
        query = text("SELECT cause, state FROM alert ORDER BY id")
        async with self.sessions() as session:
            return [(row.cause.split("/")[-1], row.state) for row in await session.execute(query)]

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

    async def quarantined(self) -> list[str]:
        async with self.sessions() as session:
            ids = (await session.scalars(select(Quarantine.version_id))).all()
            versions = await registry.versions_by_id(session, ids)
            return sorted(version.version for version in versions.values())

    async def actions(self) -> list[str]:
        """What the audit log says was done to rollouts."""
        query = "SELECT action FROM audit_entry WHERE action LIKE 'rollout.%' ORDER BY id"
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
