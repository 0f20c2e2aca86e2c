"""Has something moved? Drift against the baseline of a version, and traffic against earlier weeks.

Many features are looked at, so each has its part of the chance of being wrong. What has moved is
held against the versions that answer at the same time: what all of them show is the world's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from turnout.drift.domain.baseline import Baseline
from turnout.drift.domain.evidence import Evidence
from turnout.drift.domain.shifts import (
    Shift,
    Terms,
    Whose,
    feature_shifts,
    prediction_shift,
    whose,
)
from turnout.monitoring.domain.judging import CLEARANCE, Judgement, nothing_known
from turnout.monitoring.domain.thresholds import CONFIDENCE, Judge, Rule
from turnout.observations.domain.volume import Volume
from turnout.stats.deviation import FEWEST, deviation
from turnout.stats.verdict import Verdict

NAMED: Final = 3
"""So many features are told of by name in a sentence."""

_WORDS: Final = {
    Whose.WORLD: "every version that answers shows it: the world has moved, not this version alone",
    Whose.VERSION: "the version that answers beside it does not show it: it is this version, or"
    " what it is fed",
    Whose.UNTOLD: "no version answers beside it that could tell whether it is the world",
}


def terms(rule: Rule, features: int = 1) -> Terms:
    bounded = rule.judged_by is Judge.BOUND
    confidence = 1 - (1 - CONFIDENCE) / max(1, features)
    return Terms(limit=rule.limit, fewest=rule.fewest, confidence=confidence if bounded else None)


def judge_features(rule: Rule, found: Evidence | None) -> Judgement:
    """By the feature that has moved the farthest."""
    if found is None or not found.baseline.features:
        return replace(nothing_known(rule), reason="no features in a baseline to hold it against")
    shifts = feature_shifts(found, terms(rule, len(found.baseline.features)))
    if not shifts:
        return replace(nothing_known(rule), reason="none of the baseline's features is reported")
    verdicts = [shift.verdict for shift in shifts]
    verdict = next(
        (one for one in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if one in verdicts),
        Verdict.INSUFFICIENT_SAMPLE,
    )
    moved = [shift for shift in shifts if shift.verdict is Verdict.FAIL]
    # What chance makes of a few predictions is no distance to tell of.
    enough = [one for one in shifts if one.verdict is not Verdict.INSUFFICIENT_SAMPLE] or shifts
    return Judgement(
        verdict=verdict,
        value=enough[0].divergence.corrected,
        n=max(shift.n for shift in shifts),
        reason=_said(moved) if moved else _nothing_moved(rule, enough, verdict),
        whose=_of_all(moved),
        features=tuple(shift.feature for shift in moved),
    )


def judge_prediction(rule: Rule, found: Evidence | None) -> Judgement:
    if found is None or found.baseline.prediction is None:
        return replace(nothing_known(rule), reason="no answers in a baseline to hold it against")
    shift = prediction_shift(found, terms(rule))
    if shift is None:
        return replace(nothing_known(rule), reason="no answer with a class or score")
    said = f"its answers: KL {shift.divergence.corrected:.2f} over {shift.n:,}, {shift.change}"
    if shift.verdict is Verdict.INSUFFICIENT_SAMPLE:
        said = f"{said}: {rule.fewest:,} are needed"
    return Judgement(
        verdict=shift.verdict, value=shift.divergence.corrected, n=shift.n, reason=said
    )


def held_against(rule: Rule, baseline: Baseline | None) -> Rule | None:
    """The limit that a version's baseline makes of a drop or a rise; None where it states none."""
    if baseline is None:
        return None
    rule = replace(rule, judge=rule.judged_by, window=rule.looks_back)
    if rule.metric == "accuracy_drop" and baseline.accuracy is not None:
        limit = max(0.0, baseline.accuracy - rule.limit)
        return replace(rule, metric="accuracy", max=None, min=limit)
    if rule.metric == "latency_p99_rise" and baseline.latency_p99 is not None:
        limit = baseline.latency_p99 + rule.limit
        return replace(rule, metric="latency_p99", max=limit)
    return None


