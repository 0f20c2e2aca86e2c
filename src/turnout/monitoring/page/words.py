"""What the page says of a report: a headline, and verdicts as words that need no colour."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from turnout.drift.domain.baseline import Origin
from turnout.drift.domain.shifts import Whose
from turnout.monitoring.domain.advice import listed
from turnout.monitoring.domain.report import (
    DistributionView,
    DriftView,
    FigureView,
    VersionDriftView,
)
from turnout.stats.verdict import Verdict, worst

WORDS: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "moved",
    Verdict.ERROR: "not a number",
    Verdict.INCONCLUSIVE: "near its limit",
    Verdict.PASS: "as expected",
    Verdict.INSUFFICIENT_SAMPLE: "too few to tell",
    Verdict.NO_DATA: "nothing known",
    Verdict.CANCELLED: "not looked at",
}
"""The worst first."""
SIGNS: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "▲",
    Verdict.ERROR: "▲",
    Verdict.INCONCLUSIVE: "◆",
    Verdict.PASS: "●",
}
UNKNOWN: Final = "○"
ANSWERS: Final = "the answers"
NOTHING: Final = "-"
WHOSE: Final[Mapping[Whose, str]] = {
    Whose.VERSION: "this version alone",
    Whose.WORLD: "the world: every version shows it",
    Whose.UNTOLD: "nothing beside it can tell",
}
ORIGINS: Final[Mapping[Origin, str]] = {
    Origin.COUNTS: "counts that were handed in",
    Origin.ROWS: "rows of its training data",
    Origin.TRAFFIC: "its own traffic",
}
METRICS: Final[Mapping[str, str]] = {
    "feature_drift": "Features, farthest PSI",
    "prediction_drift": "Answers, KL divergence",
    "accuracy_drop": "Drop of accuracy",
    "error_rate": "Error rate",
    "latency_p99_rise": "Rise of p99 latency",
    "traffic_deviation": "Deviation of traffic",
    "accuracy": "Accuracy",
    "latency_mean": "Mean latency",
    "confidence": "Confidence",
}
_SHARES: Final = {"accuracy_drop", "accuracy", "error_rate", "confidence"}
_UNITS: Final = {
    "latency_p99_rise": " ms",
    "latency_mean": " ms",
    "traffic_deviation": " sd",
}
_RANK: Final = [*WORDS]


def standing(version: VersionDriftView) -> Verdict:
    """Its verdict; where that is by its figures alone, nothing is said of what it is fed."""
    known = {one.verdict for one in distributions(version)}
    if version.verdict is not Verdict.PASS or known - _UNTOLD:
        return version.verdict
    return Verdict.INSUFFICIENT_SAMPLE if known else Verdict.NO_DATA


def overall(report: DriftView) -> Verdict:
    told = {standing(one) for one in report.versions}
    if report.verdict is Verdict.PASS and not told - _UNTOLD:
        return worst(told)
    return report.verdict


def headline(report: DriftView) -> str:
    """For who reads nothing else."""
    if not report.versions:
        return "No version serves"
    if names := list(dict.fromkeys(_name(one) for one in all_moved(report.versions))):
        has = "has" if len(names) == 1 and names != [ANSWERS] else "have"
        return f"{listed(names)} {has} moved{_where(report)}"
    if broken := [one.version for one in report.versions if one.verdict is Verdict.FAIL]:
        return f"{listed(broken)} {'is' if len(broken) == 1 else 'are'} beyond a limit"
    near = [
        _name(one)
        for version in report.versions
        for one in distributions(version)
        if one.verdict is Verdict.INCONCLUSIVE
    ]
    if near and report.verdict is Verdict.INCONCLUSIVE:
        return f"Near the limit, and not shown to be beyond it: {listed(list(dict.fromkeys(near)))}"
    return _CALM.get(overall(report), "Too little is known to tell")


_UNTOLD: Final = {Verdict.INSUFFICIENT_SAMPLE, Verdict.NO_DATA}
_CALM: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "Traffic is off",
    Verdict.PASS: "Nothing has moved beyond its limit",
    Verdict.INCONCLUSIVE: "Something is near its limit, and not shown to be beyond it",
}


def findings(report: DriftView) -> list[tuple[DistributionView, str]]:
    """What has moved and whose it is, the worst first; what every version shows is said once."""
    found: dict[tuple[str, str], DistributionView] = {}
    for version in report.versions:
        for one in moved(version):
            of = "every version" if one.whose is Whose.WORLD else version.version
            key = one.feature, of
            found[key] = min(found.get(key, one), one, key=_worst_first)
    ranked = sorted(found.items(), key=lambda pair: _worst_first(pair[1]))
    return [(one, of) for (_, of), one in ranked]


def _where(report: DriftView) -> str:
    found = {one.whose or Whose.UNTOLD for one in all_moved(report.versions)}
    if found == {Whose.WORLD}:
        return ", for every version"
    versions = [one.version for one in report.versions if moved(one)]
    return f", in {listed(versions)}" + (" alone" if found == {Whose.VERSION} else "")


def where(report: DriftView) -> str | None:
    """In this version alone, or in all: whose it is what has moved, in a sentence."""
    sentences = []
    for whose, sentence in _WHERE.items():
        found = [
            (version.version, _name(one))
            for version in report.versions
            for one in moved(version)
            if (one.whose or Whose.UNTOLD) is whose
        ]
        if found:
            versions, names = (
                listed(list(dict.fromkeys(each))) for each in zip(*found, strict=True)
            )
            sentences.append(sentence.format(versions=versions, names=names))
    return " ".join(sentences) or None


_WHERE: Final[Mapping[Whose, str]] = {
    Whose.VERSION: "{versions} alone ({names}): what answers beside it does not show it.",
    Whose.WORLD: "The world ({names}): every version that answers shows it.",
    Whose.UNTOLD: "Untold for {names} of {versions}: nothing answers beside it that could tell.",
}


def since(report: DriftView) -> datetime | None:
    """The first hour from which on something was too far; None where none parts the window."""
    return min((one.since for one in all_moved(report.versions) if one.since), default=None)


def versions(report: DriftView) -> list[VersionDriftView]:
    """The worst first."""
    return sorted(report.versions, key=lambda one: _RANK.index(standing(one)))


def all_moved(found: Sequence[VersionDriftView]) -> list[DistributionView]:
    return [one for version in found for one in moved(version)]


def moved(version: VersionDriftView) -> list[DistributionView]:
    return [one for one in distributions(version) if one.verdict is Verdict.FAIL]


def distributions(version: VersionDriftView) -> list[DistributionView]:
    """Features and answers, the worst first, by how many times its limit each is away."""
    answers = [version.prediction] if version.prediction else []
    return sorted([*version.features, *answers], key=_worst_first)


def _worst_first(one: DistributionView) -> tuple[int, float, str]:
    return _RANK.index(one.verdict), -one.distance / (one.limit or 1e-9), one.feature


def _name(one: DistributionView) -> str:
    return ANSWERS if one.kl_divergence is not None else one.feature


def figure_value(found: FigureView, value: float | None) -> str:
    if value is None:
        return NOTHING
    if found.metric in _SHARES:
        return f"{value:.2%}"
    return f"{value:.3g}{_UNITS.get(found.metric, '')}"


def distance(value: float | None) -> str:
    """Of a distance, what is below a hundredth is as good as nothing."""
    return NOTHING if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def moment(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"
