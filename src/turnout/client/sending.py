"""Recordings on their way: in batches, until the service has taken or refused them."""

import asyncio
import time
from contextlib import suppress
from typing import Final

from turnout.client.engine import Address, Engine, log
from turnout.client.errors import Unreachable
from turnout.client.exchange import Reply
from turnout.client.recording import Batch, Buffer

EVERY: Final = 0.5
"""Seconds between two looks at what waits."""


PAUSE: Final = 0.1
"""Seconds between two tries at the end."""


class Sender:
    def __init__(self, engine: Engine, buffer: Buffer) -> None:
        self._engine = engine
        self._buffer = buffer
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look at what waits now; for any thread."""
        self._engine.soon(self._awake.set)

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), EVERY)
            self._awake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Send what waits now and is due; what comes meanwhile goes with the next, or every row
        would be a batch."""
        left = self._buffer.recordings().waiting
        while left > 0 and (batches := self._buffer.due(time.monotonic())):
            await asyncio.gather(*map(self._send, batches))
            left -= sum(len(batch.rows) for batch in batches)

    async def _send(self, batch: Batch) -> None:
        reply: Reply | None = None
        try:
            reply = await self._engine.exchange(batch.request())
        except Unreachable:
            pass
        except Exception:  # noqa: BLE001  (no error may end the sending of what follows)
            log.exception("recordings of %s cannot be sent", batch.model)
        settle(self._buffer, batch, reply)


def settle(buffer: Buffer, batch: Batch, reply: Reply | None) -> None:
    before = buffer.trouble
    if said := buffer.settle(batch, reply, time.monotonic()):
        log.warning("%s", said)
    if buffer.trouble and not before:
        log.warning("recordings wait: %s", buffer.trouble)


def drain(buffer: Buffer, address: Address, *, seconds: float) -> None:
    """Send what waits from this thread, at the end of a process: its other threads are no longer
    to be relied on. Batches keep their ids, so that one under way counts once."""
    import httpx2  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    with httpx2.Client(
        base_url=address.base, headers=address.headers, verify=address.secure
    ) as client:
        while batches := buffer.due(time.monotonic(), every=True):
            for batch in batches:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                request = batch.request()
                reply: Reply | None = None
                try:
                    response = client.request(
                        request.method,
                        request.path,
                        headers=dict(request.headers),
                        content=request.body,
                        timeout=left,
                    )
                    headers = {name.lower(): text for name, text in response.headers.items()}
                    reply = Reply(response.status_code, headers, response.content)
                except httpx2.RequestError:
                    pass
                settle(buffer, batch, reply)
                if buffer.trouble:
                    time.sleep(min(PAUSE, left))
