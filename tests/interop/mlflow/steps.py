"""What a user of MLflow does, as MLflow's own client does it: run as a process, with the address of
the registry; prints what came of each step."""

import json
import sys
from collections.abc import Callable
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

url = sys.argv[1]
mlflow.set_tracking_uri(url)  # asked for nothing but the registry here
mlflow.set_registry_uri(url)
client = MlflowClient()
results: dict[str, Any] = {}


def shown(value: Any) -> Any:
    match value:
        case ModelVersion():
            return {
                "name": value.name,
                "version": value.version,
                "stage": value.current_stage,
                "source": value.source,
                "tags": value.tags,
                "aliases": list(value.aliases),
            }
        case RegisteredModel():
            return {
                "name": value.name,
                "tags": value.tags,
                "aliases": value.aliases,
                "latest": [one.version for one in value.latest_versions],
            }
        case list():
            return [shown(part) for part in value]
    return value


def step(name: str, action: Callable[..., Any], *given: Any, **named: Any) -> None:
    try:
        results[name] = shown(action(*given, **named))
    except mlflow.MlflowException as error:
        results[name] = {"error": error.error_code, "message": str(error)}


def models(*given: Any, **named: Any) -> list[str]:
    return [model.name for model in client.search_registered_models(*given, **named)]


def pages() -> list[list[str]]:
    wanted: Any = {"max_results": 2, "order_by": ["version_number"]}
    first = client.search_model_versions(of_fraud, **wanted)
    second = client.search_model_versions(of_fraud, **wanted, page_token=first.token)
    return [[one.version for one in page] for page in (first, second)]


def prompt() -> str:
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    return str(mlflow.genai.load_prompt("prompts:/greeting/1").template)


fraud, champion, of_fraud = "fraud", "models:/fraud@champion", "name = 'fraud'"
where = ModelsArtifactRepository.get_underlying_uri
rc = {"semver": "2.0.0-rc.1"}
step("a model", client.create_registered_model, fraud, tags={"team": "risk", "reviewed": ""})
step("the same model", client.create_registered_model, fraud)
step("a name that cannot be", client.create_registered_model, "fraud detection")
step("first", client.create_model_version, fraud, "s3://b/1", tags={"odd key": "1"})
step("second", client.create_model_version, fraud, "s3://b/2", run_id="run-2")
step("named", client.create_model_version, fraud, "s3://b/3", tags=rc)
step("named twice", client.create_model_version, fraud, "s3://b", tags=rc)
step("of no model", client.create_model_version, "churn", "s3://b/1")
step("tag", client.set_model_version_tag, fraud, "2", "team", "payments")
step("another semver", client.set_model_version_tag, fraud, "2", "semver", "9.0.0")
step("untag", client.delete_model_version_tag, fraud, "1", "odd key")
step("untag again", client.delete_model_version_tag, fraud, "1", "odd key")
step("describe", client.update_model_version, fraud, "1", description="the first")
step("alias", client.set_registered_model_alias, fraud, "champion", "1")
step("move", client.set_registered_model_alias, fraud, "champion", "2")
step("resolved", client.get_model_version_by_alias, fraud, "champion")
step("no such alias", client.get_model_version_by_alias, fraud, "challenger")
step("alias to nothing", client.set_registered_model_alias, fraud, "champion", "99")
step("where", where, champion)
step("where by semver", where, "models:/fraud/1.1.0")
step("copy", client.copy_model_version, champion, "fraud-eu")
step("copy again", client.copy_model_version, champion, "fraud-eu")
step("where the copy is", client.get_model_version_download_uri, "fraud-eu", "2")
step("staging", client.transition_model_version_stage, fraud, "3", "Staging")
step("production", client.transition_model_version_stage, fraud, "1", "production")
step("refused by a gate", client.transition_model_version_stage, "gated", "1", "Production")
step("no stage", client.transition_model_version_stage, fraud, "1", "Retired")
step("by stage", client.get_latest_versions, fraud, ["Staging", "Production"])
step("models", client.search_registered_models, "name LIKE 'fr%' AND tags.team = 'risk'")
step("two models", models, max_results=2)
step("or", client.search_registered_models, "name = 'a' OR name = 'b'")
step("by run", client.search_model_versions, "run_id IN ('run-2', 'run-3') AND name = 'fraud'")
step("pages", pages)
step("bad token", client.search_model_versions, of_fraud, page_token="x")
step("delete", client.delete_model_version, fraud, "2")
step("gone", client.get_model_version, fraud, "2")
step("after it", client.create_model_version, fraud, "s3://b/4")
step("delete what serves", client.delete_registered_model, fraud)
step("delete a model", client.delete_registered_model, "fraud-eu")
step("prompt", prompt)
step("models without prompts", models)
step("tracking", client.search_experiments)
step("logged models", client.search_logged_models, ["0"])
step("webhooks", client.list_webhooks)
sys.stdout.write("RESULTS" + json.dumps(results))
