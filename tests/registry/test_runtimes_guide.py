"""The registrations that docs/guides/runtimes.md shows are taken and stored as they are written."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.registry.requests import VERSIONS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "runtimes.md").read_text()
REGISTRATIONS = [json.loads(text) for text in re.findall(r"```json\n(.+?)```", GUIDE, re.DOTALL)]


@pytest.mark.parametrize("body", REGISTRATIONS, ids=lambda body: body["runtime"]["kind"])
async def test_a_registration_of_the_guide_is_taken(
    client: AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post(VERSIONS, json=body)

    assert response.status_code == 201, response.text
    stored = response.json()["runtime"]
    for name, value in body["runtime"].items():
        assert stored[name] == (value if name != "timeout" else SECONDS[value]), name


SECONDS = {"500ms": "PT0.5S", "8s": "PT8S"}


def test_every_kind_of_runtime_is_shown_but_the_one_that_needs_no_word() -> None:
    assert [body["runtime"]["kind"] for body in REGISTRATIONS] == [
        "onnx",
        "http",
        "openai",
        "demo-sentiment",
    ]
