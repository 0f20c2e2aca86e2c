"""The drift report: each feature and figure of each version that serves, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.drift.domain.baseline import Baseline, Histogram
from turnout.drift.domain.evidence import Evidence
from turnout.drift.domain.shifts import Shift, Whose, feature_shifts, prediction_shift
from turnout.monitoring.domain.anomalies import Anomalies
from turnout.monitoring.domain.drifting import terms
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.thresholds import Drift, Rule
from turnout.observations.domain.grid import PREDICTION
from turnout.stats.drift import jensen_shannon, kolmogorov_smirnov, stability, total_variation
from turnout.stats.verdict import Verdict, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideView:
    """The same hours of the version that answers at the same time: how far it is from this one."""

    version: str
    predictions: int
    psi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionView:
    """How far one feature, or the answers, are from the baseline, over the `predictions` counted.

    `psi` and `kl_divergence` are less what chance adds to them on average, `by_chance` (of the
    PSI; half of it of the KL divergence). `kolmogorov_smirnov` is for numbers only. `change` is
    what makes most of the difference. `whose` is said of what has moved: the `version` alone, the
    `world`, or `untold`.
    """

    feature: str
    predictions: int
    psi: float
    kl_divergence: float | None
    jensen_shannon: float
    total_variation: float
    kolmogorov_smirnov: float | None
    by_chance: float
    verdict: Verdict
    whose: Whose | None
    change: str
    beside: BesideView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A limit of the `drift` section, and what it says now. `value` is the drop, the rise, the rate
    or the number of standard deviations."""

    metric: str
    limit: float
    value: float | None
    predictions: int
    verdict: Verdict
    whose: Whose | None
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDriftView:
    version: str
    has_baseline: bool
    verdict: Verdict
    summary: str
    features: Sequence[DistributionView]
    prediction: DistributionView | None
    figures: Sequence[FigureView]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftView:
    """What has moved by now, by the limits of the `drift` section of the thresholds, or by the
    defaults where there is none."""

    model: str
    since: datetime
    until: datetime
    verdict: Verdict
    summary: str
    limits: Drift
    versions: Sequence[VersionDriftView]
    traffic: FigureView | None
    anomalies: Anomalies


def version_drift(
    version: str,
    baseline: Baseline | None,
    found: Evidence | None,
    judged: Sequence[tuple[Rule, Judgement]],
    beside: str | None,
) -> VersionDriftView:
    rules = {rule.metric: rule for rule, _ in judged}
    features = _features(found, rules.get("feature_drift"), beside)
    figures = [figure(rule, judgement) for rule, judgement in judged]
    failed = [judgement.reason for _, judgement in judged if judgement.verdict is Verdict.FAIL]
    return VersionDriftView(
        version=version,
        has_baseline=baseline is not None,
        verdict=_known(figures),
        summary=". ".join(failed) or _calm(baseline, figures),
        features=features,
        prediction=_prediction(found, rules.get("prediction_drift"), judged),
        figures=figures,
    )


def figure(rule: Rule, judgement: Judgement) -> FigureView:
    return FigureView(
        metric=rule.metric,
        limit=rule.limit,
        value=judgement.value,
        predictions=judgement.n,
        verdict=judgement.verdict,
        whose=judgement.whose,
        summary=judgement.reason,
    )


def in_words(
    versions: Sequence[VersionDriftView], traffic: FigureView | None
) -> tuple[Verdict, str]:
    """The verdict over all, and the sentence for who reads no further."""
    if not versions:
        return Verdict.NO_DATA, "nothing serves"
    told = [(one.verdict, f"{one.version}: {one.summary}") for one in versions] + (
        [(traffic.verdict, f"traffic: {traffic.summary}")] if traffic else []
    )
    failed = [words for verdict, words in told if verdict is Verdict.FAIL]
    verdicts = {verdict for verdict, _ in told}
    if failed:
        return Verdict.FAIL, ". ".join(failed)
    known = verdicts - {Verdict.NO_DATA, Verdict.INSUFFICIENT_SAMPLE}
    return worst(known or verdicts), ". ".join(words for _, words in told)


def _known(figures: Sequence[FigureView]) -> Verdict:
    """What cannot be told says nothing about what can."""
    verdicts = {one.verdict for one in figures}
    return worst(verdicts - {Verdict.NO_DATA, Verdict.INSUFFICIENT_SAMPLE} or verdicts)


def _calm(baseline: Baseline | None, figures: Sequence[FigureView]) -> str:
    if baseline is None:
        return "it has no baseline to be held against"
    if all(one.verdict in {Verdict.NO_DATA, Verdict.INSUFFICIENT_SAMPLE} for one in figures):
        return "too little is known to tell"
    return "nothing is shown to have moved beyond its limit"


def _features(
    found: Evidence | None, rule: Rule | None, beside: str | None
) -> list[DistributionView]:
    if found is None or rule is None:
        return []
    shifts = feature_shifts(found, terms(rule, len(found.baseline.features)))
    return [_distribution(found, shift, beside) for shift in shifts]


def _prediction(
    found: Evidence | None, rule: Rule | None, judged: Sequence[tuple[Rule, Judgement]]
) -> DistributionView | None:
    shift = prediction_shift(found, terms(rule)) if found and rule else None
    if found is None or shift is None:
        return None
    whose = next(one.whose for known, one in judged if known is rule)
    return _distribution(found, shift, None, whose=whose)


def _distribution(
    found: Evidence, shift: Shift, beside: str | None, *, whose: Whose | None = None
) -> DistributionView:
    expected, counts = shift.expected, shift.counts
    index = stability(expected.bins, counts)
    answers = shift.feature == PREDICTION
    numbers = isinstance(expected, Histogram) and any(counts[:-1])
    return DistributionView(
        feature=shift.feature or "prediction",
        predictions=shift.n,
        psi=index.corrected,
        kl_divergence=shift.divergence.corrected if answers else None,
        jensen_shannon=jensen_shannon(expected.bins, counts),
        total_variation=total_variation(expected.bins, counts),
        kolmogorov_smirnov=kolmogorov_smirnov(expected.bins[:-1], counts[:-1]) if numbers else None,
        by_chance=index.noise,
        verdict=shift.verdict,
        whose=whose or shift.whose,
        change=shift.change,
        beside=_beside(found, shift.feature, beside),
    )


def _beside(found: Evidence, feature: str, version: str | None) -> BesideView | None:
    beside = found.beside
    if beside is None or version is None or feature not in beside.own.keys() & beside.theirs.keys():
        return None
    own, theirs = beside.own[feature], beside.theirs[feature]
    psi = stability(theirs, own).corrected
    return BesideView(version=version, predictions=sum(theirs), psi=psi)
