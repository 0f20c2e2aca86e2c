"""The OpenAPI document: kept with the source, and good enough to generate a client from."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.journeys.conftest import Service
from turnout.cli import processes
from turnout.openapi import AmbiguousSchema, name_schemas

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
GENERATOR = ROOT / ".venv-generator" / "bin"
GUIDE = (ROOT / "docs" / "guides" / "generated-clients.md").read_text(encoding="utf-8")
SHELL, PYTHON = (re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL) for kind in ("", "python"))
BEFORE = """
from turnout_client import Client
from turnout_client.api.registry import list_models, register_version
from turnout_client.api.rollouts import start_rollout
from turnout_client.models import Launch, NewVersion, RolloutView, Strategy, VersionView

with Client(base_url="http://127.0.0.1:8000", raise_on_unexpected_status=True) as client:
    for version in ("1.0.0", "2.0.0"):
        body = NewVersion(version=version)
        made = register_version.sync("fraud-detection", client=client, body=body)
        assert isinstance(made, VersionView), made
    start_rollout.sync(
        "fraud-detection",
        client=client,
        body=Launch(candidate="1.0.0", strategy=Strategy.REPLACE),
    )
    found = list_models.sync(client=client)
"""
AFTER = """
assert isinstance(rollout, RolloutView), rollout
print([model.name for model in found.items], rollout.phase.value)
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
    """As the guide does it, with a pinned generator and at the address of the service."""
    write, generate = SHELL[0].splitlines()
    assert write == "turnout openapi > openapi.json"
    assert generate.startswith("uvx openapi-python-client ")
    (tmp_path / "docs").mkdir()
    for name, there in (("openapi.json", "."), ("openapi-client.yaml", "docs")):
        shutil.copy(ROOT / "docs" / name, tmp_path / there)
    generated = subprocess.run(
        [GENERATOR / "openapi-python-client", *shlex.split(generate)[2:]],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{GENERATOR}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = generated.stdout + generated.stderr
    assert generated.returncode == 0, said
    assert "warning" not in said.lower(), said

    program = f"{BEFORE}{PYTHON[0]}{AFTER}".replace("http://127.0.0.1:8000", service.url)
    (package,) = tmp_path.glob("*/turnout_client")
    used = subprocess.run(
        [GENERATOR / "python", "-c", program],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (used.returncode, used.stdout) == (0, "['fraud-detection'] running\n"), used.stderr
