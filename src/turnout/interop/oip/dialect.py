"""Refusals as clients of the protocol read them: an `error` in words."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from turnout.errors import Refusal, Unprocessable
from turnout.http import GuardedRoute, Handler
from turnout.problems import PROBLEM_TYPE, Dialect

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "Refused: a problem document with the protocol's `error`",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def told(request: Request, refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    status = 400 if isinstance(refusal, Unprocessable) else refusal.status
    return status, {"error": refusal.detail}


class InferenceRoute(GuardedRoute):
    """Calls its endpoint as it is, like the gateway's own."""

    def dialect(self) -> Dialect:
        return told

    def handler(self) -> Handler:
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle
