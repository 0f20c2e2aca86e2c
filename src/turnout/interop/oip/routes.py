"""The Open Inference Protocol v2 in front of the gateway: KServe's and Triton's clients predict.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from importlib.metadata import version as release
from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Request, Response
from msgspec import Meta, Struct, field

from turnout import http
from turnout.callers import Role, Scoping, needs
from turnout.errors import Unprocessable
from turnout.gateway.app import Gateway
from turnout.gateway.responder import Served
from turnout.gateway.runtimes.answers import RuntimeFailure
from turnout.gateway.runtimes.oip import Tensor
from turnout.gateway.schemas import AssignRequest, PredictRequest
from turnout.gateway.snapshot import LiveRoute
from turnout.interop.oip.binary import HEADER, filled, separated
from turnout.interop.oip.dialect import REFUSALS, InferenceRoute
from turnout.interop.oip.domain import caller_of
from turnout.interop.oip.tensors import Input, described, outputs, values
from turnout.registry.domain.version import VersionRef
from turnout.traffic.domain.assignment import steady
from turnout.traffic.domain.split import Reason

JSON: Final = "application/json"
encode: Final = msgspec.json.Encoder().encode

Model = Annotated[str, Path(examples=["fraud-detection"])]
Version = Annotated[str, Path(description="A version, or `@` and an alias", examples=["1.0.0"])]


class Malformed(Unprocessable):
    pass


class Wanted(Struct, kw_only=True):
    name: str


class Inference(Struct, kw_only=True):
    inputs: Annotated[list[Input], Meta(min_length=1, max_length=1000)]
    id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[Wanted] = field(default_factory=list)


class Inferred(Struct, kw_only=True, omit_defaults=True):
    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str | bool]
    outputs: list[Tensor]


inferences: Final = msgspec.json.Decoder(Inference)
TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "examples": ["FP32"]},
        "data": {"type": "array", "items": {}},
    },
}
PARAMETERS: Final = {"type": "object", "additionalProperties": True}
INFERENCE: Final = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": PARAMETERS,
        "inputs": {"type": "array", "items": TENSOR},
        "outputs": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    },
}
INFERRED: Final = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        **{name: {"type": "string"} for name in ("model_name", "model_version", "id")},
        "parameters": PARAMETERS,
        "outputs": {"type": "array", "items": TENSOR},
    },
}
EXAMPLE: Final = {
    "parameters": {"unit": "user-42"},
    "inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}],
}
SENT: Final = {
    "requestBody": {"required": True, "content": {JSON: {"schema": INFERENCE, "example": EXAMPLE}}}
}
OBJECT: Final = {"type": "object", "additionalProperties": True}

router = http.router(
    "Open Inference Protocol", prefix="/v2", route_class=InferenceRoute, responses=REFUSALS
)


def answered(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Answered", "content": {JSON: {"schema": schema}}}}


def said(status: int = 200, **members: object) -> Response:
    return Response(encode(members), status_code=status, media_type=JSON)


@router.get("", summary="About the server", responses=answered(OBJECT))
@needs(Role.RECORDER, Role.VIEWER, scoping=Scoping.OWN)
async def show_inference_server(request: Request) -> Response:
    """Name, version, and extensions of the protocol. Triton's binary data are taken; what is
    answered is JSON."""
    return said(name="turnout", version=release("turnout"), extensions=["binary_tensor_data"])


@router.get("/health/live", summary="Is the server alive?", responses=answered(OBJECT))
@needs(Role.RECORDER, Role.VIEWER, scoping=Scoping.OWN)
async def show_inference_liveness(request: Request) -> Response:
    """200 as long as requests are served. `/healthz` says so without credentials."""
    return said(live=True)


@router.get("/health/ready", summary="Is the server ready?", responses=answered(OBJECT))
@needs(Role.RECORDER, Role.VIEWER, scoping=Scoping.OWN)
async def show_inference_readiness(request: Request) -> Response:
    """200 once this replica knows who gets which version; 400 before that."""
    ready = gateway(request).keeper.loaded
    return said(200 if ready else 400, ready=ready)


@router.get("/models/{model}", summary="What a model takes and answers", responses=answered(OBJECT))
@needs(Role.RECORDER, Role.VIEWER)
async def show_inference_model(request: Request, model: Model) -> Response:
    """Of the version that answers where others fail: the baseline, or that with the largest share.
    Its tensors are those of its signature."""
    live = await gateway(request).route(model)
    return _metadata(live, live.route.versions[steady(live.route.split).version])


@router.get(
    "/models/{model}/versions/{version}",
    summary="What a version takes and answers",
    responses=answered(OBJECT),
)
@needs(Role.RECORDER, Role.VIEWER)
async def show_inference_version(request: Request, model: Model, version: Version) -> Response:
    """Its tensors are those of its signature; without one, it says of none."""
    live, found = await _version(request, model, version)
    return _metadata(live, found)


@router.get("/models/{model}/ready", summary="Can a model answer?", responses=answered(OBJECT))
@needs(Role.RECORDER, Role.VIEWER)
async def show_inference_model_readiness(request: Request, model: Model) -> Response:
    """200 if the version that answers where others fail is loaded here, or can be; else 400."""
    live = await gateway(request).route(model)
    return await _readiness(request, live.route.versions[steady(live.route.split).version])


@router.get(
    "/models/{model}/versions/{version}/ready",
    summary="Can a version answer?",
    responses=answered(OBJECT),
)
@needs(Role.RECORDER, Role.VIEWER)
async def show_inference_version_readiness(
    request: Request, model: Model, version: Version
) -> Response:
    """200 if it is loaded here, or can be; else 400."""
    _, found = await _version(request, model, version)
    return await _readiness(request, found)


@router.post(
    "/models/{model}/infer",
    summary="Infer with the version that the split chooses",
    openapi_extra=SENT,
    responses=answered(INFERRED),
)
@needs(Role.RECORDER)
async def infer(request: Request, model: Model) -> Response:
    """As `predict` does: the split chooses, the baseline answers for a candidate that fails,
    shadows get a copy, and what was seen is recorded.

    The parameter `unit` is the user, session or request that stays with its version; other
    parameters are attributes for rules to aim at. The answer's parameters have the `prediction_id`
    for `/feedback`. Its outputs are the version's own tensors, from which the prediction and the
    confidence were read; a version that has no tensors answers those two.
    """
    return await _inferred(request, model, None)


@router.post(
    "/models/{model}/versions/{version}/infer",
    summary="Infer with a version that is named",
    openapi_extra=SENT,
    responses=answered(INFERRED),
)
@needs(Role.RECORDER)
async def infer_version(request: Request, model: Model, version: Version) -> Response:
    """Forces the version: such a prediction is no evidence for or against it, and no other version
    answers for it."""
    return await _inferred(request, model, version)


def gateway(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


async def _version(request: Request, model: str, version: str) -> tuple[LiveRoute, VersionRef]:
    running = gateway(request)
    live = await running.route(model)
    _, found = await running.assign(live, AssignRequest(version=version))
    return live, found


def _metadata(live: LiveRoute, version: VersionRef) -> Response:
    signature = version.signature
    return said(
        name=version.model,
        versions=[variant.version for variant in live.route.split.serving],
        platform=f"turnout_{version.runtime.kind}",
        inputs=described(signature.inputs) if signature else [],
        outputs=described(signature.outputs) if signature else [],
    )


async def _readiness(request: Request, version: VersionRef) -> Response:
    try:
        await gateway(request).probe(version, None)
    except RuntimeFailure as failure:
        return said(400, name=version.model, ready=False, error=str(failure))
    return said(name=version.model, ready=True)


async def _inferred(request: Request, model: str, version: str | None) -> Response:
    asked = await _read(request)
    unit, attributes = caller_of(asked.parameters)
    prediction = PredictRequest(
        inputs=values(asked.inputs), unit=unit, attributes=attributes or None, version=version
    )
    running = gateway(request)
    served = await running.predict(await running.route(model), prediction)
    return Response(encode(_answer(served, asked)), media_type=JSON)


async def _read(request: Request) -> Inference:
    body, binary = separated(await request.body(), request.headers.get(HEADER))
    try:
        asked = inferences.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed(f"body: {str(error).replace('`', '')}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"body: not valid JSON: {error}") from None
    except RecursionError:
        raise Malformed("body: nested too deeply") from None
    return msgspec.structs.replace(asked, inputs=filled(asked.inputs, binary))


def _answer(served: Served, asked: Inference) -> Inferred:
    return Inferred(
        model_name=served.model,
        model_version=served.by.version,
        id=asked.id,
        parameters={
            "prediction_id": served.prediction_id,
            "variant": served.by.variant,
            "reason": str(served.by.reason),
            "fallback": served.by.reason is Reason.FALLBACK,
        },
        outputs=outputs(served.answer, [wanted.name for wanted in asked.outputs]),
    )
