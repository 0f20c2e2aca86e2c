"""Random verbs, ticks, evidence, crashes and clocks on the real commands and a real database."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import Clock
from tests.rollouts.conftest import Driver
from tests.rollouts.crashes import Crash, MortalSession, mortal_sessions
from turnout import db
from turnout.errors import Refusal
from turnout.rollouts.commands import order
from turnout.rollouts.domain.evidence import judge
from turnout.rollouts.domain.freezes import DAYS, Weekly
from turnout.rollouts.domain.orders import Advance, Emergency, Order, Promotion
from turnout.rollouts.domain.plan import OnConflict, Stage
from turnout.rollouts.domain.progress import exposure
from turnout.rollouts.tables import Rollout, RolloutStep
from turnout.traffic.domain.split import OwnerKind, Role, Split

MINUTE: Final = timedelta(minutes=1)
ALWAYS: Final = Weekly(days=DAYS, from_=time(0), to=time(0))
MODELS: Final = itertools.count()
STAGES: Final = (
    Stage(weight=500, bake=10 * MINUTE, approval=True),
    Stage(weight=2_500, warm_up=5 * MINUTE, bake=10 * MINUTE),
    Stage(weight=10_000, bake=10 * MINUTE),
)
ORDERS: Final[dict[str, tuple[Any, Any]]] = {
    "approve": (order.approve, Advance()),
    "pause": (order.pause, Order()),
    "resume": (order.resume, Order()),
    "promote": (order.promote, Promotion()),
    "finish": (order.promote, Promotion(full=True)),
    "skip": (order.skip, Emergency(reason="a hole")),
    "abort": (order.abort, Order()),
    "roll back": (order.roll_back, Order()),
}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Written:
    """All that was committed about a model's rollouts."""

    split: Split
    rollouts: Sequence[Rollout]
    steps: list[tuple[Any, ...]]
    audited: Counter[str]

    @property
    def everything(self) -> list[object]:
        rollouts = {found.id: (found.progress, found.plan) for found in self.rollouts}
        return [self.split, rollouts, self.steps, self.audited]


