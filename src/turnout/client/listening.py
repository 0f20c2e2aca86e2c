"""Events as they happen, and the callbacks that they are given to."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final

from turnout.client.engine import Engine, log
from turnout.client.errors import Refused, Unreachable
from turnout.client.exchange import Request
from turnout.client.stream import Event, Lines

FIRST_RETRY: Final = 0.2
LAST_RETRY: Final = 10.0

ROLLBACKS: Final = ("rollout.rolled_back",)
ALERTS: Final = ("alert.*",)

Handle = Callable[[Event], object]
Query = str | Sequence[str]


class Listener:
    """Follows one stream of events, and comes back with the last id when it breaks.

    `begun` is done when following has begun, or is refused, or when the service cannot be reached;
    then it begins as soon as it can. Callbacks run one after the other in a thread of their own, so
    that a slow one holds up nothing else.
    """

    def __init__(
        self, engine: Engine, query: Mapping[str, Query], handle: Handle, *, after: int | None
    ) -> None:
        self.begun: Future[None] = Future()
        self._engine = engine
        self._query = query
        self._handle = handle
        self._lines = Lines(after)
        self._retry = FIRST_RETRY
        self._events: SimpleQueue[Event | None] = SimpleQueue()

    async def run(self) -> None:
        threading.Thread(target=self._hand_on, name="turnout-events", daemon=True).start()
        try:
            while True:
                try:
                    await self._follow()
                except Refused as refusal:
                    if not self.begun.done():
                        self.begun.set_exception(refusal)
                        return
                    log.warning("events are not followed: %s", refusal)
                except Unreachable as error:
                    log.warning("events are not followed: %s", error)
                    self._note_begun()
                except Exception:  # noqa: BLE001  (an event that cannot be read is passed over)
                    log.exception("events cannot be read")
                await asyncio.sleep(self._retry)
                self._retry = min(self._retry * 2, LAST_RETRY)
        finally:
            self._events.put(None)

    async def _follow(self) -> None:
        """Read one stream to its end."""
        lines = self._lines
        lines.begin()
        after = {} if lines.position is None else {"after": lines.position}
        request = Request(method="GET", path="events", query={**self._query, **after})
        async with self._engine.lines(request) as stream:
            async for line in stream:
                event = lines.take(line)
                if lines.position is not None:
                    self._retry = FIRST_RETRY
                    self._note_begun()
                if event is not None:
                    self._events.put(event)

    def _note_begun(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)

    def _hand_on(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._handle(event)
            except Exception:  # noqa: BLE001  (others' code, whatever it does)
                log.exception("the callback for %s %d has failed", event.type, event.id)
