"""Random verbs, ticks, evidence and clocks on the pure core: what must hold whatever happens."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import NOON
from turnout.quantities import BASIS_POINTS
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.runtime import ExternalRuntime
from turnout.registry.domain.version import VersionRef
from turnout.rollouts.domain import transitions, verbs
from turnout.rollouts.domain.evidence import Judgement
from turnout.rollouts.domain.freezes import Frozen
from turnout.rollouts.domain.orders import Emergency, Order, Promotion
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Launch, Plan, Stage
from turnout.rollouts.domain.progress import Progress, exposure
from turnout.rollouts.domain.replan import Replan, replan
from turnout.rollouts.domain.traffic import variants
from turnout.rollouts.domain.transitions import (
    OFF_THE_ROAD,
    Event,
    Hold,
    Situation,
    Transition,
    decide,
)
from turnout.rollouts.domain.verbs import VerbRefused
from turnout.stats.verdict import Verdict
from turnout.traffic.domain.split import Role, Variant, check_arms

stages = st.builds(
    Stage,
    weight=st.integers(1, 9_999),
    bake=st.timedeltas(timedelta(), timedelta(hours=2)),
    approval=st.booleans(),
    warm_up=st.sampled_from([timedelta(), timedelta(minutes=20)]),
)
mirror = st.lists(
    st.builds(Stage, weight=st.just(0), shadow=st.booleans(), bake=st.just(timedelta(minutes=5))),
    max_size=1,
)
ramps = st.lists(stages, min_size=1, max_size=4, unique_by=lambda stage: stage.weight).map(
    lambda ramp: sorted(ramp, key=lambda stage: stage.weight)
)
plans = st.builds(
    lambda first, ramp, approval, over: Launch(
        candidate="2.0.0",
        stages=(*first, *ramp),
        start_approval=approval,
        rollback_over=over,
    ).plan(),
    mirror,
    ramps,
    st.booleans(),
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(hours=1)),
)
freezes = st.none() | st.timedeltas(timedelta(minutes=1), timedelta(hours=6))
PEOPLES: dict[str, Callable[[Situation, Promotion], Transition | None]] = {
    "approve": verbs.approve,
    "pause": verbs.pause,
    "resume": verbs.resume,
    "promote": verbs.promote,
    "skip": lambda at, order: verbs.skip(
        at, Emergency(reason="a hole", expected_stage=order.expected_stage)
    ),
    "replan": lambda at, order: replan(
        at,
        Replan(
            stages=(Stage(weight=9_999, bake=timedelta(hours=1)),),
            expected_stage=order.expected_stage,
        ),
    ),
    "abort": verbs.abort,
    "roll_back": verbs.roll_back,
}


def version(number: int) -> VersionRef:
    return VersionRef(
        id=number,
        model_id=1,
        model="m",
        version=f"{number}.0.0",
        stage=Lifecycle.STAGING,
        runtime=ExternalRuntime(),
        artifact=None,
        signature=None,
        file_sha256=None,
    )


class Rollout(RuleBasedStateMachine):
    """What `commands` does, without a database: one transition at a time, splits numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.plan: Plan | None = None
        self.now = NOON
        self.splits = 0
        self.frozen: Frozen | None = None
        self.verdict = Verdict.NO_DATA
        self.history: list[Transition] = []
        self.split: tuple[Variant, ...] = ()

    @property
    def progress(self) -> Progress:
        return self.history[-1].progress

    @property
    def situation(self) -> Situation:
        assert self.plan is not None
        judgement = Judgement(verdict=self.verdict, reason=f"it is {self.verdict}")
        return Situation(
            plan=self.plan,
            progress=self.progress,
            judgement=judgement,
            now=self.now,
            frozen=self.frozen,
        )

    def carry_out(self, transition: Transition) -> None:
        assert self.plan is not None
        self.plan = transition.plan or self.plan
        progress = transition.progress
        if progress.split_id is None:
            self.splits += 1
            self.split = variants(
                exposure(self.plan, progress),
                version(2),
                version(1),
                ended=progress.phase.terminal,
            )
            if not progress.phase.terminal:
                progress = replace(progress, split_id=self.splits)
        self.history.append(replace(transition, progress=progress))

    @precondition(lambda self: self.plan is None)
    @rule(plan=plans)
    def start(self, plan: Plan) -> None:
        self.plan = plan
        self.carry_out(transitions.start(plan, self.now, "a test"))

    @precondition(lambda self: self.plan is not None)
    @rule(by=st.timedeltas(timedelta(minutes=-10), timedelta(hours=3)))
    def pass_time(self, by: timedelta) -> None:
        self.now += by

    @precondition(lambda self: self.plan is not None)
    @rule(verdict=st.sampled_from(Verdict))
    def see(self, verdict: Verdict) -> None:
        self.verdict = verdict

    @precondition(lambda self: self.plan is not None)
    @rule(lasts=freezes)
    def freeze(self, lasts: timedelta | None) -> None:
        until = None if lasts is None else self.now + lasts
        self.frozen = Frozen(since=self.now, until=until, reason="busy") if until else None

    @precondition(lambda self: self.plan is not None)
    @rule()
    def tick(self) -> None:
        at, decision = self.situation, decide(self.situation)
        if isinstance(decision, Hold):
            assert self.verdict is not Verdict.FAIL or not at.progress.phase.live
            retreat = at.progress.retreat
            assert retreat is None or self.now < retreat.began + retreat.over
            return
        self.check_precedence(at, decision)
        self.carry_out(decision)

    def check_precedence(self, at: Situation, decision: Transition) -> None:
        if at.progress.phase is Phase.ROLLING_BACK:
            ends = {Event.ROLLED_BACK} if self.verdict is Verdict.FAIL else OFF_THE_ROAD
            assert decision.event in ends - {Event.ROLLING_BACK}
            return
        if self.verdict is Verdict.FAIL:
            assert decision.event in OFF_THE_ROAD
            return
        if decision.event is Event.WARMED_UP:
            assert at.progress.warming
            assert at.progress.elapsed(at.now) >= at.stage.warm_up
            return
        assert not at.progress.warming
        assert at.frozen is None
        assert at.progress.phase not in {Phase.PAUSED, Phase.AWAITING_APPROVAL}
        assert at.progress.elapsed(at.now) >= at.stage.bake
        passed = {Event.ADVANCED, Event.SUCCEEDED, Event.AWAITING_APPROVAL}
        assert (decision.event in passed) is (self.verdict is Verdict.PASS)
        if decision.event is not Event.AWAITING_APPROVAL:
            assert not (self.verdict is Verdict.PASS and at.stage.approval)

    @precondition(lambda self: self.plan is not None)
    @rule(
        name=st.sampled_from(sorted(PEOPLES)),
        full=st.booleans(),
        expected_stage=st.none() | st.integers(0, 6),
    )
    def say(self, name: str, full: bool, expected_stage: int | None) -> None:
        order = Promotion(
            full=full, expected_stage=expected_stage, override_freeze=True, reason="a test"
        )
        before = self.progress
        try:
            transition = PEOPLES[name](self.situation, order)
        except VerbRefused:
            assert name not in {"abort", "roll_back"} or not self.stoppable(before, order)
            return
        if transition is not None:
            assert not before.phase.terminal
            assert expected_stage in {None, before.stage}
            self.carry_out(transition)

    @staticmethod
    def stoppable(progress: Progress, order: Order) -> bool:
        return progress.phase.live and order.expected_stage in {None, progress.stage}

    @precondition(lambda self: self.plan is not None)
    @invariant()
    def weights_sum_and_reference(self) -> None:
        check_arms(self.split)
        assert {variant.version_id for variant in self.split} <= {1, 2}

    @precondition(lambda self: self.plan is not None)
    @invariant()
    def traffic_follows_progress(self) -> None:
        assert self.plan is not None
        wanted = exposure(self.plan, self.progress)
        candidate = [variant for variant in self.split if variant.name == Role.CANDIDATE]
        assert sum(variant.weight for variant in candidate) == wanted.weight
        assert any(variant.shadow for variant in candidate) is wanted.shadow
        assert BASIS_POINTS in [variant.weight for variant in self.split] or wanted.weight

    @invariant()
    def terminal_is_the_end(self) -> None:
        assert not any(step.progress.phase.terminal for step in self.history[:-1])

    @invariant()
    def weight_falls_only_at_the_end_and_on_the_way_back(self) -> None:
        assert self.plan is not None or not self.history
        weights = [exposure(self.plan, step.progress).weight for step in self.history if self.plan]
        live = weights[:-1] if self.history and self.progress.phase.terminal else weights
        back = sum(step.progress.phase is Phase.ROLLING_BACK for step in self.history)
        up, down = live[: len(live) - back], live[len(live) - back :]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)
        assert not down or down[0] < up[-1]

    @invariant()
    def timer_runs_exactly_while_nothing_stops_it(self) -> None:
        for step in self.history:
            phase = step.progress.phase
            stopped = phase in {Phase.PAUSED, Phase.ROLLING_BACK} or phase.terminal
            assert (step.progress.baking_since is None) is stopped


def test_weights_sum_and_reference() -> None:
    run_state_machine_as_test(
        Rollout, settings=settings(max_examples=100, stateful_step_count=30, deadline=None)
    )
