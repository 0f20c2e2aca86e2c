from typing import Annotated

from fastapi import Body, Depends, Path, Query, Request

from turnout import http
from turnout.callers import Caller, Role, Scoping, needs
from turnout.db import transaction
from turnout.errors import Unavailable
from turnout.gateway.app import Gateway
from turnout.gateway.lookups import NoRoute
from turnout.gateway.responder import Served
from turnout.gateway.runtimes.sentiment import NAME
from turnout.gateway.schemas import PredictRequest
from turnout.gateway.snapshot import LiveRoute
from turnout.http import Actor, Calling, Now, Resources, Session
from turnout.interop.quickstart import commands, examples, queries
from turnout.interop.quickstart.domain import (
    MODEL,
    NoSuchId,
    NothingActive,
    Overbooked,
    Status,
    full_version,
    id_of,
    read_id,
)
from turnout.interop.quickstart.recommendation import recommend
from turnout.interop.quickstart.schemas import (
    Activation,
    AnswerView,
    Explanation,
    ModelEntry,
    Models,
    PerformanceReport,
    Question,
    Registered,
    Registration,
    models_view,
    performance_view,
    registered,
)
from turnout.problems import problems
from turnout.registry import queries as registry
from turnout.registry.domain.semver import SemVer
from turnout.registry.domain.version import ModelNotFound, VersionExists, VersionNotFound
from turnout.traffic.domain.split import Reason, SplitOwned

router = http.router("quick start", prefix="")


async def quick_start(caller: Calling) -> Caller:
    """The model is in no path, so callers who are confined to some are checked here."""
    caller.check_models([MODEL])
    return caller


Allowed = Annotated[Caller, Depends(quick_start)]
Identified = Annotated[str, Path(description="The `model_id`", examples=["model-000001"])]


async def running(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


@router.post(
    "/models", status_code=201, summary="Register a model", responses=problems(VersionExists)
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def add_model(
    body: Annotated[Registration, Body(openapi_examples=examples.REGISTRATION)],
    session: Session,
    allowed: Allowed,
    actor: Actor,
    now: Now,
) -> Registered:
    """A model is here one version of the Turnout model `quick-start`, under a `model_id` of its
    own. It gets no traffic before it is activated.

    Without a `runtime`, it is answered for by the built-in demo, a small classifier of sentiment.
    """
    return registered(await commands.register(session, body, actor=actor, now=now))


@router.get("/models", summary="All models", responses=problems())
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def survey_models(
    session: Session,
    allowed: Allowed,
    now: Now,
    status: Annotated[Status | None, Query(description="Only with this status")] = None,
) -> Models:
    """The newest first, each with its share of the traffic and what it did in the last 7 days."""
    return Models(models=models_view(await queries.stand(session, now), status))


@router.post(
    "/models/{model_id}/activate",
    summary="Give a model a share of the traffic",
    responses=problems(NoSuchId, Overbooked, SplitOwned),
)
@needs(Role.OPERATOR, scoping=Scoping.OWN)
async def activate_model(
    model_id: Identified,
    body: Annotated[Activation, Body(openapi_examples=examples.ACTIVATION)],
    session: Session,
    *,
    allowed: Allowed,
    actor: Actor,
    now: Now,
) -> ModelEntry:
    """Shares are set one after the other, and need not sum to 100 until they do: requests go to
    the active models in proportion. A sum over 100 is refused, and says what is free; 0
    deactivates. Refused while a rollout or an experiment decides where the traffic goes.
    """
    read_id(model_id)
    found = await queries.model(session)
    if found is None:
        raise NoSuchId(model_id)
    weight = body.traffic_percent
    await commands.activate(session, found, model_id, weight, actor=actor, now=now)
    views = models_view(await queries.stand(session, now), None)
    return next(view for view in views if view.model_id == model_id)


@router.get("/models/performance", summary="How does each model do?", responses=problems())
@needs(Role.VIEWER, scoping=Scoping.OWN)
async def report_performance(session: Session, allowed: Allowed, now: Now) -> PerformanceReport:
    """The figures of the last 7 days, and which model does better: by its accuracy once enough
    feedback came, else by its confidence. One is recommended only where chance is ruled out, and
    the sentence says how sure that is.

    To decide by it, start an experiment: `/api/v1/models/quick-start/experiments`.
    """
    stand = await queries.stand(session, now)
    views = performance_view(stand)
    shown = {view.model_id for view in views if view.request_count}
    names = {each.version_id: each.model_id for each in stand.entries if each.model_id in shown}
    return PerformanceReport(
        models=views, recommendation=recommend(names, await queries.shared(session, now))
    )


@router.post(
    "/predict",
    summary="Predict from a text",
    responses=problems(VersionNotFound, NothingActive, Unavailable),
)
@needs(Role.RECORDER, scoping=Scoping.OWN)
async def predict_text(
    body: Annotated[Question, Body(openapi_examples=examples.QUESTION)],
    allowed: Allowed,
    gateway: Annotated[Gateway, Depends(running)],
    resources: Annotated[Resources, Depends(http.resources)],
) -> AnswerView:
    """Lets the active models answer in the proportions of their shares; the same `user_id` gets
    the same one. 404 for a `model_version` that was never registered, 503 while nothing is active.

    Send what came of it to `/api/v1/models/quick-start/feedback`, with the `prediction_id`.
    """
    version = _forced(body)
    live = await _route(gateway, resources, version)
    asked = PredictRequest(inputs={"text": body.text}, unit=body.user_id, version=version)
    served = await gateway.predict(live, asked)
    return _answer(served, body)


def _forced(body: Question) -> str | None:
    if body.model_version is None:
        return None
    try:
        return str(SemVer.parse(full_version(body.model_version)))
    except ValueError:
        raise VersionNotFound(MODEL, body.model_version) from None


async def _route(gateway: Gateway, resources: Resources, version: str | None) -> LiveRoute:
    """Where nothing is active, a version that does not exist is still the better thing to say."""
    try:
        return await gateway.route(MODEL)
    except (NoRoute, ModelNotFound) as absence:
        if version is not None:
            async with transaction(resources.sessions) as session:
                found = await queries.model(session)
                if found is None:
                    raise VersionNotFound(MODEL, version) from absence
                await registry.version(session, found.id, version)
        raise NothingActive from absence


def _answer(served: Served, body: Question) -> AnswerView:
    by, answer = served.by, served.answer
    forced = by.reason is Reason.FORCED
    return AnswerView(
        prediction=answer.prediction,
        confidence=answer.confidence,
        model_version=(body.model_version if forced else None) or by.variant,
        model_id=id_of(by.version_id),
        prediction_id=served.prediction_id,
        metadata=Explanation(
            demo=answer.answered_by == NAME,
            answered_by=answer.answered_by,
            reason=by.reason,
            latency_ms=round(served.latency_ms, 3),
        ),
    )
