"""What docs/guides/gates.md says is what the product does."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.registry.requests import register
from turnout.gates.domain.outcome import Outcome
from turnout.gates.domain.policy import KINDS
from turnout.gates.domain.report import Result

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "gates.md").read_text()
POLICY = "models/fraud-detection/gate-policy"


@pytest.mark.parametrize(
    "word", [kind.__dataclass_fields__["kind"].default for kind in KINDS] + [*Result, *Outcome]
)
def test_every_word_is_explained(word: str) -> None:
    assert f"`{word}`" in GUIDE


async def test_the_policies_can_be_sent(client: AsyncClient) -> None:
    await register(client)
    sent = re.findall(r"curl -s -X PUT \$api/(\S+) --json '(.+?)'\n```", GUIDE, re.DOTALL)
    assert len(sent) == 2
    for path, body in sent:
        response = await client.put(path, json=json.loads(body))
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("gate", re.findall(r'\{"kind": "(?:entry|webhook|approvals).+\}', GUIDE))
async def test_the_gates_can_stand_in_a_policy(client: AsyncClient, gate: str) -> None:
    await register(client)
    stated = json.JSONDecoder().raw_decode(gate)[0]
    response = await client.put(POLICY, json={"production": {"gates": [stated]}})

    assert response.status_code == 200, response.text


def test_the_function_is_a_gate() -> None:
    (code,) = re.findall(r"```python\n(.+?)```", GUIDE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # the guide's own
    lineage: Callable[[object], dict[str, Any]] = names["lineage"]

    assert lineage({"version": {"metadata": {"training_runs": 4}}})["passed"] is True
    assert lineage({"version": {"metadata": {}}})["passed"] is False
