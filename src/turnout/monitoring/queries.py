from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from turnout.monitoring.domain.judging import judge, nothing_known
from turnout.monitoring.domain.looks import Look, watched
from turnout.monitoring.domain.thresholds import Judge, Rule, counted_by
from turnout.monitoring.domain.watch import Watch, look
from turnout.monitoring.tables import ThresholdSet
from turnout.observations.recent import Recent, recent
from turnout.traffic import queries as traffic

MINUTE = timedelta(minutes=1)


async def threshold_set(session: AsyncSession, model_id: int) -> ThresholdSet | None:
    return await session.get(ThresholdSet, model_id)


async def locked(session: AsyncSession, model_id: int) -> ThresholdSet | None:
    query = select(ThresholdSet).where(ThresholdSet.model_id == model_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found about one model; `serving` names the versions that answer now by id."""

    model: str
    serving: Mapping[int, str]
    looks: Sequence[Look]


async def surveys(
    session: AsyncSession, sets: Collection[ThresholdSet], now: datetime
) -> dict[int, Survey]:
    """Look at all rules of these models, in three round trips. Models that serve nothing, as far
    as anybody knows, are left out."""
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
    looks = await _looks(session, found, serving, now)
    return {
        model_id: Survey(model=name, serving=serving[model_id], looks=looks.get(model_id, ()))
        for model_id, name in names.items()
    }


async def present(session: AsyncSession, one: ThresholdSet, now: datetime) -> Sequence[Look]:
    """How each rule stands at this moment, for who looks; nothing follows from it."""
    survey = (await surveys(session, [one], now)).get(one.model_id)
    return survey.looks if survey else ()


async def _looks(
    session: AsyncSession,
    found: Sequence[tuple[int, Rule, Watch]],
    serving: Mapping[int, Mapping[int, str]],
    now: datetime,
) -> dict[int, list[Look]]:
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
    looks: dict[int, list[Look]] = {}
    for (model_id, rule, watch), key in zip(found, keys, strict=True):
        judgement = judge(rule, figures[key]) if key else nothing_known(rule)
        after, change = look(watch, rule, judgement, now)
        looks.setdefault(model_id, []).append(
            Look(
                rule=rule,
                version=serving[model_id][watch.version_id],
                judgement=judgement,
                watch=after,
                change=change,
            )
        )
    return looks


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
