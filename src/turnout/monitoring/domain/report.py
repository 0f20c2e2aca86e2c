"""The drift report: each feature and figure of each version that serves, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from turnout.drift.domain.baseline import Baseline, Histogram, Provenance
from turnout.drift.domain.evidence import Evidence
from turnout.drift.domain.onset import Measure, Step, onset, steps
from turnout.drift.domain.shifts import Shift, Whose, feature_shifts, prediction_shift
from turnout.monitoring.domain.anomalies import Anomalies
from turnout.monitoring.domain.drifting import terms
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.thresholds import Drift, Rule
from turnout.observations.domain.grid import PREDICTION
from turnout.observations.domain.volume import Volume
from turnout.stats.drift import (
    Divergence,
    divergence,
    jensen_shannon,
    kolmogorov_smirnov,
    stability,
    total_variation,
)
from turnout.stats.verdict import Verdict, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideView:
    """The same hours of the version that answers at the same time: how far it is from this one."""

    version: str
    predictions: int
    psi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BinView:
    """The share of one bin or category: in the baseline, as counted, and as counted of the version
    that answers at the same time."""

    name: str
    expected: float
    observed: float
    beside: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionView:
    """How far one feature, or the answers, are from the baseline, over the `predictions` counted.

    `psi` and `kl_divergence` are less what chance adds to them on average, `by_chance` (of the
    PSI; half of it of the KL divergence). `kolmogorov_smirnov` is for numbers only, as are the
    `edges` that divide the first `bins`. `change` is what makes most of the difference, and it
    takes as many as are `needed` to say anything.

    Of what has moved, `whose` says whether it is the `version` alone, the `world`, or `untold`. Of
    that and of what is near its limit, `since` says from which hour on, where one hour parts the
    window so, and `steps` how far it was at each time.
    """

    feature: str
    predictions: int
    in_baseline: int
    psi: float
    kl_divergence: float | None
    jensen_shannon: float
    total_variation: float
    kolmogorov_smirnov: float | None
    by_chance: float
    limit: float
    needed: int
    verdict: Verdict
    whose: Whose | None
    since: datetime | None
    change: str
    beside: BesideView | None
    edges: Sequence[float] | None
    bins: Sequence[BinView]
    steps: Sequence[Step]

    @property
    def distance(self) -> float:
        """What is held against the limit: the KL divergence of answers, the PSI of features."""
        return self.psi if self.kl_divergence is None else self.kl_divergence


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
    """`answered` are its predictions in the window, `sampled` those whose features were counted.
    `unreported` are features of the baseline of which no value has come."""

    version: str
    baseline: Provenance | None
    answered: int
    sampled: int
    verdict: Verdict
    summary: str
    features: Sequence[DistributionView]
    unreported: Sequence[str]
    prediction: DistributionView | None
    figures: Sequence[FigureView]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftView:
    """What has moved by now, by the limits of the `drift` section of the thresholds, or by the
    defaults where there is none. `advice` is what to do next. `volume` is what `traffic` is judged
    by."""

    model: str
    since: datetime
    until: datetime
    verdict: Verdict
    summary: str
    advice: Sequence[str]
    limits: Drift
    versions: Sequence[VersionDriftView]
    traffic: FigureView | None
    volume: Volume | None
    anomalies: Anomalies


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A version that serves, what is known of its baseline, and what it did in the window."""

    version: str
    provenance: Provenance | None
    baseline: Baseline | None
    answered: int


def version_drift(
    serving: Serving,
    found: Evidence | None,
    judged: Sequence[tuple[Rule, Judgement]],
    beside: str | None,
) -> VersionDriftView:
    rules = {rule.metric: rule for rule, _ in judged}
    figures = [figure(rule, judgement) for rule, judgement in judged]
    failed = [judgement.reason for _, judgement in judged if judgement.verdict is Verdict.FAIL]
    return VersionDriftView(
        version=serving.version,
        baseline=serving.provenance,
        answered=serving.answered,
        sampled=found.sampled if found else 0,
        verdict=_known(figures),
        summary=". ".join(failed) or _calm(serving.baseline, figures),
        features=_features(found, rules.get("feature_drift"), beside),
        unreported=[name for name in found.features if name not in found.counts] if found else [],
        prediction=_prediction(found, rules.get("prediction_drift"), judged, beside),
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
    return [_distribution(found, shift, rule, beside) for shift in shifts]


def _prediction(
    found: Evidence | None,
    rule: Rule | None,
    judged: Sequence[tuple[Rule, Judgement]],
    beside: str | None,
) -> DistributionView | None:
    shift = prediction_shift(found, terms(rule)) if found and rule else None
    if found is None or rule is None or shift is None:
        return None
    whose = next(one.whose for known, one in judged if known is rule)
    return _distribution(found, shift, rule, beside, whose=whose)


def _distribution(
    found: Evidence,
    shift: Shift,
    rule: Rule,
    beside: str | None,
    *,
    whose: Whose | None = None,
) -> DistributionView:
    expected, counts = shift.expected, shift.counts
    index = stability(expected.bins, counts)
    answers = shift.feature == PREDICTION
    edges = expected.edges if isinstance(expected, Histogram) else None
    numbers = edges is not None and any(counts[:-1])
    measure: Measure = _divergence if answers else stability
    far = shift.verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE}
    hours = found.by_hour(shift.feature) if far else {}
    compared = _beside(found, shift.feature, beside)
    return DistributionView(
        feature=shift.feature or "prediction",
        predictions=shift.n,
        in_baseline=sum(expected.bins),
        psi=index.corrected,
        kl_divergence=shift.divergence.corrected if answers else None,
        jensen_shannon=jensen_shannon(expected.bins, counts),
        total_variation=total_variation(expected.bins, counts),
        kolmogorov_smirnov=kolmogorov_smirnov(expected.bins[:-1], counts[:-1]) if numbers else None,
        by_chance=index.noise,
        limit=rule.limit,
        needed=rule.fewest,
        verdict=shift.verdict,
        whose=whose or shift.whose,
        since=onset(expected.bins, hours, measure, rule.limit),
        change=shift.change,
        beside=compared,
        edges=edges,
        bins=_bins(found, shift, compared),
        steps=steps(expected.bins, hours, measure),
    )


def _divergence(expected: Sequence[float], observed: Sequence[float]) -> Divergence:
    return divergence(observed, expected)


def _bins(found: Evidence, shift: Shift, compared: BesideView | None) -> list[BinView]:
    expected, counts = shift.expected.bins, shift.counts
    theirs = found.beside.theirs[shift.feature] if found.beside and compared else None
    return [
        BinView(
            name=name,
            expected=expected[place] / sum(expected),
            observed=counts[place] / sum(counts),
            beside=theirs[place] / sum(theirs) if theirs else None,
        )
        for place, name in enumerate(shift.expected.labels)
    ]


def _beside(found: Evidence, feature: str, version: str | None) -> BesideView | None:
    beside = found.beside
    if beside is None or version is None or feature not in beside.own.keys() & beside.theirs.keys():
        return None
    own, theirs = beside.own[feature], beside.theirs[feature]
    psi = stability(theirs, own).corrected
    return BesideView(version=version, predictions=sum(theirs), psi=psi)
