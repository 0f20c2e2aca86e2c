from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.monitoring.domain.judging import Judgement, judge, nothing_known
from turnout.monitoring.domain.looks import Look, watched
from turnout.monitoring.domain.thresholds import Judge, Rule, counted_by
from turnout.monitoring.domain.watch import Watch, look
from turnout.monitoring.drift_looks import Found, judgements
from turnout.monitoring.tables import ThresholdSet
from turnout.observations.recent import Recent, recent
from turnout.traffic import queries as traffic

MINUTE = timedelta(minutes=1)
DRIFT_EVERY = MINUTE
MOST_FOR_DRIFT = 25
"""Models that are looked at for drift in one round."""


async def threshold_set(session: AsyncSession, model_id: int) -> ThresholdSet | None:
    return await session.get(ThresholdSet, model_id)


async def locked(session: AsyncSession, model_id: int) -> ThresholdSet | None:
    query = select(ThresholdSet).where(ThresholdSet.model_id == model_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found about one model; `serving` names the versions that answer now by id.

    Rules about drift are looked at less often: until they are due, their watches are `resting`.
    """

    model: str
    serving: Mapping[int, str]
    looks: Sequence[Look]
    resting: Sequence[Watch] = ()
    drift_looked_at: datetime | None = None


async def surveys(
    session: AsyncSession, sets: Collection[ThresholdSet], now: datetime, *, whole: bool = False
) -> dict[int, Survey]:
    """Look at the rules of these models that are due, or at the whole of them. Models that serve
    nothing, as far as anybody knows, are left out."""
    routes = await traffic.routes(session, [one.model_id for one in sets])
    serving = {
        route.split.model_id: {
            variant.version_id: variant.version for variant in route.split.serving if variant.weight
        }
        for route in routes
    }
    names = {route.model.id: route.model.name for route in routes}
    found = [
        (one.model_id, rule, watch)
        for one in sets
        for rule, watch in watched(
            one.thresholds,
            one.watches,
            serving.get(one.model_id, {}),
            # What was seen before they were set counts, too: they are about what serves.
            since=None if one.looked_at is None else now.replace(second=0, microsecond=0),
        )
    ]
    drifting = {one.model_id for one in sets} if whole else _due_for_drift(sets, serving, now)
    due = [one for one in found if not one[1].drifts or one[0] in drifting]
    looks = await _looks(session, due, serving, now)
    resting: dict[int, list[Watch]] = defaultdict(list)
    for model_id, rule, watch in found:
        if rule.drifts and model_id not in drifting:
            resting[model_id].append(watch)
    return {
        model_id: Survey(
            model=name,
            serving=serving[model_id],
            looks=looks.get(model_id, ()),
            resting=resting[model_id],
            drift_looked_at=now if model_id in drifting else None,
        )
        for model_id, name in names.items()
    }


async def present(session: AsyncSession, one: ThresholdSet, now: datetime) -> Sequence[Look]:
    """How each rule stands at this moment, for who looks; nothing follows from it."""
    survey = (await surveys(session, [one], now, whole=True)).get(one.model_id)
    return survey.looks if survey else ()


async def _looks(
    session: AsyncSession,
    found: Sequence[Found],
    serving: Mapping[int, Mapping[int, str]],
    now: datetime,
) -> dict[int, list[Look]]:
    known = await judged(session, found, serving, now)
    looks: dict[int, list[Look]] = defaultdict(list)
    for (model_id, rule, watch), judgement in zip(found, known, strict=True):
        after, change = look(watch, rule, judgement, now)
        looks[model_id].append(
            Look(
                rule=rule,
                version=serving[model_id][watch.version_id],
                judgement=judgement,
                watch=after,
                change=change,
            )
        )
    return looks


def _due_for_drift(
    sets: Collection[ThresholdSet], serving: Collection[int], now: datetime
) -> set[int]:
    """Those that have waited longest, and not too many at once: thresholds wait for them."""
    due = [
        one
        for one in sets
        if one.model_id in serving
        and one.thresholds.watches_drift
        and (
            one.drift_looked_at is None
            or not timedelta() <= now - one.drift_looked_at < DRIFT_EVERY
        )
    ]
    due.sort(key=lambda one: (one.drift_looked_at is not None, one.drift_looked_at or now))
    return {one.model_id for one in due[:MOST_FOR_DRIFT]}


async def judged(
    session: AsyncSession,
    found: Sequence[Found],
    serving: Mapping[int, Mapping[int, str]],
    now: datetime,
) -> list[Judgement]:
    """In the order of what was found."""
    drifting = [one for one in found if one[1].drifts]
    of_drift = await judgements(session, drifting, serving, _wanted, now) if drifting else []
    of_figures = await _figures(session, [one for one in found if not one[1].drifts], now)
    moved, plain = iter(of_drift), iter(of_figures)
    return [next(moved) if rule.drifts else next(plain) for _, rule, _ in found]


async def _figures(session: AsyncSession, found: Sequence[Found], now: datetime) -> list[Judgement]:
    wanted = [
        None if watch.unseen(now) else _wanted(model_id, rule, watch, now)
        for model_id, rule, watch in found
    ]
    # Rules that look at the same share one reading, with the distribution if any needs it.
    sketched = {replace(one, sketched=False) for one in wanted if one and one.sketched}
    keys = [replace(one, sketched=False) if one else None for one in wanted]
    single = [key for key in dict.fromkeys(keys) if key is not None]
    readings = [replace(key, sketched=key in sketched) for key in single]
    figures = dict(zip(single, await recent(session, readings), strict=True))
    return [
        judge(rule, figures[key]) if key else nothing_known(rule)
        for (_, rule, _), key in zip(found, keys, strict=True)
    ]


def _wanted(model_id: int, rule: Rule, watch: Watch, now: datetime) -> Recent:
    """Whole minutes: a window of an hour reaches back to the minute that it began in."""
    since = (now - rule.looks_back).replace(second=0, microsecond=0)
    return Recent(
        model_id=model_id,
        version_id=watch.version_id,
        since=since if watch.since is None else max(since, watch.since),
        until=now.replace(second=0, microsecond=0) + MINUTE,
        counted=counted_by(rule),
        last=rule.last,
        sketched=rule.quantile is not None
        or (rule.metric == "latency_mean" and rule.judged_by is Judge.BOUND),
    )
