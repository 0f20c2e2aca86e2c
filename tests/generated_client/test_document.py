"""The OpenAPI document: kept with the source, and good enough to generate a client from."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.journeys.conftest import Service
from turnout.cli import processes
from turnout.openapi import AmbiguousSchema, name_schemas

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
GENERATOR = ROOT / ".venv-generator" / "bin"
USE = """
import sys

from turnout_client import Client
from turnout_client.api.registry import list_models, register_version
from turnout_client.api.rollouts import start_rollout
from turnout_client.models import Launch, NewVersion, RolloutView, Strategy, VersionView

with Client(base_url=sys.argv[1], raise_on_unexpected_status=True) as client:
    for version in ("1.0.0", "1.1.0"):
        made = register_version.sync("churn", client=client, body=NewVersion(version=version))
        assert isinstance(made, VersionView), made
    found = list_models.sync(client=client)
    started = start_rollout.sync(
        "churn", client=client, body=Launch(candidate="1.0.0", strategy=Strategy("replace"))
    )
    assert isinstance(started, RolloutView), started
    print([model.name for model in found.items], started.phase.value)
"""
REQUIRED = os.environ.get("TURNOUT_TEST_GENERATOR") == "required"


def test_the_document_that_is_kept_is_that_of_the_service() -> None:
    kept = DOCUMENT.read_text(encoding="utf-8")
    assert kept == processes.openapi() + "\n", "run `make openapi`, and read what changed"


def test_a_door_does_not_change_the_name_of_what_is_behind_it() -> None:
    given = ("turnout__registry__schemas__Version", "turnout__interop__mlflow__schemas__Version")
    schemas = {name: {"title": "Version"} for name in given}
    document = name_schemas({"paths": {}, "components": {"schemas": schemas}})
    assert list(document["components"]["schemas"]) == ["MlflowVersion", "Version"]


def test_two_classes_of_one_name_in_a_slice_are_refused() -> None:
    schemas = {f"turnout__rollouts__{module}__Plan": {"title": "Plan"} for module in "ab"}
    with pytest.raises(AmbiguousSchema, match="RolloutPlan: rename"):
        name_schemas({"paths": {}, "components": {"schemas": schemas}})


@pytest.mark.skipif(
    not REQUIRED and not GENERATOR.exists(),
    reason="`make generator` was not run; TURNOUT_TEST_GENERATOR=required insists on it",
)
def test_a_client_is_generated_without_a_warning_and_works(
    service: Service, tmp_path: Path
) -> None:
    path = f"{GENERATOR}{os.pathsep}{os.environ['PATH']}"
    generated = subprocess.run(
        [
            GENERATOR / "openapi-python-client",
            "generate",
            *("--path", DOCUMENT, "--config", ROOT / "docs" / "openapi-client.yaml"),
            *("--output-path", tmp_path / "client"),
        ],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = generated.stdout + generated.stderr
    assert generated.returncode == 0, said
    assert "warning" not in said.lower(), said

    used = subprocess.run(
        [GENERATOR / "python", "-c", USE, service.url],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (used.returncode, used.stdout) == (0, "['churn'] succeeded\n"), used.stderr
