"""Whoever reads the audit log is told why, whichever door a change came through."""

from typing import Any, Final

import pytest
from httpx2 import AsyncClient

CLASSIC: Final = "/api/v1/versioning/api"
MLFLOW: Final = "/api/2.0/mlflow"
Changes = list[tuple[str, str, dict[str, Any]]]
TEST: Final = {"control_version": "1.0.0", "treatment_version": "2.0.0"}
NAMED: Final = {"name": "fraud"}
NUMBERED: Final = {"name": "fraud", "version": "1"}

BY_DOOR: Final[dict[str, Changes]] = {
    "classic": [
        ("POST", f"{CLASSIC}/models/versions/1.0.0/promote", {}),
        ("PUT", f"{CLASSIC}/models/performance/thresholds", {"min_accuracy": 0.9}),
        ("POST", f"{CLASSIC}/ab-tests", {"test_id": "one", **TEST, "description": "is it better?"}),
        ("POST", f"{CLASSIC}/ab-tests/one/start", {}),
        ("POST", f"{CLASSIC}/ab-tests/one/conclude", {"promote_winner": True}),
        ("POST", f"{CLASSIC}/ab-tests", {"test_id": "two", **TEST, "strategy": "CANARY"}),
        ("POST", f"{CLASSIC}/ab-tests/two/start", {}),
        ("POST", f"{CLASSIC}/ab-tests/two/conclude", {}),
        ("POST", f"{CLASSIC}/models/versions/2.0.0/promote", {}),
        ("POST", f"{CLASSIC}/models/rollback", {"to_version": "1.0.0"}),
    ],
    "quick start": [
        ("POST", "/models", {"name": "a", "version": "1.0.0"}),
        ("POST", "/models", {"name": "b", "version": "2.0.0"}),
        ("POST", "/models/{first}/activate", {"traffic_percent": 80}),
        ("POST", "/models/{first}/activate", {"traffic_percent": 0}),
    ],
    "MLflow": [
        ("POST", f"{MLFLOW}/registered-models/create", NAMED),
        ("PATCH", f"{MLFLOW}/registered-models/update", {**NAMED, "description": "new"}),
        ("POST", f"{MLFLOW}/registered-models/set-tag", {**NAMED, "key": "a", "value": "b"}),
        ("DELETE", f"{MLFLOW}/registered-models/delete-tag", {**NAMED, "key": "a"}),
        ("POST", f"{MLFLOW}/model-versions/create", {**NAMED, "source": "s3://b", "run_id": "3f"}),
        ("POST", f"{MLFLOW}/model-versions/create", {**NAMED, "source": "models:/fraud/1"}),
        ("PATCH", f"{MLFLOW}/model-versions/update", {**NUMBERED, "description": "new"}),
        ("POST", f"{MLFLOW}/model-versions/set-tag", {**NUMBERED, "key": "a", "value": "b"}),
        ("DELETE", f"{MLFLOW}/model-versions/delete-tag", {**NUMBERED, "key": "a"}),
        ("POST", f"{MLFLOW}/registered-models/alias", {**NUMBERED, "alias": "champion"}),
        ("DELETE", f"{MLFLOW}/registered-models/alias", {**NAMED, "alias": "champion"}),
        ("POST", f"{MLFLOW}/model-versions/transition-stage", {**NUMBERED, "stage": "Production"}),
        ("POST", f"{MLFLOW}/model-versions/transition-stage", {**NUMBERED, "stage": "Archived"}),
        ("POST", f"{MLFLOW}/registered-models/alias", {**NUMBERED, "alias": "champion"}),
        ("DELETE", f"{MLFLOW}/registered-models/delete", NAMED),
    ],
}


SAID: Final = {
    "classic": {
        ("ab_test.created", "is it better?"),
        ("experiment.started", "A/B test one started"),
        ("thresholds.set", "limits set at the classic path"),
    },
    "quick start": {("split.set", "{first} given 80 % in the quick start")},
    "MLflow": {
        ("version.registered", "logged by run 3f, through MLflow's API"),
        ("version.registered", "copied from models:/fraud/1 through MLflow's API"),
        ("model.deleted", "through MLflow's API"),
    },
}


@pytest.mark.parametrize("door", BY_DOOR)
async def test_every_change_has_a_reason(client: AsyncClient, door: str) -> None:
    if door == "classic":
        for version in ("1.0.0", "2.0.0"):
            body = {"version": version, "reason": "retrained"}
            await client.post("models/churn/versions", json=body)
    first = ""
    for method, path, body in BY_DOOR[door]:
        at = f"http://test{path.format(first=first)}"
        answer = await client.request(method, at, json=body)
        assert answer.status_code < 300, (path, answer.text)
        first = first or answer.json().get("model_id", "")

    log = (await client.get("audit", params={"limit": 500})).json()["items"]
    assert len(log) >= len(BY_DOOR[door])
    assert [entry["action"] for entry in log if not entry["reason"]] == []
    said = {(entry["action"], entry["reason"]) for entry in log}
    assert {(action, reason.format(first=first)) for action, reason in SAID[door]} <= said
