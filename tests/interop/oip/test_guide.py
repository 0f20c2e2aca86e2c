"""The commands of docs/guides/open-inference.md work in the order in which they stand there."""

import asyncio
import json
import re
from pathlib import Path

from httpx2 import AsyncClient

from tests.gateway import model_servers
from tests.interop.conftest import run
from tests.interop.oip.test_client import PYTHON

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "open-inference.md").read_text()
COMMAND = re.compile(
    r"^curl (?:-X (\w+) )?http://localhost:8000(\S+)(?: --json '(.+)')?$", re.MULTILINE
)
LABEL = {"name": "label", "shape": [1], "datatype": "INT64", "data": [0]}


async def test_what_the_guide_shows_works(address: str) -> None:
    commands = COMMAND.findall(GUIDE)
    assert len(commands) == GUIDE.count("\ncurl ")

    answered = model_servers.answering(json={"model_name": "iris", "outputs": [LABEL]})
    async with model_servers.serving(answered) as url, AsyncClient(base_url=address) as client:
        answers = []
        for method, path, body in commands:
            said = json.loads(body.replace("http://localhost:8080", url)) if body else None
            way = method or ("POST" if body else "GET")
            response = await client.request(way, path, json=said, timeout=60)
            assert response.is_success, f"{way} {path}: {response.text}"
            answers.append(response.json())
            if path.endswith("/split"):
                await followed(client)
        assert [answer["outputs"] for answer in answers[-2:]] == [[LABEL], [LABEL]]

        if PYTHON.exists():
            (program,) = re.findall(r"```python\n(.+?)```", GUIDE, re.DOTALL)
            here = program.replace("localhost:8000", address.removeprefix("http://"))
            assert await run(PYTHON, "-c", here) == (0, "[0] 1.0.0\n")


async def followed(client: AsyncClient) -> None:
    """Wait until this replica knows of the split."""
    async with asyncio.timeout(60):
        while (await client.post("/api/v1/models/iris/assign", json={})).status_code != 200:
            await asyncio.sleep(0.01)
