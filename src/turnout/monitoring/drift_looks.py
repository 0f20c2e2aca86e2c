"""The looks at what has moved, for which the counts of hours are read."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from turnout.drift import queries as drift
from turnout.drift.domain.baseline import Baseline
from turnout.drift.domain.evidence import Evidence
from turnout.monitoring.domain.drifting import (
    by_baseline,
    held_against,
    judge_features,
    judge_prediction,
    judge_traffic,
    no_figure,
    told_apart,
)
from turnout.monitoring.domain.judging import Judgement, judge
from turnout.monitoring.domain.thresholds import Rule
from turnout.monitoring.domain.watch import Watch
from turnout.observations.domain.volume import Volume
from turnout.observations.recent import Recent, recent
from turnout.observations.volume import volumes
from turnout.stats.verdict import Verdict

Found = tuple[int, Rule, Watch]
"""A model, a rule that is watched of it, and how far that has come with one of its versions."""

FEATURES: Final = "feature_drift"
TRAFFIC: Final = "traffic_deviation"

Reach = tuple[timedelta, int]
"""How far back, and of which version."""

_JUDGES: Final[Mapping[str, Callable[[Rule, Evidence | None], Judgement]]] = {
    FEATURES: judge_features,
    "prediction_drift": judge_prediction,
}


async def judgements(
    session: AsyncSession,
    found: Sequence[Found],
    serving: Mapping[int, Mapping[int, str]],
    wanted: Callable[[int, Rule, Watch, datetime], Recent],
    now: datetime,
) -> list[Judgement]:
    """Judge rules about drift, in their order; the versions of one rule are told apart."""
    known = await drift.baselines(session, {watch.version_id for *_, watch in found})
    evidence = await _evidence(session, found, known, serving, now, alone=True)
    figures = await _by_baseline(session, found, known, wanted, now)
    traffic = {model_id for model_id, rule, _ in found if rule.metric == TRAFFIC}
    volume = await volumes(session, traffic, now=now) if traffic else {}
    single = [_judge(one, evidence, figures, volume) for one in found]
    # Only where something has moved is it asked what answers beside it.
    moved = [
        one
        for one, judgement in zip(found, single, strict=True)
        if one[1].metric == FEATURES and judgement.verdict is Verdict.FAIL
    ]
    if moved:
        evidence |= await _evidence(session, moved, known, serving, now)
        single = [_judge(one, evidence, figures, volume) for one in found]
    together: dict[tuple[int, str], dict[int, Judgement]] = defaultdict(dict)
    for (model_id, rule, watch), judgement in zip(found, single, strict=True):
        together[model_id, rule.key][watch.version_id] = judgement
    return [
        told_apart(watch.version_id, together[model_id, rule.key])
        for model_id, rule, watch in found
    ]


def _judge(
    one: Found,
    evidence: Mapping[Reach, Evidence],
    figures: Mapping[tuple[int, str], Judgement],
    volume: Mapping[int, Volume],
) -> Judgement:
    model_id, rule, watch = one
    if rule.metric == TRAFFIC:
        return judge_traffic(rule, volume.get(model_id))
    if rule.metric in _JUDGES:
        return _JUDGES[rule.metric](rule, evidence.get((rule.looks_back, watch.version_id)))
    return figures[watch.version_id, rule.key]


async def _evidence(
    session: AsyncSession,
    found: Sequence[Found],
    known: Mapping[int, Baseline],
    serving: Mapping[int, Mapping[int, str]],
    now: datetime,
    *,
    alone: bool = False,
) -> dict[Reach, Evidence]:
    models: dict[timedelta, set[int]] = defaultdict(set)
    for model_id, rule, _ in found:
        if rule.metric in _JUDGES:
            models[rule.looks_back].add(model_id)
    evidence: dict[Reach, Evidence] = {}
    for window, ids in models.items():
        versions = {one: tuple(serving.get(one, ())) for one in ids}
        of_window = await drift.gathered(
            session, known, versions, window=window, now=now, alone=alone
        )
        evidence |= {(window, version_id): one for version_id, one in of_window.items()}
    return evidence


async def _by_baseline(
    session: AsyncSession,
    found: Sequence[Found],
    known: Mapping[int, Baseline],
    wanted: Callable[[int, Rule, Watch, datetime], Recent],
    now: datetime,
) -> dict[tuple[int, str], Judgement]:
    """What the limits that baselines make of drops and rises say, by version and rule."""
    judged: dict[tuple[int, str], Judgement] = {}
    limits: list[tuple[Rule, Rule, Watch, Recent]] = []
    for model_id, rule, watch in found:
        if rule.metric in _JUDGES or rule.metric == TRAFFIC:
            continue
        limit = held_against(rule, known.get(watch.version_id))
        if limit is None:
            judged[watch.version_id, rule.key] = no_figure(rule)
        else:
            limits.append((rule, limit, watch, wanted(model_id, limit, watch, now)))
    figures = await recent(session, [reading for *_, reading in limits])
    for (rule, limit, watch, _), seen in zip(limits, figures, strict=True):
        judged[watch.version_id, rule.key] = by_baseline(
            rule, known[watch.version_id], judge(limit, seen)
        )
    return judged
