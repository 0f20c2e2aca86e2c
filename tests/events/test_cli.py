"""`turnout events follow` in a process of its own."""

import asyncio
import json
import signal
import sys

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.events.test_stream import happen, serving
from tests.processes import free_port
from turnout.api import create_app
from turnout.db import Sessions
from turnout.settings import Settings


async def follow(port: int, *arguments: str) -> asyncio.subprocess.Process:
    command = ["-m", "turnout", "events", "follow", "--url", f"http://127.0.0.1:{port}"]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, *arguments, stdout=pipe, stderr=pipe
    )


async def test_what_happens_is_followed_over_a_restart_until_somebody_interrupts(
    settings: Settings, engine: AsyncEngine, sessions: Sessions
):
    await happen(sessions, "before")
    async with asyncio.timeout(240):
        async with serving(create_app(settings, engine)) as first:
            port = first.config.port
            process = await follow(port, "--after", "0", "--type", "rollout.*")
            assert process.stdout is not None
            said = [json.loads(await process.stdout.readline())]
        await happen(sessions, "in the meantime")
        async with serving(create_app(settings, engine), port):
            said.append(json.loads(await process.stdout.readline()))
            process.send_signal(signal.SIGINT)
            rest = await process.communicate()

    assert [(one["id"], one["data"]["model"]) for one in said] == [
        (1, "before"),
        (2, "in the meantime"),
    ]
    assert (process.returncode, rest) == (130, (b"", b""))


async def test_who_follows_where_nobody_answers_is_told_so():
    process = await follow(free_port())
    _, said = await process.communicate()

    assert process.returncode == 1
    assert b"no answer" in said
