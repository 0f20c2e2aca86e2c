"""OpenFeature's remote evaluation protocol: a model, or an experiment, is a flag."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import Path, Request, Response
from msgspec import Struct, field

from turnout import http
from turnout.callers import Caller, Role, Scoping, needs
from turnout.gateway.app import Gateway
from turnout.gateway.schemas import AssignRequest
from turnout.gateway.snapshot import LiveRoute
from turnout.http import current_caller, unchanged
from turnout.interop.ofrep.dialect import PREFIX, REFUSALS, FlagRoute, NotJson, code_of
from turnout.interop.ofrep.domain import (
    Asked,
    ContextInvalid,
    Failure,
    Flag,
    FlagAmbiguous,
    FlagNotFound,
    TargetingKeyMissing,
    asked,
    check_unit,
    etag,
    experiment_of,
    flag,
    steady,
)
from turnout.interop.ofrep.keys import experiment_keys
from turnout.observations.domain.prediction import uuid7
from turnout.registry.domain.version import ModelNotFound

JSON: Final = "application/json"


class Evaluation(Struct):
    context: dict[str, Any] = field(default_factory=dict)


class Evaluated(Struct, frozen=True):
    flags: list[Flag | Failure]


evaluations: Final = msgspec.json.Decoder(Evaluation)
Key = Annotated[
    str, Path(description="A model, or the key of an experiment", examples=["fraud-detection"])
]
encode: Final = msgspec.json.Encoder().encode

BODY: Final = {
    "type": "object",
    "properties": {
        "context": {
            "type": "object",
            "additionalProperties": True,
            "properties": {
                "targetingKey": {"type": "string", "description": "The user, session or request"}
            },
        }
    },
}
EXAMPLE: Final = {"context": {"targetingKey": "user-42", "country": "DE"}}
SENT: Final = {
    "requestBody": {"required": True, "content": {JSON: {"schema": BODY, "example": EXAMPLE}}}
}
FLAG: Final = {
    "type": "object",
    "required": ["key", "value", "reason", "variant", "metadata"],
    "properties": {
        **{name: {"type": "string"} for name in ("key", "value", "variant")},
        "reason": {"enum": ["STATIC", "SPLIT", "TARGETING_MATCH"]},
        "metadata": {"type": "object"},
    },
}
FAILURE: Final = {
    "type": "object",
    "required": ["key", "errorCode", "errorDetails"],
    "properties": {name: {"type": "string"} for name in ("key", "errorCode", "errorDetails")},
}
FLAGS: Final = {
    "type": "object",
    "required": ["flags"],
    "properties": {"flags": {"type": "array", "items": {"anyOf": [FLAG, FAILURE]}}},
}

router = http.router("OpenFeature", prefix=PREFIX, route_class=FlagRoute, responses=REFUSALS)


def answered(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Evaluated", "content": {JSON: {"schema": schema}}}}


@router.post(
    "/flags/{key}",
    summary="Evaluate one flag",
    openapi_extra=SENT,
    responses=answered(FLAG),
)
@needs(Role.RECORDER, scoping=Scoping.OWN)
async def evaluate_flag(request: Request, key: Key) -> Response:
    """The value is the version that this unit gets, the variant that of the split. `targetingKey`
    is the unit; what else the context says is there for rules to aim at.

    The metadata hold the `prediction_id` and `split_id` under which to report what came of it to
    `/observations`; nothing is recorded before that. An experiment's key goes on to answer when it
    is over, with whatever serves its model.
    """
    who = await received(request)
    live, experiment = await _named(request, key)
    running = gateway(request)
    chosen, _ = await running.assign(
        live, AssignRequest(unit=who.unit, attributes=dict(who.attributes))
    )
    check_unit(key, live.route.split, chosen, who)
    found = flag(
        key,
        live.route.model.name,
        chosen,
        prediction_id=uuid7(running.clock()),
        experiment=experiment,
    )
    return Response(encode(found), media_type=JSON)


@router.post(
    "/flags",
    summary="Evaluate every flag",
    openapi_extra=SENT,
    responses={**answered(FLAGS), 304: {"description": "As the `If-None-Match` says: unchanged"}},
)
@needs(Role.RECORDER, scoping=Scoping.OWN)
async def evaluate_flags(request: Request) -> Response:
    """For clients that ask once and keep the answers: every model that serves, and every experiment
    that is under way, of those that the caller's key is for.

    A unit's answers change only when a split does, which the `ETag` tells. They are no
    assignments yet: what a client reports, it reports by unit.
    """
    who = await received(request)
    flags = sorted([one async for one in _every(request, who)], key=lambda one: one.key)
    body = encode(Evaluated(flags))
    headers = {"ETag": etag(body)}
    if unchanged(headers["ETag"], request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def gateway(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


async def received(request: Request) -> Asked:
    try:
        evaluation = evaluations.decode(await request.body())
    except msgspec.ValidationError as error:
        raise ContextInvalid("body", str(error).replace("`", "")) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"not valid JSON: {error}") from None
    except RecursionError:
        raise NotJson("nested too deeply") from None
    return asked(evaluation.context)


async def _named(request: Request, key: str) -> tuple[LiveRoute, str | None]:
    """The route that a flag's key leads to, and the key if it is that of an experiment. A caller
    who is confined to some models hears of no others."""
    caller = await current_caller(request)
    running = gateway(request)
    if key in running.keeper.current.routes:
        caller.check_models([key])
        return running.keeper.current.routes[key], None
    about = await (await experiment_keys(request)).models(key)
    theirs = [model for model in about if caller.models is None or model in caller.models]
    if len(theirs) > 1:
        raise FlagAmbiguous(key, theirs)
    if theirs:
        return await running.route(theirs[0]), key
    caller.check_models([key])
    try:
        return await running.route(key), None
    except ModelNotFound:
        raise FlagNotFound(key) from None


async def _every(request: Request, who: Asked) -> AsyncIterator[Flag | Failure]:
    caller = await current_caller(request)
    routes = [
        live for live in gateway(request).keeper.current.routes.values() if _may(caller, live)
    ]
    under_way = {
        live.route.model.name: UUID(found)
        for live in routes
        if (found := experiment_of(live.route.split))
    }
    keys = await (await experiment_keys(request)).keys(under_way.values())
    for live in routes:
        model = live.route.model.name
        yield _kept(model, live, who)
        experiment = keys.get(under_way[model]) if model in under_way else None
        if experiment is not None and experiment not in gateway(request).keeper.current.routes:
            yield _kept(experiment, live, who, experiment=experiment)


def _may(caller: Caller, live: LiveRoute) -> bool:
    return caller.models is None or live.route.model.name in caller.models


def _kept(
    key: str, live: LiveRoute, who: Asked, *, experiment: str | None = None
) -> Flag | Failure:
    try:
        chosen = steady(key, live.route, who)
    except TargetingKeyMissing as refusal:
        return Failure(key=key, errorCode=code_of(refusal)[1], errorDetails=refusal.detail)
    return flag(key, live.route.model.name, chosen, experiment=experiment)
