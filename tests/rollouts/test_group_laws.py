"""What holds for every group, whatever its members have come to."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON
from turnout.errors import Conflict
from turnout.rollouts.domain.evidence import Judgement
from turnout.rollouts.domain.group import DOWN, FORWARD, decide_together
from turnout.rollouts.domain.phases import Phase
from turnout.rollouts.domain.plan import Plan, Stage, Strategy
from turnout.rollouts.domain.progress import entry
from turnout.rollouts.domain.transitions import (
    Event,
    Situation,
    Transition,
    decide,
    roll_back,
)
from turnout.stats.verdict import Verdict

MINUTE = timedelta(minutes=1)
PLAN = Plan(
    strategy=Strategy.CANARY,
    stages=(
        Stage(weight=500, bake=10 * MINUTE, approval=True),
        Stage(weight=10_000, bake=10 * MINUTE),
    ),
)
LIVE = [Phase.RUNNING, Phase.PAUSED, Phase.AWAITING_APPROVAL]


def member(
    verdict: Verdict, phase: Phase, after: timedelta, stage: int, *, approved: bool, slow: bool
) -> Situation:
    plan = replace(PLAN, rollback_over=MINUTE) if slow else PLAN
    progress = entry(plan, stage, NOON, approved=(stage,) if approved else ())
    return Situation(
        plan=plan,
        progress=replace(progress, phase=phase, split_id=7),
        judgement=Judgement(verdict=verdict, reason=f"it is {verdict}"),
        now=NOON + after,
        grouped=True,
    )


@st.composite
def groups(draw: st.DrawFn) -> dict[UUID, Situation]:
    stage = draw(st.integers(0, 1))
    members = st.builds(
        member,
        verdict=st.sampled_from([Verdict.PASS, Verdict.PASS, *Verdict]),
        phase=st.sampled_from([Phase.RUNNING, *LIVE]),
        after=st.sampled_from([MINUTE, 10 * MINUTE, 10 * MINUTE, 60 * MINUTE]),
        stage=st.just(stage),
        approved=st.booleans(),
        slow=st.booleans(),
    )
    found = draw(st.lists(members, min_size=1, max_size=4))
    return {UUID(int=number): at for number, at in enumerate(found)}


@given(groups())
def test_all_go_forward_or_none_does(members: dict[UUID, Situation]) -> None:
    changes = decide_together(members, {})
    forward = [key for key, change in changes.items() if change.event in FORWARD]

    assert len(forward) in {0, len(members)}


@given(groups())
def test_one_that_does_harm_takes_all_off_the_road(members: dict[UUID, Situation]) -> None:
    changes = decide_together(members, {})
    harm = any(at.judgement.verdict is Verdict.FAIL for at in members.values())
    down = {key for key, change in changes.items() if change.event in DOWN}

    assert down == (set(members) if harm else set())


@given(groups())
def test_a_rollout_alone_is_a_group_of_one(members: dict[UUID, Situation]) -> None:
    for key, at in members.items():
        decision = decide(at)
        expected = {key: decision} if isinstance(decision, Transition) else {}
        assert decide_together({key: at}, {}) == expected


@given(groups(), st.data())
def test_a_member_that_is_refused_keeps_no_other_from_going_down(
    members: dict[UUID, Situation], data: st.DataObject
) -> None:
    stuck = data.draw(st.sampled_from(sorted(members)))
    changes = decide_together(members, {stuck: Conflict("the target is gone")})
    harm = any(at.judgement.verdict is Verdict.FAIL for at in members.values())

    assert not any(change.event in FORWARD for change in changes.values())
    if harm:
        assert changes[stuck].event is Event.FAILED
        others = {key: change.event for key, change in changes.items() if key != stuck}
        assert others == {
            key: Event.ROLLED_BACK if at.plan.rollback_over is None else Event.ROLLING_BACK
            for key, at in members.items()
            if key != stuck
        }


@given(groups(), st.data())
def test_one_that_is_on_its_way_down_is_left_alone(
    members: dict[UUID, Situation], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(members)))
    slow = replace(members[gone], plan=replace(PLAN, rollback_over=MINUTE))
    back = replace(roll_back(slow, "by hand").progress, split_id=8)
    judgement = Judgement(verdict=Verdict.NO_DATA, reason="nothing seen")
    members[gone] = replace(slow, progress=back, judgement=judgement)
    changes = decide_together(members, {})

    assert gone not in changes
    assert not any(change.event in FORWARD for change in changes.values())
