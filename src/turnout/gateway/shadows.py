"""Copies of requests for versions that answer nobody."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from turnout.telemetry import SHADOWS_SHED


class Shadows:
    """Runs a bounded number at once. Beyond that copies are shed and counted, not queued: a slow
    shadow costs the callers nothing, and this process no more than its bound."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._running: set[asyncio.Task[None]] = set()

    def send(self, copy: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if len(self._running) >= self._bound:
            SHADOWS_SHED.inc()
            return
        task = asyncio.create_task(copy())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
