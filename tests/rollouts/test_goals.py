"""The goal of a stage: what is found, when it is looked at, and how many units it takes."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.factories import arm_evidence, counted
from turnout.observations.domain.evidence import ArmEvidence
from turnout.rollouts.domain.goals import GoalMemory, StageGoal, pursue, verdict
from turnout.stats.goal import GoalFinding, GoalStatus
from turnout.stats.totals import UnitTotals
from turnout.stats.verdict import Verdict

ACCURACY = StageGoal(metric="accuracy", minimum_detectable_effect=0.05)
CONVERSION = StageGoal(
    metric="conversion", direction="increase", per="unit", minimum_detectable_effect=0.03
)
FASTER = StageGoal(metric="latency_mean", minimum_detectable_effect=5)
memories: TypeAdapter[GoalMemory] = TypeAdapter(GoalMemory)


def labelled(n: int, correct: float, *, metric: str = "accuracy") -> ArmEvidence:
    return arm_evidence(n, outcomes={metric: counted(n, correct)})


def converted(exposed: int, bought: int) -> ArmEvidence:
    """Only those who bought are heard of."""
    return arm_evidence(exposed, outcomes={"conversion": counted(bought, bought)})


def timed(n: int, mean: float) -> ArmEvidence:
    totals = UnitTotals(units=n, n=n, n2=n, x=n * mean, x2=n * (mean**2 + 900), xn=n * mean)
    return replace(arm_evidence(n), metrics={"latency_mean": totals})


def found(
    goal: StageGoal,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    *,
    memory: GoalMemory | None = None,
    weight: int = 5_000,
    final: bool = False,
) -> tuple[GoalFinding, GoalMemory]:
    before = memory or GoalMemory()
    return pursue(goal, before, candidate, baseline, weight=weight, final=final)


@pytest.mark.parametrize(
    ("goal", "candidate", "baseline", "final", "status"),
    [
        pytest.param(
            ACCURACY, labelled(900, 810), labelled(900, 720), False, GoalStatus.WIN, id="better"
        ),
        pytest.param(
            ACCURACY, labelled(900, 630), labelled(900, 720), False, GoalStatus.HARM, id="worse"
        ),
        pytest.param(
            ACCURACY, labelled(600, 470), labelled(600, 480), False, GoalStatus.FUTILE, id="futile"
        ),
        pytest.param(
            ACCURACY,
            labelled(300, 247),
            labelled(300, 240),
            False,
            GoalStatus.CONTINUE,
            id="not decided yet",
        ),
        pytest.param(
            ACCURACY,
            labelled(700, 587),
            labelled(700, 560),
            True,
            GoalStatus.NOT_SHOWN,
            id="not shown when the time is over",
        ),
        pytest.param(
            ACCURACY, labelled(99, 99), labelled(900, 1), False, GoalStatus.CONTINUE, id="too few"
        ),
        pytest.param(ACCURACY, None, labelled(900, 9), True, GoalStatus.NO_DATA, id="no candidate"),
        pytest.param(ACCURACY, None, None, False, GoalStatus.NO_DATA, id="nobody has answered"),
        pytest.param(
            ACCURACY, arm_evidence(900), arm_evidence(900), True, GoalStatus.NO_DATA, id="no label"
        ),
        pytest.param(
            CONVERSION,
            converted(2_000, 400),
            converted(2_000, 240),
            False,
            GoalStatus.WIN,
            id="more of those who came have bought",
        ),
        pytest.param(
            CONVERSION,
            converted(2_000, 240),
            converted(1_000, 120),
            True,
            GoalStatus.FUTILE,
            id="twice the sales of twice as many are the same",
        ),
        pytest.param(
            FASTER, timed(900, 40.0), timed(900, 50.0), False, GoalStatus.WIN, id="faster"
        ),
        pytest.param(
            FASTER, timed(900, 60.0), timed(900, 50.0), False, GoalStatus.HARM, id="slower"
        ),
    ],
)
def test_a_goal_is_looked_at(
    goal: StageGoal,
    candidate: ArmEvidence | None,
    baseline: ArmEvidence | None,
    final: bool,
    status: GoalStatus,
) -> None:
    assert found(goal, candidate, baseline, final=final)[0].status is status


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (GoalStatus.WIN, Verdict.PASS),
        (GoalStatus.HARM, Verdict.FAIL),
        (GoalStatus.FUTILE, Verdict.INCONCLUSIVE),
        (GoalStatus.NOT_SHOWN, Verdict.INCONCLUSIVE),
        (GoalStatus.CONTINUE, Verdict.INCONCLUSIVE),
        (GoalStatus.NO_DATA, Verdict.NO_DATA),
    ],
)
def test_only_a_win_passes_and_only_harm_fails(status: GoalStatus, meant: Verdict) -> None:
    assert verdict(GoalFinding(status=status, reason="")) is meant


def test_figures_that_cannot_be_right_decide_nothing() -> None:
    broken = arm_evidence(
        900, outcomes={"accuracy": UnitTotals(units=900, n=900, n2=900, x=-5, x2=5, xn=-5)}
    )
    finding, memory = found(ACCURACY, broken, labelled(900, 700), final=True)

    assert finding.status is GoalStatus.CONTINUE
    assert "cannot be right" in finding.reason
    assert memory == GoalMemory()


@pytest.mark.parametrize(
    ("weight", "arms"),
    [
        pytest.param(5_000, (400, 400), id="half of the traffic"),
        pytest.param(1_000, (400, 3_600), id="a tenth of it"),
    ],
)
def test_the_units_it_takes_follow_from_how_much_the_first_ones_differ(
    weight: int, arms: tuple[int, int]
) -> None:
    """(1.96 + 0.84)² · p(1 - p)(1 + 1/r)/effect² of the candidate, r baselines for each."""
    candidate, baseline = (labelled(n, 0.9 * n) for n in arms)
    _, memory = found(ACCURACY, candidate, baseline, weight=weight)

    ratio = 10_000 / weight - 1
    single = 2.8016**2 * 0.09 * (1 + 1 / ratio) / 0.05**2
    assert memory.target == pytest.approx(1.09 * single, rel=0.25)


def test_a_number_of_units_that_is_stated_is_kept_to() -> None:
    goal = replace(ACCURACY, target_sample_size=500)
    finding, memory = found(goal, labelled(500, 410), labelled(500, 400))

    assert memory.target == 500
    assert finding.status in {GoalStatus.NOT_SHOWN, GoalStatus.FUTILE}


def test_between_looks_the_last_one_stands() -> None:
    first, memory = found(ACCURACY, labelled(300, 247), labelled(300, 240))
    soon = found(ACCURACY, labelled(301, 1), labelled(300, 240), memory=memory)
    later, _ = found(ACCURACY, labelled(400, 329), labelled(400, 320), memory=memory)

    assert soon == (first, memory)
    assert later.looks == 2


def test_what_was_found_at_the_end_stands() -> None:
    won, memory = found(ACCURACY, labelled(900, 810), labelled(900, 720))
    later = found(ACCURACY, labelled(9_000, 10), labelled(9_000, 7_200), memory=memory)

    assert later == (won, memory)


def test_the_memory_survives_being_stored() -> None:
    _, memory = found(ACCURACY, labelled(300, 247), labelled(300, 240))
    stored = memories.validate_json(memories.dump_json(memory))

    assert stored == memory
    arms = labelled(500, 410), labelled(500, 400)
    assert found(ACCURACY, *arms, memory=stored) == found(ACCURACY, *arms, memory=memory)


def test_equal_versions_rarely_win_or_lose_though_looked_at_often() -> None:
    """At 2.5 % a side, more than 4 of 30 have a chance of 1.6 %."""
    rng = np.random.default_rng(14)
    decided = 0
    for _ in range(30):
        memory, finding = GoalMemory(), None
        right = [np.cumsum(rng.binomial(120, 0.9, 10)) for _ in range(2)]
        for number, correct in enumerate(zip(*right, strict=True), start=1):
            arms = [labelled(120 * number, float(x)) for x in correct]
            finding, memory = found(ACCURACY, *arms, memory=memory, final=number == 10)
        assert finding is not None
        decided += finding.status in {GoalStatus.WIN, GoalStatus.HARM}

    assert decided <= 4