class StoredRollouts(RuleBasedStateMachine):
    def __init__(self, loop: asyncio.AbstractEventLoop, engine: AsyncEngine) -> None:
        super().__init__()
        self.loop = loop
        self.model = f"model-{next(MODELS)}"
        clock = Clock()
        self.driver = Driver(db.sessions(engine), clock)
        self.mortal = Driver(mortal_sessions(engine), clock)
        self.versions = itertools.count(2)
        self.rollouts: list[UUID] = []
        self.ended: dict[UUID, object] = {}

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.loop.run_until_complete(work)

    @initialize()
    def first_version(self) -> None:
        self.run(self.driver.register("1.0.0", model=self.model))
        self.run(self.driver.start("1.0.0", model=self.model))

    @rule(
        on_conflict=st.sampled_from(OnConflict),
        start_approval=st.booleans(),
        rollback_over=st.sampled_from([None, 6 * MINUTE]),
    )
    def start(
        self, on_conflict: OnConflict, start_approval: bool, rollback_over: timedelta | None
    ) -> None:
        version = f"{next(self.versions)}.0.0"
        self.run(self.driver.register(version, model=self.model))
        wishes: dict[str, Any] = {
            "on_conflict": on_conflict,
            "start_approval": start_approval,
            "rollback_over": rollback_over,
        }
        start = self.driver.start(version, model=self.model, stages=STAGES, **wishes)
        try:
            self.rollouts.append(self.run(start))
        except Refusal:
            assert on_conflict is OnConflict.REJECT or self.frozen()

    def frozen(self) -> bool:
        query = text(
            "SELECT count(*) FROM freeze_calendar JOIN model ON model.id = model_id"
            " WHERE name = :name AND jsonb_array_length(windows -> 'weekly') > 0"
        )
        return bool(self.run(self.counted(query, name=self.model)))

    async def counted(self, query: Any, **values: object) -> int:
        async with self.driver.sessions() as session:
            found: int = await session.scalar(query, values) or 0
            return found

    @precondition(lambda self: self.rollouts)
    @rule(
        place=st.integers(1, 2),
        name=st.sampled_from(sorted(ORDERS)),
        crash=st.booleans(),
    )
    def say(self, place: int, name: str, crash: bool) -> None:
        rollout_id = self.rollouts[-min(place, len(self.rollouts))]
        verb, wish = ORDERS[name]
        driver = self.mortal if crash else self.driver
        MortalSession.commits_left = 0
        before = self.everything()
        try:
            self.run(driver.say(verb, rollout_id, wish))
        except (Crash, Refusal):
            assert self.everything() == before
        else:
            assert not crash

    @rule(by=st.sampled_from([-60, 1, 6, 11, 40]))
    def tick(self, by: int) -> None:
        self.run(self.driver.tick(by * MINUTE))

    @rule(by=st.sampled_from([1, 11, 40]), commits=st.integers(0, 2))
    def crash_in_a_tick(self, by: int, commits: int) -> None:
        """After so many commits: of the survey, and of the steps that it leads to."""
        MortalSession.commits_left = commits
        before = self.everything()
        try:
            self.run(self.mortal.tick(by * MINUTE))
        except (Crash, ExceptionGroup):
            if commits < 2:  # the first commit is the survey's, which takes no step
                assert self.everything() == before
        self.run(self.outlive_leases())

    async def outlive_leases(self) -> None:
        async with db.transaction(self.driver.sessions) as session:
            await session.execute(text("UPDATE rollout SET lease_until = NULL"))

    @precondition(lambda self: self.rollouts)
    @rule(place=st.integers(1, 2), harm=st.sampled_from([0, 0, 0, 0.8]))
    def see(self, place: int, harm: float) -> None:
        rollout_id = self.rollouts[-min(place, len(self.rollouts))]
        rollout = self.run(self.driver.rollout(rollout_id))
        if rollout.progress.phase.live:
            errors = int(1_000 * harm)
            self.run(self.driver.see(rollout_id, 1_000, errors, baseline=1_000))

    @rule(on=st.booleans())
    def freeze(self, on: bool) -> None:
        self.run(self.driver.freeze(*([ALWAYS] if on else []), model=self.model))

    def everything(self) -> list[object]:
        return self.run(self.written()).everything

    async def written(self) -> "Written":
        query = text("SELECT subject FROM audit_entry WHERE action LIKE 'rollout.%'")
        async with self.driver.sessions() as session:
            rollouts = await session.scalars(select(Rollout).where(Rollout.id.in_(self.rollouts)))
            steps = await session.execute(
                select(RolloutStep.rollout_id, RolloutStep.step, RolloutStep.event)
                .where(RolloutStep.rollout_id.in_(self.rollouts))
                .order_by(RolloutStep.step)
            )
            return Written(
                split=await self.driver.split(model=self.model),
                rollouts=rollouts.all(),
                steps=[tuple(step) for step in steps],
                audited=Counter((await session.scalars(query)).all()),
            )

    @invariant()
    def what_must_hold(self) -> None:
        written = self.run(self.written())
        self.check_traffic_equals_progress(written)
        for rollout in written.rollouts:
            numbers = [number for found, number, _ in written.steps if found == rollout.id]
            assert numbers == list(range(1, rollout.step + 1))
            subject = f"models/{self.model}/rollouts/{rollout.id}"
            assert written.audited[subject] == rollout.step
            if rollout.finished_at is not None:
                end = (rollout.progress, rollout.plan, rollout.step, rollout.finished_at)
                assert self.ended.setdefault(rollout.id, end) == end

    def check_traffic_equals_progress(self, written: "Written") -> None:
        live = [rollout for rollout in written.rollouts if rollout.progress.phase.live]
        split = written.split
        assert len(live) <= 1
        assert split.owned is bool(live)
        if not live:
            assert [variant.weight for variant in split.variants] == [10_000]
            return
        (rollout,) = live
        wanted = exposure(rollout.plan, rollout.progress)
        assert split.id == rollout.progress.split_id
        assert (split.owner.kind, split.owner.id) == (OwnerKind.ROLLOUT, str(rollout.id))
        weights = {variant.name: variant.weight for variant in split.variants}
        assert weights == {
            Role.CANDIDATE: wanted.weight,
            Role.BASELINE: 10_000 - wanted.weight,
        }

    def teardown(self) -> None:
        for rollout_id in self.rollouts:
            plan = self.run(self.driver.rollout(rollout_id)).plan
            for look in self.run(self.driver.looks(rollout_id)):
                judged, _ = judge(plan, look.progress, look.evidence, look.sequences, look.at)
                assert judged == look.judgement


def test_whatever_happens_traffic_and_history_agree(database: str) -> None:
    loop = asyncio.new_event_loop()
    engine = db.create_engine(database, pool_size=2)

    class OnThisDatabase(StoredRollouts):
        def __init__(self) -> None:
            super().__init__(loop, engine)

    try:
        run_state_machine_as_test(
            OnThisDatabase,
            settings=settings(max_examples=5, stateful_step_count=15, deadline=None),
        )
    finally:
        loop.run_until_complete(engine.dispose())
        loop.close()