def no_figure(rule: Rule) -> Judgement:
    figure = "accuracy" if rule.metric == "accuracy_drop" else "latency_p99"
    return replace(nothing_known(rule), reason=f"no {figure} in a baseline to hold it against")


def by_baseline(rule: Rule, baseline: Baseline, judgement: Judgement) -> Judgement:
    """The judgement of that limit, as one of the drop or the rise."""
    value, known = judgement.value, baseline.accuracy
    if rule.metric == "latency_p99_rise":
        said = f"{baseline.latency_p99:,.0f} ms in the baseline"
        moved = None if value is None else value - (baseline.latency_p99 or 0)
    else:
        said = f"{known:.1%} in the baseline"
        moved = None if value is None else (known or 0) - value
    return replace(judgement, value=moved, reason=f"{judgement.reason}, {said}")


def judge_traffic(rule: Rule, volume: Volume | None) -> Judgement:
    """As it is: the spread of a few weeks is allowed for in the number of deviations."""
    if volume is None:
        return replace(nothing_known(rule), reason="no traffic an hour ago or before")
    n, weeks = volume.predictions, len(volume.earlier)
    said = f"{n:,} predictions in the hour from {volume.hour:%H:%M} UTC"
    distance = deviation(n, volume.earlier, counted=True)
    if distance is None:
        reason = f"{said}, and {weeks} earlier weeks to compare with: {FEWEST} are needed"
        return Judgement(verdict=Verdict.INSUFFICIENT_SAMPLE, value=None, n=n, reason=reason)
    usual = sum(volume.earlier) / weeks
    far = abs(distance)
    verdict = Verdict.FAIL if far > rule.limit else Verdict.INCONCLUSIVE
    if far <= rule.limit * (1 - CLEARANCE):
        verdict = Verdict.PASS
    side = "above" if distance > 0 else "below"
    return Judgement(
        verdict=verdict,
        value=far,
        n=n,
        reason=f"{said}, {far:.1f} standard deviations {side} the {usual:,.0f} that are usual"
        f" ({weeks} weeks)",
        # Who gets how much of it is a matter of the split; how much there is, of the world.
        whose=Whose.WORLD if verdict is Verdict.FAIL else None,
    )


def told_apart(version: int, judgements: Mapping[int, Judgement]) -> Judgement:
    """Say of a failure, among the judgements of one rule by version, whose it is."""
    found = judgements[version]
    if found.verdict is not Verdict.FAIL:
        return found
    others = [one.verdict for other, one in judgements.items() if other != version]
    said = found.whose or whose(others)
    return replace(found, whose=said, reason=f"{found.reason}; {_WORDS[said]}")


def _of_all(moved: Sequence[Shift]) -> Whose | None:
    """What is the version's own is the worst, and what is told beats what is not."""
    told = {shift.whose for shift in moved}
    return next((one for one in (Whose.VERSION, Whose.WORLD, Whose.UNTOLD) if one in told), None)


def _said(moved: Sequence[Shift]) -> str:
    named = "; ".join(
        f"{shift.feature}: PSI {shift.divergence.corrected:.2f} over {shift.n:,}, {shift.change}"
        for shift in moved[:NAMED]
    )
    more = len(moved) - NAMED
    return f"{named}; and {more} more features" if more > 0 else named


def _nothing_moved(rule: Rule, shifts: Sequence[Shift], verdict: Verdict) -> str:
    farthest = shifts[0]
    said = f"{farthest.feature} is farthest: PSI {farthest.divergence.corrected:.2f}"
    if verdict is Verdict.INSUFFICIENT_SAMPLE:
        return f"{max(shift.n for shift in shifts):,} predictions: {rule.fewest:,} are needed"
    return f"{said} over {farthest.n:,} predictions"
