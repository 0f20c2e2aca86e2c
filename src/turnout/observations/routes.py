import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Body, Depends, Path, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.callers import Role, needs
from turnout.http import Now, Resources, Session, resources
from turnout.observations import commands, examples, queries
from turnout.observations.domain.batch import (
    BatchRefused,
    BatchReport,
    MalformedBatch,
    OutcomeRefused,
    TooManyRows,
)
from turnout.observations.domain.evidence import ArmEvidence
from turnout.observations.domain.figures import (
    LONGEST_WINDOW,
    VersionFigures,
    WindowTooLong,
    whole_minutes,
)
from turnout.observations.domain.outcome import Outcome
from turnout.observations.recent import Recent, recent
from turnout.observations.schemas import Performance, version_performance
from turnout.observations.wire import NDJSON, described, read_json, read_ndjson
from turnout.problems import problems
from turnout.quantities import Duration, Line
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound, VersionNotFound
from turnout.traffic import queries as traffic
from turnout.traffic.domain.distribution import Distribution, Source, distribution, simulated
from turnout.traffic.domain.split import NoSplit, Split

router = http.router("observations")

HOUR: Final = timedelta(hours=1)
BATCH_BODY: Final[Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": described(), "examples": examples.BATCH},
            "application/x-ndjson": {"schema": {"type": "string"}, "examples": examples.NDJSON},
        },
    }
}


async def retention(resources: Annotated[Resources, Depends(resources)]) -> timedelta:
    return timedelta(days=resources.settings.retention_days)


Named = Annotated[str, Path(examples=["fraud-detection"])]
Retention = Annotated[timedelta, Depends(retention)]


@router.post(
    "/models/{model}/observations",
    status_code=202,
    summary="Record predictions and outcomes",
    responses=problems(ModelNotFound, MalformedBatch, BatchRefused, TooManyRows),
    openapi_extra=BATCH_BODY,
)
@needs(Role.RECORDER)
async def record_observations(
    model: Named,
    request: Request,
    session: Session,
    *,
    retention: Retention,
    now: Now,
    atomic: Annotated[bool, Query(description="Record all rows or none")] = False,
    batch_id: Annotated[
        Line | None,
        Query(
            min_length=1, max_length=100, description="As in the body; for NDJSON, which has none"
        ),
    ] = None,
) -> BatchReport:
    """Takes what your own service predicted, and what came of it, up to 50,000 rows at a time.

    JSON has two lists, `predictions` and `outcomes`. NDJSON (`application/x-ndjson`) has one row
    per line: a line with a `version` is a prediction, any other an outcome.

    **Sent again, it counts once.** A batch with the same `batch_id` is answered by the report of
    the first; a prediction with the same `prediction_id`, and a second outcome of one prediction
    and metric, are counted as `duplicate`. An id that is no UUIDv7 is remembered by its day:
    send `at` with it.

    **Bad rows are named** by list, index (from 0), field and reason, and the others are recorded;
    with `atomic=true` any bad row refuses the whole batch.

    A prediction counts as evidence about its versions if the split drew it. Send the `split_id`
    that `assign` answered (null if it was forced or pinned); left out, it is worked out from the
    split in force at `at`. An outcome names a `prediction_id`, or a `unit` and so the version it
    saw last, and says one of `correct`, `label` (compared with the predicted `class`) and
    `value` (with its `metric`). Outcomes may come days later. One that comes before its prediction
    is kept for a day and counted as `unknown`.
    """
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    batch = read_ndjson(body, batch_id) if kind in NDJSON else read_json(body, batch_id)
    found = await registry.model(session, model)
    return await commands.record(
        session, found.id, batch, atomic=atomic, retention=retention, now=now
    )


@router.post(
    "/models/{model}/feedback",
    status_code=202,
    summary="Say what came of one prediction",
    responses=problems(ModelNotFound, OutcomeRefused),
)
@needs(Role.RECORDER)
async def record_feedback(
    model: Named,
    body: Annotated[Outcome, Body(openapi_examples=examples.OUTCOME)],
    session: Session,
    retention: Retention,
    now: Now,
) -> BatchReport:
    """Takes one outcome, now or days later: it counts for the version that answered.

    Name the `prediction_id` that was answered, or the `unit`; say whether the answer was
    `correct`, what the true `label` is, or the `value` of a `metric` such as revenue. An outcome
    of a prediction that is not known yet is kept for a day and counted as `unknown`.
    """
    found = await registry.model(session, model)
    return await commands.feedback(session, found.id, body, retention=retention, now=now)


