import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import Body, Path, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import http
from turnout.http import Actor, Now, Session
from turnout.monitoring import commands, examples, queries
from turnout.monitoring.domain.report import DriftView
from turnout.monitoring.domain.thresholds import Drift, Thresholds
from turnout.monitoring.drift_report import VersionNotServing, drift_report
from turnout.monitoring.page.document import HEADERS, page
from turnout.monitoring.schemas import ThresholdsView, thresholds_view
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.version import ModelNotFound

router = http.router("monitoring")

Named = Annotated[str, Path(examples=["fraud-detection"])]
OfOneVersion = Annotated[
    str | None,
    Query(description="Only this one of the versions that serve: a version, or `@` and an alias"),
]


@router.get(
    "/models/{model}/thresholds",
    summary="What is watched, and how it stands",
    responses=problems(ModelNotFound),
)
async def show_thresholds(model: Named, session: Session, now: Now) -> ThresholdsView:
    """The limits on every version that serves, and what each of them says now: `pass`, `fail`,
    `inconclusive` (near the limit, or beyond it by no more than chance may bring about),
    `insufficient_sample`, `no_data`. A limit about which nothing is known is not kept, and is not
    broken either."""
    found = await registry.model(session, model)
    thresholds = await queries.threshold_set(session, found.id)
    looks = await queries.present(session, thresholds, now) if thresholds else ()
    return thresholds_view(found.name, thresholds, looks)


@router.put(
    "/models/{model}/thresholds",
    summary="Set what is watched",
    responses=problems(ModelNotFound),
)
async def replace_thresholds(
    model: Named,
    body: Annotated[Thresholds, Body(openapi_examples=examples.THRESHOLDS)],
    session: Session,
    actor: Actor,
    now: Now,
) -> ThresholdsView:
    """Replaces all thresholds of this model; an empty body takes them back. The worker looks at
    them every second, for each version that serves.

    `standard` brings four limits to start with: accuracy at least 0.80, errors at most 5 %, mean
    latency at most 200 ms, confidence at least 0.60, each over the last 100 predictions. Broken at
    3 looks in a row, they roll back.

    `drift` watches what moves away from the baselines of the versions, once a minute: features by
    PSI over 0.2, answers by KL divergence over 0.1, accuracy down by 2 points, errors over 0.1 %,
    the 99th percentile of latencies up by 20 ms, traffic off by 3 standard deviations.

    A rollback goes to the last proven version, or ends the rollout of which the version is the
    candidate. It is judged by a bound: what chance brings about now and then in 100 predictions
    takes nothing off the road. Rules that only alert are judged by the figure as it is, unless
    `judge` is set to `bound`.
    """
    row = await commands.set_thresholds(session, model, body, actor=actor, now=now)
    return thresholds_view(model, row, await queries.present(session, row, now))


@router.get(
    "/models/{model}/drift",
    summary="What has moved, and is it the version or the world?",
    responses=problems(ModelNotFound, VersionNotServing),
)
async def show_drift(
    model: Named, session: Session, now: Now, version: OfOneVersion = None
) -> DriftView:
    """Each version that serves against its baseline: its features by PSI, its answers by KL
    divergence, its accuracy, errors and latency; and the traffic of the latest hour against the
    same hour of earlier weeks. Distances are less what chance adds to them, and a limit is broken
    when it is shown to be, beyond chance.

    What has moved is also held against the version that answers at the same time. If that one shows
    it as well, the world has moved, and going back to it would not help (`whose` is `world`); if
    not, look at this version and at what it is fed (`version`). `advice` says what to do next.

    The limits are those of the `drift` section of the thresholds, or their defaults; nothing fires
    until that section is set. `anomalies` is for people to look at.

    People read it more easily as a page: `show_drift_page`, or `turnout drift` on the command line.
    """
    return await _report(session, model, version, now)


@router.get(
    "/models/{model}/drift.html",
    summary="The drift report as a page",
    response_class=HTMLResponse,
    responses=problems(ModelNotFound, VersionNotServing),
)
async def show_drift_page(
    model: Named, session: Session, now: Now, version: OfOneVersion = None
) -> HTMLResponse:
    """What `show_drift` says, for people: one HTML document with a chart of every feature and of
    the answers, the worst first. It needs no script and loads nothing, so it may be saved, sent and
    printed. Alerts of drift link to it, where `TURNOUT_PUBLIC_URL` is set.
    """
    report = await _report(session, model, version, now)
    return HTMLResponse(await asyncio.to_thread(page, report), headers=HEADERS)


async def _report(
    session: AsyncSession, model: str, version: str | None, now: datetime
) -> DriftView:
    found = await registry.model(session, model)
    if version is not None:
        version = (await registry.version(session, found.id, version)).version
    thresholds = await queries.threshold_set(session, found.id)
    limits = (thresholds.thresholds.drift if thresholds else None) or Drift()
    return await drift_report(session, found, limits, version=version, now=now)
