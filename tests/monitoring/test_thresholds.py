"""The pure part: what a rule is, what a figure says, and what follows from looks."""

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOON
from turnout.monitoring.domain.judging import Judgement, judge
from turnout.monitoring.domain.thresholds import Action, Judge, Rule, Standard, Thresholds
from turnout.monitoring.domain.watch import Change, Watch, look
from turnout.observations.domain.figures import Figures, Mean
from turnout.stats.quantile_sketch import QuantileSketch
from turnout.stats.verdict import Verdict

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def figures(n: int = 0, **known: Any) -> Figures:
    nothing: dict[str, Any] = {
        "errors": 0,
        "labelled": 0,
        "correct": 0,
        "latency": Mean(),
        "confidence": Mean(),
        "cost": Mean(),
        "latencies": QuantileSketch(),
    }
    return Figures(predictions=n, **(nothing | known))


def slow(n: int, ms: float, *, slower: int = 0) -> Figures:
    """So many requests of one latency, and some that took ten times as long."""
    values = [ms] * (n - slower) + [ms * 10] * slower
    return figures(n, latency=Mean(n=n, total=sum(values)), latencies=QuantileSketch.of(values))


def rule(**fields: Any) -> Rule:
    usual: dict[str, Any] = {"metric": "error_rate", "max": 0.05, "last": 100}
    return Rule(**(usual | fields))


BOUND = rule(judge=Judge.BOUND)
ACCURACY = rule(metric="accuracy", max=None, min=0.8)


@pytest.mark.parametrize(
    ("rule", "seen", "verdict"),
    [
        pytest.param(rule(), figures(), Verdict.NO_DATA, id="no data is not good data"),
        pytest.param(
            rule(), figures(29, errors=29), Verdict.INSUFFICIENT_SAMPLE, id="too few to say"
        ),
        pytest.param(rule(), figures(100, errors=6), Verdict.FAIL, id="beyond the limit"),
        pytest.param(rule(), figures(100, errors=5), Verdict.INCONCLUSIVE, id="at the limit"),
        pytest.param(rule(), figures(100, errors=4), Verdict.PASS, id="well within the limit"),
        pytest.param(
            BOUND, figures(100, errors=8), Verdict.INCONCLUSIVE, id="beyond it as chance would have"
        ),
        pytest.param(BOUND, figures(100, errors=20), Verdict.FAIL, id="beyond it beyond chance"),
        pytest.param(
            rule(max=0.0, judge=Judge.BOUND),
            figures(100, errors=1),
            Verdict.FAIL,
            id="none allowed",
        ),
        pytest.param(
            ACCURACY, figures(100, labelled=50, correct=39), Verdict.FAIL, id="accuracy below"
        ),
        pytest.param(
            ACCURACY, figures(900), Verdict.NO_DATA, id="accuracy without any label is not known"
        ),
        pytest.param(
            rule(metric="confidence", max=None, min=0.6, judge=Judge.BOUND),
            figures(100, confidence=Mean(n=100, total=30.0)),
            Verdict.FAIL,
            id="confidence far below",
        ),
        pytest.param(
            rule(metric="confidence", max=None, min=0.6),
            figures(100, confidence=Mean(n=100, total=math.nan)),
            Verdict.ERROR,
            id="what is no number never passes",
        ),
        pytest.param(
            rule(metric="latency_mean", max=200, judge=Judge.BOUND),
            slow(100, 400),
            Verdict.FAIL,
            id="twice as slow",
        ),
        pytest.param(
            rule(metric="latency_mean", max=200, judge=Judge.BOUND),
            slow(100, 100, slower=12),
            Verdict.INCONCLUSIVE,
            id="a mean above the limit by a dozen outliers",
        ),
        pytest.param(
            rule(metric="latency_p95", max=200, judge=Judge.BOUND),
            slow(200, 100, slower=40),
            Verdict.FAIL,
            id="a fifth slower than the 95th percentile may be",
        ),
        pytest.param(
            rule(metric="latency_p95", max=200, judge=Judge.BOUND),
            slow(200, 100, slower=12),
            Verdict.INCONCLUSIVE,
            id="6 % slower than the 95th percentile may be",
        ),
    ],
)
def test_a_figure_is_held_against_its_limit(rule: Rule, seen: Figures, verdict: Verdict):
    assert judge(rule, seen).verdict is verdict


_ORDER = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL)


@given(
    st.integers(30, 2000), st.integers(0, 2000), st.integers(0, 2000), st.sampled_from(list(Judge))
)
def test_more_errors_never_improve_a_verdict(n: int, a: int, b: int, by: Judge):
    fewer, more = sorted((min(a, n), min(b, n)))
    verdicts = [judge(rule(judge=by), figures(n, errors=x)).verdict for x in (fewer, more)]

    assert _ORDER.index(verdicts[0]) <= _ORDER.index(verdicts[1])


