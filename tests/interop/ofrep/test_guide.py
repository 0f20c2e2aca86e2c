"""The commands and the program of docs/guides/openfeature.md work as they stand there."""

import json
import re
from pathlib import Path

from httpx2 import AsyncClient

from tests.interop.conftest import run_python

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "openfeature.md").read_text()
HERE = "http://localhost:8000"
COMMAND = re.compile(r"^curl http://localhost:8000(\S+) --json '(.+)'$", re.MULTILINE)


async def test_what_the_guide_shows_works(serving: str) -> None:
    commands = COMMAND.findall(GUIDE)
    assert len(commands) == GUIDE.count("\ncurl ")
    async with AsyncClient(base_url=serving) as client:
        for path, body in commands:
            response = await client.post(path, json=json.loads(body))
            assert response.status_code == 200, response.text

    (program,) = re.findall(r"```python\n(.+?)```", GUIDE, re.DOTALL)
    said = await run_python(program.replace(HERE, serving), TURNOUT_KEY="trn_any")

    assert said.startswith("2.0.0 TARGETING_MATCH {'model': 'fraud-detection'")
