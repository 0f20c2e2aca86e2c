"""MLflow's own client, unmodified, against the registry."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.interop.conftest import key_of, run

STEPS = Path(__file__).with_name("steps.py")
GATES = {"staging": {"gates": [{"kind": "metric", "metric": "auc", "min": 0.8}]}}
REFUSALS = {
    "the same model": ("RESOURCE_ALREADY_EXISTS", "Registered Model (name=fraud) already exists."),
    "a name that cannot be": ("INVALID_PARAMETER_VALUE", "such as fraud-detection"),
    "named twice": ("RESOURCE_ALREADY_EXISTS", "fraud 2.0.0-rc.1 is registered already"),
    "of no model": ("RESOURCE_DOES_NOT_EXIST", "Registered Model with name=churn not found"),
    "another semver": ("INVALID_PARAMETER_VALUE", "which never changes"),
    "no such alias": ("INVALID_PARAMETER_VALUE", "Registered model alias challenger not found."),
    "alias to nothing": ("RESOURCE_DOES_NOT_EXIST", "(name=fraud, version=99) not found"),
    "refused by a gate": ("RESOURCE_CONFLICT", "gated 1.0.0 may not enter staging"),
    "no stage": ("INVALID_PARAMETER_VALUE", "Invalid Model Version stage: Retired."),
    "or": ("INVALID_PARAMETER_VALUE", "there is no OR"),
    "bad token": ("INVALID_PARAMETER_VALUE", "page_token is not one that this service gave"),
    "gone": ("RESOURCE_DOES_NOT_EXIST", "(name=fraud, version=2) not found"),
    "delete what serves": ("RESOURCE_CONFLICT", "fraud 1.0.0 is in production"),
    "tracking": ("ENDPOINT_NOT_FOUND", "no MLflow experiments: it is MLflow's model registry and"),
    "logged models": ("ENDPOINT_NOT_FOUND", "MLFLOW_TRACKING_URI to that of your MLflow"),
    "webhooks": ("ENDPOINT_NOT_FOUND", "no MLflow webhooks: its own, at POST /api/v1/webhooks"),
}


async def client_session(address: str, key: str) -> Mapping[str, Any]:
    status, said = await run(
        sys.executable,
        *("-W", "ignore", STEPS, address),
        MLFLOW_TRACKING_TOKEN=key,
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
    )
    assert status == 0, said
    results: Mapping[str, Any] = json.loads(said.partition("RESULTS")[2])
    return results


def version(number: int, semver: str, **known: Any) -> dict[str, Any]:
    usual = {"name": "fraud", "stage": "None", "source": f"s3://b/{number}", "aliases": []}
    tags = {"semver": semver, **known.pop("tags", {})}
    return {**usual, "version": str(number), "tags": tags, **known}


async def test_the_unmodified_client_keeps_its_registry_here(address: str) -> None:
    async with AsyncClient(base_url=f"{address}/api/v1/", timeout=60) as native:
        _, operator = [await key_of(native, role=role) for role in ("admin", "operator")]
        for method, path, body in (
            ("POST", "models/gated/versions", {"version": "1.0.0"}),
            ("PUT", "models/gated/gate-policy", GATES),
        ):
            response = await native.request(method, path, json=body)
            assert response.is_success, response.text

        results = await client_session(address, operator)

        (found,) = (await native.get("models/fraud/versions?stage=production")).json()["items"]
        audit = (await native.get("audit?limit=500")).json()["items"]

    refused = {name: found for name, found in results.items() if "error" in (found or ())}
    assert {name: found["error"] for name, found in refused.items()} == {
        name: error for name, (error, _) in REFUSALS.items()
    }
    for name, (_, message) in REFUSALS.items():
        assert message in refused[name]["message"]
    answered = {name: found for name, found in results.items() if name not in refused}
    assert answered == EXPECTED
    assert (found["version"], found["description"]) == ("1.0.0", "the first")
    assert {"version.registered", "alias.moved", "version.transitioned", "model.deleted"} <= {
        entry["action"] for entry in audit
    }


SECOND = version(2, "1.1.0", tags={"team": "payments"}, aliases=["champion"])
THIRD = version(3, "2.0.0-rc.1", stage="Staging")
PRODUCTION = version(1, "1.0.0", stage="Production")
FRAUD = {"name": "fraud", "tags": {"team": "risk", "reviewed": ""}}


def copy(number: int, semver: str) -> dict[str, Any]:
    return SECOND | {
        "name": "fraud-eu",
        "version": str(number),
        "source": "models:/fraud/2",
        "tags": {"semver": semver, "team": "payments"},
        "aliases": [],
    }


EXPECTED = {
    "a model": {**FRAUD, "aliases": {}, "latest": []},
    "first": version(1, "1.0.0", tags={"odd key": "1"}),
    "second": version(2, "1.1.0"),
    "named": version(3, "2.0.0-rc.1"),
    "tag": None,
    "untag": None,
    "untag again": None,
    "describe": version(1, "1.0.0"),
    "alias": None,
    "move": None,
    "resolved": SECOND,
    "where": "s3://b/2",
    "where by semver": "s3://b/2",
    "copy": copy(1, "1.1.0"),
    "copy again": copy(2, "1.1.1"),
    "where the copy is": "s3://b/2",
    "staging": THIRD,
    "production": PRODUCTION,
    "by stage": [THIRD, PRODUCTION],
    "models": [{**FRAUD, "aliases": {"champion": "2"}, "latest": ["1", "2", "3"]}],
    "two models": ["fraud", "fraud-eu"],
    "by run": [SECOND],
    "pages": [["1", "2"], ["3"]],
    "delete": None,
    "after it": version(4, "2.0.0"),
    "delete a model": None,
    "prompt": "Hello {{name}}",
    "models without prompts": ["fraud", "gated"],
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "registered-models/get", 400, id="a parameter is missing"),
        pytest.param("GET", "model-versions/get?name=fraud&version=x", 404, id="no model"),
        pytest.param("GET", "model-versions/search?max_results=0", 400, id="no results wanted"),
        pytest.param("GET", "model-versions/search?max_results=x", 400, id="not a number"),
        pytest.param(
            "GET", "registered-models/search?order_by=creation_timestamp", 400, id="no such order"
        ),
        pytest.param("GET", "model-versions/search?filter=tags.a IS NULL", 400, id="is null"),
        pytest.param("GET", "model-versions/search?filter=name='%00'", 400, id="control character"),
        pytest.param("GET", "model-versions/search?page_token=W10=", 400, id="an odd token"),
        pytest.param("POST", "registered-models/create", 400, id="no body"),
        pytest.param("GET", "metrics/get-history", 404, id="of tracking"),
    ],
)
async def test_a_callers_mistake_is_never_one_that_is_tried_again(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, f"http://test/api/2.0/mlflow/{path}")

    assert response.status_code == status, response.text
    problem = response.json()
    assert problem["error_code"]
    assert problem["message"]
    assert problem["status"] == status