def test_how_often_chance_alone_breaks_a_limit():
    """Of windows of 100 by a version that is exactly at its limit: as the guide says."""
    errors = np.random.default_rng(7).binomial(100, 0.05, size=20_000).tolist()
    broken = {
        by: np.mean(
            [judge(rule(judge=by), figures(100, errors=int(x))).verdict == "fail" for x in errors]
        )
        for by in Judge
    }

    assert 0.3 < broken[Judge.ESTIMATE] < 0.45
    assert broken[Judge.BOUND] < 0.01


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"min": 0.1}, "either max or min", id="both sides"),
        pytest.param({"max": None}, "either max or min", id="no side"),
        pytest.param({"metric": "speed"}, "cannot be watched", id="unknown metric"),
        pytest.param({"max": 5}, "a share between 0 and 1", id="percent for a share"),
        pytest.param({"max": math.nan}, "finite", id="no number"),
        pytest.param({"metric": "latency_p99", "max": None, "min": 9}, "max of 0", id="too fast"),
        pytest.param({"last": None}, "what is looked at", id="no window"),
        pytest.param({"window": 8 * 24 * 60 * MINUTE}, "7 days", id="window too long"),
        pytest.param({"metric": "cost", "judge": Judge.BOUND}, "no bound", id="cost has no bound"),
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(fields: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        rule(**fields)


def test_two_rules_that_say_the_same_are_refused():
    with pytest.raises(ValueError, match="say the same"):
        Thresholds(rules=(rule(),), standard=Standard())


def test_the_standard_is_that_of_the_first_example():
    said = [(str(one), one.last, one.consecutive, one.judged_by) for one in Standard().rules]

    assert said == [
        ("accuracy at least 0.8", 100, 3, "bound"),
        ("error_rate at most 0.05", 100, 3, "bound"),
        ("latency_mean at most 200", 100, 3, "bound"),
        ("confidence at least 0.6", 100, 3, "bound"),
    ]
    assert Thresholds().watched == ()
    assert rule(action=Action.ALERT).judged_by is Judge.ESTIMATE


def after(rule: Rule, verdicts: str, *, every: timedelta = SECOND) -> list[Change | None]:
    """What looks with these verdicts change: fail, pass, inconclusive, no data."""
    words = {
        "f": Verdict.FAIL,
        "p": Verdict.PASS,
        "i": Verdict.INCONCLUSIVE,
        "n": Verdict.NO_DATA,
        "e": Verdict.ERROR,
    }
    watch = Watch(version_id=1, rule=rule.key)
    changes = []
    for number, letter in enumerate(verdicts):
        judgement = Judgement(verdict=words[letter], value=None, n=0, reason="")
        watch, change = look(watch, rule, judgement, NOON + number * every)
        changes.append(change)
    return changes


THREE = rule(consecutive=3)
LASTING = rule(duration=2 * MINUTE)
FIRES, STILL, RESOLVED = Change.FIRES, Change.STILL_FIRES, Change.RESOLVED


@pytest.mark.parametrize(
    ("rule", "verdicts", "changes"),
    [
        pytest.param(rule(), "pf", [None, FIRES], id="at the first look"),
        pytest.param(THREE, "ffpff", [None] * 5, id="never three in a row"),
        pytest.param(THREE, "ffiff", [None] * 5, id="what chance may explain ends a row"),
        pytest.param(THREE, "fnfnf", [None] * 4 + [FIRES], id="no data does not end a row"),
        pytest.param(THREE, "fnnnn", [None] * 5, id="no data does not go on with a row"),
        pytest.param(LASTING, "fff", [None, None, FIRES], id="for two minutes"),
        pytest.param(LASTING, "fpfff", [None] * 4 + [FIRES], id="two minutes begin afresh"),
        pytest.param(rule(), "fff", [FIRES, STILL, STILL], id="fires once"),
        pytest.param(rule(), "fpp", [FIRES, None, RESOLVED], id="over after a calm minute"),
        pytest.param(
            rule(), "fpipp", [FIRES, None, None, None, RESOLVED], id="calm only well within"
        ),
        pytest.param(rule(), "fpnpp", [FIRES, None, None, None, RESOLVED], id="silence is no calm"),
        pytest.param(rule(), "fpepp", [FIRES, None, None, None, RESOLVED], id="nor is an error"),
    ],
)
def test_what_follows_from_looks_a_minute_apart(
    rule: Rule, verdicts: str, changes: list[Change | None]
):
    assert after(rule, verdicts, every=MINUTE) == changes


@given(st.text("fpin", max_size=60), st.sampled_from([rule(), THREE, LASTING]))
def test_it_fires_and_resolves_in_turn(verdicts: str, rule: Rule):
    turns = [
        change for change in after(rule, verdicts, every=MINUTE) if change in {FIRES, RESOLVED}
    ]

    assert turns == [FIRES if number % 2 == 0 else RESOLVED for number in range(len(turns))]


@given(st.text("pin", max_size=60))
def test_without_a_failure_nothing_ever_fires(verdicts: str):
    assert set(after(rule(), verdicts)) <= {None}
