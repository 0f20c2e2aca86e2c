"""OpenFeature's own providers, for Python and for JavaScript."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import run, run_python

JS = Path(__file__).with_name("js")
NPM, NODE = shutil.which("npm"), shutil.which("node")
REQUIRED = os.environ.get("TURNOUT_TEST_NODE") == "required"
CODES = {"unknown": "FLAG_NOT_FOUND", "anonymous": "TARGETING_KEY_MISSING"}

PYTHON = """
import json, sys
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

api.set_provider(OFREPProvider(sys.argv[1], timeout=60))
client = api.get_client()

def shown(key, unit, **known):
    found = client.get_string_details(key, "none", EvaluationContext(unit, known))
    return {
        "value": found.value,
        "reason": str(found.reason),
        "variant": found.variant,
        "errorCode": found.error_code and found.error_code.value,
    }

print(json.dumps({
    "split": shown("fraud-detection", "user-42", country="FR"),
    "aimed": shown("fraud-detection", "user-42", country="DE"),
    "experiment": shown("ranking-test", "user-42"),
    "unknown": shown("unknown", "user-42"),
    "anonymous": shown("fraud-detection", None),
}))
"""


def check(found: dict[str, dict[str, Any]]) -> None:
    assert found["split"]["reason"] == found["experiment"]["reason"] == "SPLIT"
    assert found["split"]["value"] == found["split"]["variant"] in {"1.0.0", "2.0.0"}
    assert found["experiment"]["value"] in {"1.0.0", "2.0.0"}
    assert (found["aimed"]["value"], found["aimed"]["reason"]) == ("2.0.0", "TARGETING_MATCH")
    for name, code in CODES.items():
        assert (found[name]["value"], found[name]["errorCode"]) == ("none", code)


async def test_the_provider_for_python_evaluates_flags(serving: str) -> None:
    check(json.loads(await run_python(PYTHON, serving)))


@pytest.mark.skipif(
    not (REQUIRED or (NPM and NODE)),
    reason="no Node.js with npm here; TURNOUT_TEST_NODE=required insists on it",
)
async def test_the_providers_for_javascript_evaluate_flags(serving: str, tmp_path: Path) -> None:
    assert NPM is not None
    assert NODE is not None
    program = shutil.copytree(JS, tmp_path / "js")
    status, said = await run(NPM, "ci", "--ignore-scripts", "--prefix", program)
    assert status == 0, said

    status, said = await run(NODE, program / "flags.mjs", serving)

    assert status == 0, said
    found = json.loads(said)
    check(found["evaluated"])
    assert found["kept"]["split"]["value"] == found["evaluated"]["split"]["value"]
    assert found["kept"]["experiment"]["value"] == found["evaluated"]["experiment"]["value"]
    assert found["statuses"] == [200, 304]
