"""The three operations of the hot path.

They read the request and write the response themselves: declared bodies and response models would
cost more than all the rest. OpenAPI is told what they take and answer.
"""

from typing import Any, Final

import msgspec
from fastapi import Request, Response

from turnout import http
from turnout.callers import Role, needs
from turnout.errors import Conflict, NotFound, Refusal, Unavailable
from turnout.gateway.app import Gateway
from turnout.gateway.responder import Served
from turnout.gateway.schemas import (
    MOST_ITEMS,
    AssignReply,
    AssignRequest,
    Malformed,
    PredictReply,
    PredictRequest,
    assign_requests,
    batch_requests,
    described,
    predict_requests,
    read,
)
from turnout.http import GuardedRoute, Handler
from turnout.observations.domain.prediction import uuid7
from turnout.problems import problems, refused
from turnout.traffic.domain.split import Reason

JSON: Final = "application/json"
ASSIGN_EXAMPLES: Final = {
    "user": {"summary": "the version for a user", "value": {"unit": "user-42"}},
    "attributes": {
        "summary": "with what is known about the user",
        "value": {"unit": "user-42", "attributes": {"country": "DE"}},
    },
}
PREDICT_EXAMPLES: Final = {
    "row": {
        "summary": "a row of numbers, for a model with one input",
        "value": {"unit": "user-42", "inputs": [5.1, 3.5, 1.4, 0.2]},
    },
    "named": {
        "summary": "named inputs",
        "value": {"unit": "user-42", "inputs": {"age": 37, "country": "DE"}},
    },
}

BATCH_EXAMPLES: Final = {
    "rows": {
        "summary": "two users",
        "value": {
            "items": [
                {"unit": "user-42", "inputs": [5.1, 3.5, 1.4, 0.2]},
                {"unit": "user-43", "inputs": [6.7, 3.0, 5.2, 2.3]},
            ]
        },
    }
}
BATCH_SCHEMA: Final = {
    "type": "object",
    "required": ["items"],
    "additionalProperties": False,
    "properties": {
        "items": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_ITEMS,
            "items": described(PredictRequest),
        }
    },
}
BATCH_ANSWERS: Final = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "anyOf": [
                    described(PredictReply),
                    {
                        "type": "object",
                        "required": ["error"],
                        "properties": {"error": {"$ref": "#/components/schemas/Problem"}},
                    },
                ]
            },
        }
    },
}


class DirectRoute(GuardedRoute):
    """Calls its endpoint as it is: the search for dependencies costs as much as the endpoint."""

    def handler(self) -> Handler:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request.path_params["model"], request)
            return response

        return handle


router = http.router("predictions", prefix=f"{http.API}/models/{{model}}", route_class=DirectRoute)
encode: Final = msgspec.json.Encoder().encode


def described_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    content = {JSON: {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def described_answers(
    schema: dict[str, Any], *refusals: type[Refusal]
) -> dict[int | str, dict[str, Any]]:
    ok = {"description": "Answered", "content": {JSON: {"schema": schema}}}
    return {200: ok, **problems(*refusals)}


async def received(request: Request) -> bytes:
    if not request.headers.get("content-type", "").lower().startswith(JSON):
        raise Malformed("header.content-type", f"send JSON, as Content-Type: {JSON}")
    return await request.body()


def gateway(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


def reply(served: Served) -> PredictReply:
    return PredictReply(
        prediction_id=served.prediction_id,
        model=served.model,
        version=served.by.version,
        variant=served.by.variant,
        reason=served.by.reason,
        prediction=served.answer.prediction,
        confidence=served.answer.confidence,
        latency_ms=round(served.latency_ms, 3),
        fallback=served.by.reason is Reason.FALLBACK,
        answered_by=served.answer.answered_by,
    )


@router.post(
    "/assign",
    summary="Which version for this user?",
    openapi_extra=described_body(described(AssignRequest), ASSIGN_EXAMPLES),
    responses=described_answers(described(AssignReply), Conflict, NotFound, Unavailable),
)
@needs(Role.RECORDER)
async def assign_version(model: str, request: Request) -> Response:
    """For callers who run the model themselves: run the version that is answered, then report
    what it predicted to `/observations`, with this `prediction_id`, `version`, `unit` and
    `split_id`. Nothing is recorded before that.

    `split_id` is null when the split did not choose (a forced version, a pin, a rule): such a
    prediction is no evidence for or against a version.
    """
    asked = read(assign_requests, await received(request))
    running = gateway(request)
    chosen, _ = await running.assign(await running.route(model), asked)
    return Response(
        encode(
            AssignReply(
                prediction_id=uuid7(running.clock()),
                version=chosen.version,
                variant=chosen.variant,
                reason=chosen.reason,
                split_id=chosen.split_id,
            )
        ),
        media_type=JSON,
    )


@router.post(
    "/predict",
    summary="Predict with the version that the split chooses",
    openapi_extra=described_body(described(PredictRequest), PREDICT_EXAMPLES),
    responses=described_answers(described(PredictReply), Conflict, NotFound, Unavailable),
)
@needs(Role.RECORDER)
async def predict(model: str, request: Request) -> Response:
    """Chooses the version, runs it, records latency, confidence, class and errors, and answers.

    When a candidate fails or takes too long, the baseline answers instead (`"fallback": true`);
    the failure is recorded against the candidate. 503 says that nothing could answer, and why.
    Later, send what came of it to `/feedback` with the `prediction_id`.
    """
    asked = read(predict_requests, await received(request))
    running = gateway(request)
    served = await running.predict(await running.route(model), asked)
    return Response(encode(reply(served)), media_type=JSON)


@router.post(
    "/predict/batch",
    summary="Predict for many inputs at once",
    openapi_extra=described_body(BATCH_SCHEMA, BATCH_EXAMPLES),
    responses=described_answers(BATCH_ANSWERS, NotFound, Unavailable),
)
@needs(Role.RECORDER)
async def predict_batch(model: str, request: Request) -> Response:
    """Up to 1,000 items, each as `/predict` takes it, with a unit of its own if it has one.

    The answers come in the same order. An item that is refused or fails has an `error`, a problem
    document, in its place and does not concern the others.
    """
    asked = read(batch_requests, await received(request))
    running = gateway(request)
    results = await running.predict_each(await running.route(model), asked.items)
    items = [
        {"error": msgspec.Raw(refused(result).body)}
        if isinstance(result, Refusal)
        else reply(result)
        for result in results
    ]
    return Response(encode({"items": items}), media_type=JSON)
