"""Waiting for what happens in a thread, a task or the database, and for nothing longer."""

import asyncio
from collections.abc import Callable


async def eventually(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.001)
