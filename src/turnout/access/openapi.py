"""What OpenAPI says of access: how to authorize, and what each operation needs."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from turnout.callers import need_of
from turnout.errors import (
    Forbidden,
    Refusal,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from turnout.http import GuardedRoute
from turnout.problems import problems

SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`trn_…`), or a token of the identity provider",
    },
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
EITHER: Final = [{name: list[str]()} for name in SCHEMES]


def _refusals(*kinds: type[Refusal]) -> dict[str, Any]:
    return {str(status): how for status, how in problems(*kinds).items() if status != 422}


OF_ALL: Final = _refusals(Unauthenticated, Forbidden, TooManyRequests, Unavailable)
OF_BODIES: Final = _refusals(TooLarge)


def describe_access(document: dict[str, Any], app: FastAPI) -> None:
    """Complete the document, in place."""
    document["components"]["securitySchemes"] = SCHEMES
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, GuardedRoute):
            continue
        for method in route.methods or ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is None:
                continue
            roles = need_of(route.original_route.endpoint, method).roles
            words = " or ".join(f"`{role}`" for role in roles)
            operation["security"] = EITHER
            operation["description"] = f"{operation.get('description', '')}\n\nRole: {words}."
            bodies = OF_BODIES if "requestBody" in operation else {}
            operation["responses"] = OF_ALL | bodies | operation["responses"]
