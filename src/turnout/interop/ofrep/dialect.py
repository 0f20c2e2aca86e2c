"""Refusals as OpenFeature's providers read them: an `errorCode` and its `errorDetails`."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from turnout.errors import NotFound, Refusal, Unprocessable
from turnout.gateway.lookups import NoRoute
from turnout.http import GuardedRoute, Handler
from turnout.interop.ofrep.domain import TargetingKeyMissing
from turnout.problems import PROBLEM_TYPE, Dialect

PREFIX: Final = "/ofrep/v1/evaluate"
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "Refused: a problem document with OFREP's `errorCode` and `errorDetails`",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


class NotJson(Unprocessable):
    def __init__(self, reason: str) -> None:
        super().__init__(f"body: {reason}", field="body")


def told(request: Request, refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    status, code = code_of(refusal)
    key = request.path_params.get("key")
    of_flag = {} if key is None else {"key": key}
    return status, {**of_flag, "errorCode": code, "errorDetails": refusal.detail}


def code_of(refusal: Refusal) -> tuple[int, str]:
    match refusal:
        case TargetingKeyMissing():
            return 400, "TARGETING_KEY_MISSING"
        case NotJson():
            return 400, "PARSE_ERROR"
        case Unprocessable():
            return 400, "INVALID_CONTEXT"
        # A flag that nothing answers yet is the same to the caller, who has a default.
        case NotFound() | NoRoute():
            return 404, "FLAG_NOT_FOUND"
    return refusal.status, "GENERAL"


class FlagRoute(GuardedRoute):
    """Calls its endpoint as it is, like the gateway's own: evaluations are as many."""

    def dialect(self) -> Dialect:
        return told

    def handler(self) -> Handler:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle
