"""Refusals as MLflow's client reads them: an `error_code` and a `message`, and a status that it
does not try again, which it does for minutes at 408, 429 and everything from 500 on."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request

from turnout.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Refusal,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from turnout.http import StrictRoute
from turnout.problems import PROBLEM_TYPE, Dialect
from turnout.registry.domain.alias import AliasNotFound
from turnout.registry.domain.version import ModelExists, ModelNotFound, VersionExists

TAG: Final = "MLflow"
PREFIX: Final = "/api/2.0/mlflow"
NOTE: Final = "through MLflow's API"
"""Why something was changed: MLflow's client is not asked, and has no field to say it in."""

ELSEWHERE: Final = (
    "it is MLflow's model registry and nothing else of MLflow. Set MLFLOW_REGISTRY_URI to its"
    " address, and MLFLOW_TRACKING_URI to that of your MLflow, which keeps them"
)
INSTEAD: Final[Mapping[str, str]] = {
    "webhooks": "its own, at POST /api/v1/webhooks, tell of versions, stages and aliases, and of"
    " rollouts, experiments and alerts, too",
}
"""What to use in the place of what is no part of this door."""

KINDS: Final[Mapping[type[Refusal], tuple[int, str]]] = {
    AliasNotFound: (400, "INVALID_PARAMETER_VALUE"),
    ModelExists: (400, "RESOURCE_ALREADY_EXISTS"),
    VersionExists: (400, "RESOURCE_ALREADY_EXISTS"),
    Unprocessable: (400, "INVALID_PARAMETER_VALUE"),
    Unauthenticated: (401, "UNAUTHENTICATED"),
    Forbidden: (403, "PERMISSION_DENIED"),
    NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    Conflict: (409, "RESOURCE_CONFLICT"),
    TooManyRequests: (429, "REQUEST_LIMIT_EXCEEDED"),
    Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
}
"""The first kind that fits counts."""

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "Refused: a problem document with MLflow's `error_code` and `message`",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


class NumberNotFound(NotFound):
    def __init__(self, model: str, number: int) -> None:
        super().__init__(
            f"Model Version (name={model}, version={number}) not found", model=model, number=number
        )


class NumberMalformed(Unprocessable):
    def __init__(self, text: str) -> None:
        super().__init__(f"Parameter 'version' must be an integer, got {text!r}.", field="version")


class NameStays(Conflict):
    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} keeps its name, by which splits, rollouts and histories know it: create a"
            " model of the other name, and copy versions to it",
            model=model,
        )


class NoLocation(NotFound):
    def __init__(self, model: str, number: int, version: str) -> None:
        super().__init__(
            f"Model Version (name={model}, version={number}) has no artifact location: {version}"
            " was registered in Turnout without one",
            model=model,
            version=version,
        )


class NothingToArchive(Unprocessable):
    def __init__(self, stage: str) -> None:
        super().__init__(
            "archive_existing_versions is for Staging and Production: leave it out to move to"
            f" {stage}",
            field="archive_existing_versions",
        )


class EndpointNotFound(NotFound):
    """`path` is what follows `/mlflow/`."""

    def __init__(self, path: str) -> None:
        kind = path.partition("/")[0]
        super().__init__(f"Turnout has no MLflow {kind}: {INSTEAD.get(kind, ELSEWHERE)}")


def told(request: Request, refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    if isinstance(refusal, EndpointNotFound):
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": refusal.detail}
    status, code = next(
        (found for kind, found in KINDS.items() if isinstance(refusal, kind)),
        (refusal.status, "INVALID_PARAMETER_VALUE"),
    )
    return status, {"error_code": code, "message": _message(refusal)}


def _message(refusal: Refusal) -> str:
    """MLflow's own sentence, where people's programs look for it."""
    match refusal:
        case ModelNotFound():
            return f"Registered Model with name={refusal.facts['model']} not found"
        case ModelExists():
            return f"Registered Model (name={refusal.facts['model']}) already exists."
        case AliasNotFound():
            return f"Registered model alias {refusal.facts['alias']} not found."
    return refusal.detail


class MlflowRoute(StrictRoute):
    def dialect(self) -> Dialect:
        return told