@router.get(
    "/models/{model}/performance",
    summary="How does each version do?",
    responses=problems(ModelNotFound, VersionNotFound),
)
async def show_performance(
    model: Named,
    session: Session,
    now: Now,
    *,
    window: Annotated[
        Duration | None, Query(description="How far back, at most 7 days; an hour unless said")
    ] = None,
    last: Annotated[
        int | None, Query(ge=1, le=10_000, description="Instead, the last so many predictions")
    ] = None,
    version: Annotated[str | None, Query(description="Only this version")] = None,
) -> Performance:
    """Figures per version over the last minutes or hours, seconds after they were recorded.

    With `last`, those of the last so many predictions of each version that serves (or of
    `version`), by whole minutes, so that there may be more, and without their `classes`.
    `outcomes` has the metrics that you report yourself, since the split in force began, whatever
    the window.

    For people to look at: versions that had different users at different times differ for many
    reasons. What a rollout decides on stands in its evidence.
    """
    if window is None:
        window = HOUR if last is None else LONGEST_WINDOW
    if window > LONGEST_WINDOW:
        raise WindowTooLong
    found = await registry.model(session, model)
    only = None if version is None else (await registry.version(session, found.id, version)).id
    since, until = whole_minutes(now - window, now)
    split = await traffic.active_split(session, found.id)
    arms = await _arms(session, split)
    if last is None:
        figures = await queries.performance(
            session, found.id, since=since, until=until, version_id=only
        )
    else:
        serving = [variant.version_id for variant in split.serving] if split else []
        wanted = serving if only is None else [only]
        figures = await _last(session, found.id, wanted, last, since=since, until=until)
    versions = await registry.versions_by_id(session, {found.version_id for found in figures})
    views = [
        (
            found.shadow,
            version_performance(
                found, versions[found.version_id].version, arms.get(found.version_id)
            ),
        )
        for found in figures
        if found.version_id in versions
    ]
    return Performance(
        model=found.name,
        since=since,
        until=until,
        versions=[view for shadow, view in views if not shadow],
        shadows=[view for shadow, view in views if shadow],
    )


async def _last(
    session: AsyncSession,
    model_id: int,
    versions: list[int],
    last: int,
    *,
    since: datetime,
    until: datetime,
) -> list[VersionFigures]:
    wanted = [
        Recent(
            model_id=model_id,
            version_id=version_id,
            since=since,
            until=until,
            last=last,
            sketched=True,
        )
        for version_id in versions
    ]
    found = zip(versions, await recent(session, wanted), strict=True)
    return [
        VersionFigures(version_id=version_id, shadow=False, figures=figures, classes={})
        for version_id, figures in found
    ]


async def _arms(session: AsyncSession, split: Split | None) -> Mapping[int, ArmEvidence]:
    if split is None:
        return {}
    return (await queries.evidence(session, [(split.model_id, split.id)])).get(split.id, {})


@router.get(
    "/models/{model}/split/distribution",
    summary="Does everyone get their share?",
    responses=problems(ModelNotFound, NoSplit),
)
async def show_distribution(
    model: Named,
    session: Session,
    simulate: Annotated[
        int | None, Query(ge=1, le=100_000, description="Assign this many made-up units instead")
    ] = None,
) -> Distribution:
    """Compares who really got which version with the split in force, by a chi-square test.

    Counts units where the split assigns by unit, and predictions where it draws for each. A
    `mismatch` means that some go astray between assignment and recording: until that is found,
    no comparison of the versions can be trusted.
    """
    found = await registry.model(session, model)
    split = await traffic.active_split(session, found.id)
    if split is None:
        raise NoSplit(found.name)
    if simulate is not None:
        counts = await asyncio.to_thread(simulated, split, simulate)
        return distribution(split, counts, source=Source.SIMULATED)
    return distribution(split, await _exposure(session, split), source=Source.OBSERVED)


async def _exposure(session: AsyncSession, split: Split) -> dict[int, int]:
    arms = await _arms(session, split)
    return {
        version_id: arm.metrics["error_rate"].units if split.by_unit else arm.predictions
        for version_id, arm in arms.items()
    }
