"""The commands of docs/guides/registry.md work in the order in which they stand there."""

import json
import re
from pathlib import Path

from httpx2 import AsyncClient

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "registry.md").read_text()
COMMAND = re.compile(
    r"^curl (?:-X (\w+) )?'?http://localhost:8000/api/v1/([^\s']+)'?(?: --json '(.+)')?$",
    re.MULTILINE,
)


async def test_every_command_of_the_guide_works(live_client: AsyncClient) -> None:
    commands = COMMAND.findall(GUIDE)
    assert len(commands) == GUIDE.count("\ncurl ")

    for method, path, body in commands:
        response = await live_client.request(
            method or ("POST" if body else "GET"), path, json=json.loads(body) if body else None
        )
        assert response.is_success, f"{method} {path}: {response.text}"
