"""Drift reports of versions of which is said what they were fed in each hour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import erf, sqrt
from typing import Final

from turnout.drift.domain.baseline import (
    Baseline,
    Distribution,
    Frequencies,
    Histogram,
    Origin,
    Provenance,
)
from turnout.drift.domain.evidence import Evidence, evidence
from turnout.monitoring.domain.advice import advice
from turnout.monitoring.domain.anomalies import Anomalies, Anomaly
from turnout.monitoring.domain.drifting import (
    judge_features,
    judge_prediction,
    judge_traffic,
    told_apart,
)
from turnout.monitoring.domain.judging import Judgement
from turnout.monitoring.domain.report import DriftView, Serving, figure, in_words, version_drift
from turnout.monitoring.domain.thresholds import Drift, Rule
from turnout.observations.domain.volume import Volume
from turnout.stats.verdict import Verdict

NOW: Final = datetime(2026, 11, 30, 14, 20, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
MODEL: Final = "fraud-detection"
HOSTILE: Final = "<script>alert('score')</script>"
LIMITS: Final = Drift()
RULES: Final = {rule.metric: rule for rule in LIMITS.rules}
WEEKS: Final = (4980, 5105, 5322, 4770, 5010, 4890, 4655, 4712)
VOLUME: Final = Volume(hour=NOW.replace(minute=0) - HOUR, predictions=5230, earlier=WEEKS)
SEEN: Final = Judgement(
    verdict=Verdict.PASS, value=0.0004, n=10_000, reason="0.0% over 10,000 predictions"
)
SLOW: Final = Anomaly(
    version="2.0.0",
    metric="latency_mean",
    value=61.2,
    usual=44.8,
    deviations=3.4,
    summary="2.0.0: latency_mean 61.2, 3.4 standard deviations above the 44.8 that are usual",
)

AMOUNTS: Final = (10, 25, 50, 100, 200, 400, 800, 1600, 3200)
AGES: Final = (7, 30, 90, 180, 365, 730, 1460)
COUNTRIES: Final = {"DE": 31, "FR": 22, "IT": 14, "ES": 11, "NL": 8, "PL": 6, "AT": 5, "BE": 3}


def numbers(edges: Sequence[float], *, mean: float, spread: float, n: int) -> Histogram:
    """So many of a normal distribution."""
    below = [0.0, *((1 + erf((edge - mean) / spread / sqrt(2))) / 2 for edge in edges), 1.0]
    return Histogram(
        edges=tuple(edges), counts=tuple(round(n * (b - a)) for a, b in pairwise(below))
    )


def names(n: int, shares: Mapping[str, float]) -> Frequencies:
    """So many, in percent."""
    return Frequencies(categories={name: round(n * one / 100) for name, one in shares.items()})


def features(
    n: int, *, amount: float = 150, card: float = 55, rare: int | None = None
) -> dict[str, Distribution]:
    """Of `rare` features there are only so many."""
    return {
        "amount": numbers(AMOUNTS, mean=amount, spread=260, n=n),
        "age_days": numbers(AGES, mean=400, spread=350, n=n),
        "channel": names(n, {"card": card, "transfer": 85 - card, "wallet": 10, "branch": 5}),
        "country": names(n, COUNTRIES),
        HOSTILE: numbers((0.2, 0.5, 0.8), mean=0.4, spread=0.2, n=n if rare is None else rare),
    }


def answers(n: int, *, fraud: float = 3) -> Frequencies:
    return names(n, {"ok": 97 - fraud, "review": 3, "fraud": fraud})


BASELINE: Final = Baseline(
    features={**features(20_000), "device": names(9000, {"ios": 50, "android": 50})},
    prediction=answers(20_000),
)


def hour(
    n: int = 420, *, amount: float = 150, card: float = 55, fraud: float = 3, rare: int | None = 3
) -> list[int]:
    """What is counted in an hour, on the bins of the baseline; nobody reports the device."""
    found = {
        name: one.bins for name, one in features(n, amount=amount, card=card, rare=rare).items()
    }
    found["device"] = (0, 0, 0, n)
    bins = [count for _, counts in sorted(found.items()) for count in counts]
    return [*bins, *answers(n, fraud=fraud).bins]


USUAL: Final = hour()
MOVED: Final = hour(amount=620, card=48, fraud=11)


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A version that serves, and what was counted of it, the latest hour last."""

    version: str
    hours: Sequence[Sequence[int]] = ()
    baseline: Baseline | None = BASELINE
    awaited: int | None = None

    @property
    def by_hour(self) -> dict[datetime, Sequence[int]]:
        first = NOW.replace(minute=0) - (len(self.hours) - 1) * HOUR
        return {first + k * HOUR: counts for k, counts in enumerate(self.hours)}


def report(*fed: Fed, volume: Volume | None = VOLUME, unusual: Sequence[Anomaly] = ()) -> DriftView:
    found = {number: _evidence(number, fed) for number in range(len(fed))}
    views = []
    for number, one in enumerate(fed):
        evidence_ = found[number]
        serving = Serving(
            version=one.version,
            provenance=_provenance(one),
            baseline=one.baseline,
            answered=40 * evidence_.sampled if evidence_ else 0,
        )
        beside = (
            fed[evidence_.beside.version_id].version if evidence_ and evidence_.beside else None
        )
        views.append(version_drift(serving, evidence_, _judged(number, found), beside))
    rule = RULES["traffic_deviation"]
    traffic = figure(rule, judge_traffic(rule, volume))
    verdict, summary = in_words(views, traffic)
    return DriftView(
        model=MODEL,
        since=NOW - LIMITS.window,
        until=NOW,
        verdict=verdict,
        summary=summary,
        advice=advice(MODEL, views, traffic),
        limits=LIMITS,
        versions=views,
        traffic=traffic,
        volume=volume,
        anomalies=Anomalies(
            sensitivity=2, hour=NOW - HOUR, looked_at=8, by_chance=0.36, found=unusual
        ),
    )


def _evidence(number: int, fed: Sequence[Fed]) -> Evidence | None:
    one = fed[number]
    others = {k: each.by_hour for k, each in enumerate(fed) if k != number and each.hours}
    return evidence(number, one.baseline, one.by_hour, others) if one.baseline else None


def _provenance(one: Fed) -> Provenance | None:
    if one.baseline is None and one.awaited is None:
        return None
    at = NOW - timedelta(days=21)
    return Provenance(
        origin=Origin.ROWS,
        awaited=one.awaited,
        collected=1200 if one.awaited else 0,
        set_at=at,
        set_by="ada",
    )


def _judged(number: int, found: Mapping[int, Evidence | None]) -> list[tuple[Rule, Judgement]]:
    judged = [(RULES["error_rate"], SEEN)]
    for metric, judge in (
        ("feature_drift", judge_features),
        ("prediction_drift", judge_prediction),
    ):
        every = {k: judge(RULES[metric], one) for k, one in found.items()}
        judged.append((RULES[metric], told_apart(number, every)))
    return judged


def one_is_fed_otherwise() -> DriftView:
    """For nine hours 2.0.0 has been fed larger amounts, and 1.4.2 has not."""
    return report(
        Fed(version="1.4.2", hours=[USUAL] * 24),
        Fed(version="2.0.0", hours=[USUAL] * 15 + [MOVED] * 9),
        unusual=[SLOW],
    )


def the_world_has_moved() -> DriftView:
    both = [USUAL] * 15 + [MOVED] * 9
    return report(Fed(version="1.4.2", hours=both), Fed(version="2.0.0", hours=both))
