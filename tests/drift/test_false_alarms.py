"""Days without drift, and how often somebody is called all the same."""

from datetime import UTC, datetime

import numpy as np
import pytest

from turnout.drift.domain.baseline import Baseline, Frequencies, Histogram
from turnout.drift.domain.evidence import Evidence
from turnout.monitoring.domain.drifting import judge_features, judge_prediction, judge_traffic
from turnout.monitoring.domain.thresholds import Drift, Judge, Rule
from turnout.observations.domain.grid import PREDICTION
from turnout.observations.domain.volume import Volume
from turnout.stats.drift import population_stability_index
from turnout.stats.verdict import Verdict

FEATURES = 20
TENTHS = np.full(10, 0.1)
RARE = np.array([0.6, 0.25, 0.1, 0.03, 0.015, 0.004, 0.001])
CLASSES = np.array([0.9, 0.08, 0.02])
RULES = {rule.metric: rule for rule in Drift().rules}


def day(source: np.random.Generator, n: int) -> Evidence:
    """What was trained on and what is answered come from the same distributions."""

    def counts(size: int, shares: "np.typing.NDArray[np.float64]") -> tuple[int, ...]:
        return tuple(source.multinomial(size, shares).tolist())

    features: dict[str, Histogram | Frequencies] = {}
    for k in range(FEATURES):
        if k % 2:
            edges = tuple(map(float, range(9)))
            features[f"number-{k}"] = Histogram(edges=edges, counts=counts(5_000, TENTHS))
        else:
            named = zip("abcdefg", counts(5_000, RARE), strict=True)
            features[f"text-{k}"] = Frequencies(categories=dict(named))
    classes = dict(zip("xyz", counts(5_000, CLASSES), strict=True))
    baseline = Baseline(features=features, prediction=Frequencies(categories=classes))
    seen = {
        name: (*counts(n, TENTHS if name.startswith("number") else RARE), 0)
        if name.startswith("number")
        else (*counts(n, RARE), 0, 0)
        for name in features
    }
    seen[PREDICTION] = (*counts(n, CLASSES), 0, 0)
    return Evidence(version_id=1, baseline=baseline, counts=seen)


@pytest.mark.parametrize("n", [200, 500, 5_000])
def test_a_day_without_drift_is_a_day_without_an_alarm(n: int):
    """Of 150 days with 20 features each, none has an alarm, whatever the traffic."""
    source = np.random.default_rng(n)
    days = [day(source, n) for _ in range(150)]

    alarms = [
        judgement
        for found in days
        for judgement in (
            judge_features(RULES["feature_drift"], found),
            judge_prediction(RULES["prediction_drift"], found),
        )
        if judgement.verdict is Verdict.FAIL
    ]
    assert alarms == []


def test_the_bare_index_would_have_called_somebody_every_week():
    source = np.random.default_rng(5)
    bare = [
        max(
            population_stability_index(one.bins, found.counts[name])
            for name, one in found.baseline.features.items()
        )
        > 0.2
        for found in (day(source, 100) for _ in range(100))
    ]

    assert np.mean(bare) > 1 / 7


def test_no_feature_is_judged_by_a_handful_of_predictions():
    found = day(np.random.default_rng(1), 150)
    judgement = judge_features(RULES["feature_drift"], found)

    assert judgement.verdict is Verdict.INSUFFICIENT_SAMPLE
    assert "200 are needed" in judgement.reason


def test_traffic_as_usual_calls_about_once_in_a_fortnight():
    """One hour in 370, by weeks that differ as weeks do; the guide says so."""
    source = np.random.default_rng(9)
    hour = datetime(2026, 3, 2, 12, tzinfo=UTC)
    calls = 0
    for _ in range(20_000):
        now, *weeks = source.poisson(source.normal(2_000, 150, size=9)).tolist()
        volume = Volume(hour=hour, predictions=now, earlier=tuple(weeks))
        calls += judge_traffic(RULES["traffic_deviation"], volume).verdict is Verdict.FAIL

    per_day = calls / 20_000 * 24
    assert 0.04 < per_day < 0.1


def test_a_real_shift_is_told_from_chance_by_a_few_hundred_predictions():
    source = np.random.default_rng(4)
    found = day(source, 500)
    tilted = np.linspace(1, 5, 10) ** 2
    moved = (*source.multinomial(500, tilted / tilted.sum()).tolist(), 0)
    shifted = Evidence(
        version_id=1, baseline=found.baseline, counts={**found.counts, "number-3": moved}
    )
    bound = judge_features(RULES["feature_drift"], shifted)
    estimate = judge_features(Rule(metric="feature_drift", max=0.2, judge=Judge.ESTIMATE), shifted)

    assert (bound.verdict, bound.features) == (Verdict.FAIL, ("number-3",))
    assert estimate.verdict is Verdict.FAIL
