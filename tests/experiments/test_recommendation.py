"""Whole recommendations, as a person reads them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.experiments.trials import (
    DAY_2,
    END,
    TWO,
    analysed,
    arm,
    plan,
    running,
    seen,
    three,
)
from tests.factories import NOON
from turnout.experiments.domain.analysis import Analysis
from turnout.experiments.domain.evidence import ExperimentEvidence
from turnout.experiments.domain.state import Conclusion, Status
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.guardrails import Guardrail
from turnout.observations.domain.metric import Goal, Metric
from turnout.stats.totals import UnitTotals
from turnout.traffic.domain.split import Spread

ERRORS = Guardrail(metric="error_rate", max_increase=0.01)
SLOWEST = Guardrail(metric="latency_p99", max=200)
PROOF = Guardrail(metric="error_rate", max_increase=0.001, proof="not_worse")
BETTER = seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_375))
BROKEN = seen(control=arm(2_500, 2_250, errors=10), treatment=arm(2_500, 2_375, errors=150))
FEW = seen(control=arm(500, 450), treatment=arm(500, 480))
GREAT = Goal(metric="accuracy", minimum_detectable_effect=0.2)
UNDECIDED = seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_820))


def timed(correct: int, ms: float) -> ArmEvidence:
    n = 3_000
    total = UnitTotals(units=n, n=n, n2=n, x=n * ms, x2=n * (ms**2 + 2_500), xn=n * ms)
    return arm(n, correct, outcomes={"latency_mean": total})


def earning(revenue: float, squares: float) -> ArmEvidence:
    n = 2_500
    total = UnitTotals(units=n, n=n, n2=n, x=revenue, x2=squares, xn=revenue)
    return arm(n, outcomes={"revenue": total})


def ends(evidence: ExperimentEvidence) -> ExperimentEvidence:
    """The same, seen to the end."""
    arms = {version: replace(found, last_at=END) for version, found in evidence.arms.items()}
    return ExperimentEvidence(arms=arms)


def won_at_the_second_look() -> Analysis:
    asked = plan(guardrails=(ERRORS, SLOWEST), secondary=(Metric(metric="latency_mean"),))
    first = seen(control=arm(1_500, 1_350), treatment=arm(1_500, 1_370))
    _, memory = analysed(first, of=asked, now=NOON + timedelta(hours=20))
    evidence = seen(control=timed(2_700, 50), treatment=timed(2_800, 62))
    return analysed(evidence, of=asked, sequences=memory)[0]


@pytest.mark.parametrize(
    ("of", "conclusion", "text"),
    [
        pytest.param(
            won_at_the_second_look,
            Conclusion.SHIP,
            "Ship 2.0.0: it does better than the control 1.0.0. With 2.0.0, accuracy is 93.33 %, "
            "against 90 % with 1.0.0: a difference of +3.33 points (between +1.52 and +5.18 "
            "points with 95 % confidence), or +3.7 % relative to the control (between +1.67 % and "
            "+5.83 %). Whether the improvement reaches 2 points, the least that matters, is not "
            "settled. That is from 3,000 units with 2.0.0 and 3,000 units with 1.0.0 in 2 days, "
            "looked at twice. If it made no difference, the chance of being called better at any "
            "look would be at most 2.5 %. Since it ended at the first look that was clear, at 60 "
            "% of the planned size, the difference seen then tends to be too large: allowing for "
            "that, the best estimate is +2.92 points (between +0.988 and +4.52 points). All of its "
            "2 guardrails pass. Beside the goal, 2.0.0 also changed latency_mean +12 ms; that "
            "decided nothing.",
            id="better, at the second look",
        ),
        pytest.param(
            lambda: analysed(three(4_500, 4_740, 4_750, of=5_000), of=TWO)[0],
            Conclusion.SHIP,
            "Ship 3.0.0: it does better than the control 1.0.0. With 3.0.0, accuracy is 95 %, "
            "against 90 % with 1.0.0: a difference of +5 points (between +3.98 and +6.04 points "
            "with 95 % confidence), or +5.56 % relative to the control (between +4.39 % and +6.76 "
            "%). All of the range is an improvement of at least 2 points, the least that matters. "
            "That is from 5,000 units with 3.0.0 and 5,000 units with 1.0.0 in 2 days, looked at "
            "once. If no treatment made a difference, the chance that any of them is called "
            "better at any look would be at most 2.5 %. This is a tie: 2.0.0 did better than the "
            "control, too, and which of them is best was not shown. 3.0.0 has the better worst "
            "case. No guardrail was set, so nothing but the goal was watched.",
            id="two that are better, and neither is shown to be best",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(2_500, 2_250), treatment=arm(2_500, 2_100)))[0],
            Conclusion.KEEP_CONTROL,
            "Keep 1.0.0: 2.0.0 does worse. With 2.0.0, accuracy is 84 %, against 90 % with 1.0.0: "
            "a difference of -6 points (between -8.49 and -3.53 points with 95 % confidence), or "
            "-6.67 % relative to the control (between -9.34 % and -3.98 %). That is from 2,500 "
            "units with 2.0.0 and 2,500 units with 1.0.0 in 2 days, looked at once. If it made no "
            "difference, the chance of being called worse at any look would be at most 2.5 %.",
            id="worse",
        ),
        pytest.param(
            lambda: analysed(
                seen(control=arm(2_500, 2_250, errors=10), treatment=arm(2_500, 2_375, errors=150)),
                of=plan(guardrails=(ERRORS, SLOWEST)),
            )[0],
            Conclusion.KEEP_CONTROL,
            "Keep 1.0.0, and take 2.0.0 off the road: it fails the guardrail error_rate at most "
            "0.01 above the baseline. Harm shown: 6 % against the baseline's 0.4 %, allowed +1 "
            "points, at least +4.09 points with 97.5 % confidence, after 2,500 events from 2,500 "
            "units and 2,500 events from 2,500 units. The baseline is the control 1.0.0.",
            id="a guardrail fails",
        ),
        pytest.param(
            lambda: analysed(BETTER, of=plan(guardrails=(PROOF,)))[0],
            Conclusion.KEEP_RUNNING,
            "Keep running: 2.0.0 does better on accuracy, but the guardrail error_rate at most "
            "0.001 above the baseline does not pass yet: not shown to be within the limit: 0 % "
            "against the baseline's 0 %, allowed +0.1 points, at most +0.364 points with 95 % "
            "confidence, after 2,500 events from 2,500 units and 2,500 events from 2,500 units. "
            "Unless it does within the 5 days that are left, the control stays.",
            id="better, but a guardrail is open",
        ),
        pytest.param(
            lambda: analysed(UNDECIDED)[0],
            Conclusion.KEEP_RUNNING,
            "Keep running: nothing is decided yet. With 2.0.0, accuracy is 91 %, against 90 % "
            "with 1.0.0: a difference of +1 point (between -1.55 and +3.56 points with 95 % "
            "confidence), or +1.11 % relative to the control (between -1.71 % and +4.03 %). That "
            "is from 2,000 units with 2.0.0 and 2,000 units with 1.0.0 in 2 days, looked at once. "
            "At most 6,000 more units are needed in all, about 3 days at the pace seen; it may "
            "end earlier.",
            id="not decided",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(1_000, 900), treatment=arm(1_000, 905)))[0],
            Conclusion.KEEP_RUNNING,
            "Keep running: nothing is decided yet. With 2.0.0, accuracy is 90.5 %, against 90 % "
            "with 1.0.0: a difference of +0.5 points (between -3.62 and +4.64 points with 95 % "
            "confidence), or +0.556 % relative to the control (between -3.96 % and +5.31 %). That "
            "is from 1,000 units with 2.0.0 and 1,000 units with 1.0.0 in 2 days, looked at once. "
            "At most 8,000 more units are needed in all, about 8 days at the pace seen, but the "
            "time limit comes first, in 5 days: it may then be too small to tell.",
            id="too little traffic",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(2_000, 1_800), treatment=arm(2_000, 1_780)))[0],
            Conclusion.FUTILE,
            "Stop, and keep 1.0.0: 2.0.0 was not shown to do better, and it is unlikely that "
            "going on would show it. With 2.0.0, accuracy is 89 %, against 90 % with 1.0.0: a "
            "difference of -1 point (between -3.68 and +1.67 points with 95 % confidence), or "
            "-1.11 % relative to the control (between -4.04 % and +1.89 %). An improvement of 2 "
            "points, the least that matters, is ruled out by the range. This does not prove that "
            "there is no difference: a smaller one may remain unseen. That is from 2,000 units "
            "with 2.0.0 and 2,000 units with 1.0.0 in 2 days, looked at once.",
            id="futile",
        ),
        pytest.param(
            lambda: analysed(ends(UNDECIDED), of=plan(futility_threshold=None), now=END)[0],
            Conclusion.KEEP_CONTROL,
            "Keep 1.0.0: by the end of the experiment, no difference in accuracy was shown. With "
            "2.0.0, accuracy is 91 %, against 90 % with 1.0.0: a difference of +1 point (between "
            "-0.82 and +2.83 points with 95 % confidence), or +1.11 % relative to the control "
            "(between -0.903 % and +3.18 %). An improvement of 2 points, the least that matters, "
            "is not ruled out either: the experiment was too small to tell. That is from 2,000 "
            "units with 2.0.0 and 2,000 units with 1.0.0 in 7 days, looked at once.",
            id="too small, at the end",
        ),
        pytest.param(
            lambda: analysed(
                seen(control=earning(30_000, 600_000), treatment=earning(33_000, 720_000)),
                of=plan(
                    goal=Goal(
                        metric="revenue", direction="increase", minimum_detectable_effect=0.5
                    ),
                    strategy=Spread.RANDOM,
                ),
            )[0],
            Conclusion.SHIP,
            "Ship 2.0.0: it does better than the control 1.0.0. With 2.0.0, revenue is 13.2, "
            "against 12 with 1.0.0: a difference of +1.2 (between +0.444 and +1.96 with 95 % "
            "confidence), or +10 % relative to the control (between +3.6 % and +16.8 %). Whether "
            "the improvement reaches 0.5, the least that matters, is not settled. That is from "
            "2,500 requests with 2.0.0 and 2,500 requests with 1.0.0 in 2 days, looked at once. "
            "If it made no difference, the chance of being called better at any look would be at "
            "most 2.5 %. No guardrail was set, so nothing but the goal was watched.",
            id="a measurement, each request for itself",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(2_500, 2_250), treatment=arm(2_100, 1_900)))[0],
            Conclusion.INVALID,
            "Do not use this result: units did not fall to the variants as planned: 1.0.0 got "
            "2,500 (54.35 %, planned 50 %), 2.0.0 got 2,100 (45.65 %, planned 50 %). By chance "
            "alone so great a deviation comes about in fewer than 1 of 1,000 experiments, so "
            "something else sorts the units, and a difference between the variants may be due to "
            "that. Look for predictions of one variant that are lost, retried or recorded late, "
            "for a caller that records only some variants, and for filters, caches or redirects "
            "that act after the assignment. Then start a new experiment: what was counted here "
            "cannot be mended.",
            id="units did not fall as planned",
        ),
        pytest.param(
            lambda: analysed(UNDECIDED, now=DAY_2 + timedelta(hours=6))[0],
            Conclusion.KEEP_RUNNING,
            "Wait: 1.0.0 has made no prediction since 2026-03-04 12:00:00 UTC. Look at whether "
            "the callers still send their traffic to this model. At most 6,000 more units are "
            "needed in all, about 4 days at the pace seen; it may end earlier.",
            id="traffic stopped",
        ),
    ],
)
def test_a_recommendation_says_it_in_words(
    of: Callable[[], Analysis], conclusion: Conclusion, text: str
) -> None:
    analysis = of()

    assert analysis.conclusion is conclusion
    assert analysis.recommendation == text


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        pytest.param(
            lambda: analysed(UNDECIDED, progress=running().stopped(Status.PAUSED, DAY_2))[0],
            "It is paused: nothing is decided yet.",
            id="paused",
        ),
        pytest.param(
            lambda: analysed(UNDECIDED, of=plan(early_stopping=False))[0],
            "in 2 days, not looked at yet. 6,000 more units are needed in all, about 3 days at "
            "the pace seen.",
            id="one look, at the end",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(2_000, 2_000), treatment=arm(2_000, 2_000)))[0],
            "All that was reported of accuracy is the same so far.",
            id="nothing varies",
        ),
        pytest.param(
            lambda: analysed(seen(), now=NOON)[0],
            "Wait: no prediction of 1.0.0 and 2.0.0 so far. Look at whether the callers send",
            id="just started",
        ),
        pytest.param(
            lambda: analysed(seen(control=arm(8, 7, last_at=END)), now=END)[0],
            "Do not use this result: no prediction of 2.0.0 so far.",
            id="never any traffic",
        ),
        pytest.param(
            lambda: analysed(three(4_000, 4_600, 4_250, of=5_000), of=TWO)[0],
            "3.0.0 did better than the control, too, but not as well.",
            id="the best of two",
        ),
        pytest.param(
            lambda: analysed(three(2_250, 2_345, 2_300), of=TWO)[0],
            "Keep running: 2.0.0 did better than the control 1.0.0, and another treatment may "
            "still do better than that.",
            id="one of two is open",
        ),
        pytest.param(
            lambda: analysed(ends(BETTER), of=plan(guardrails=(PROOF,)), now=END)[0],
            "has not passed by the end of the experiment",
            id="a winner that was never shown to be harmless",
        ),
        pytest.param(
            lambda: analysed(ends(seen(control=arm(500, 450), treatment=arm(500, 480))), now=END)[
                0
            ],
            "the experiment is over, and it was too small to say anything about accuracy. Nothing "
            "is concluded below 1,000 units per variant with a value of accuracy: 1.0.0 has 500 "
            "and 2.0.0 has 500.",
            id="too few units at the end",
        ),
        pytest.param(
            lambda: analysed(
                BETTER, of=plan(goal=Goal(metric="accuracy", minimum_detectable_effect=0.2))
            )[0],
            "All of the range is below 20 points, the least that matters: it is better, but by "
            "little.",
            id="better, and too little to matter",
        ),
        pytest.param(
            lambda: analysed(
                seen(
                    control=arm(2_500, 2_250, crossed=100), treatment=arm(2_500, 2_250, crossed=50)
                )
            )[0],
            "150 of 5,000 units (3 %) met more than one variant. Units that meet several variants "
            "blur every difference.",
            id="units met both",
        ),
    ],
)
def test_a_recommendation_says_what_is_special(of: Callable[[], Analysis], sentence: str) -> None:
    assert sentence in of().recommendation
