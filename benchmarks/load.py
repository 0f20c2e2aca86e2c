"""A load generator that costs less than what it measures: raw HTTP/1.1 on kept-alive sockets."""

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

PATIENCE_SECONDS = 30.0
"""How long the last answers may take, or any where nothing else ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    requests: int
    failed: int
    """Answered by anything but a 2xx, or not at all."""
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def request(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered, and not before it is due."""

    def __init__(
        self, requests: Iterator[bytes], *, first: float, until: float, every: float
    ) -> None:
        self.requests, self.due, self.until, self.every = requests, first, until, every
        self.answered = self.failed = 0
        self.buffer = b""
        self.waits = False
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.loop.call_at(self.due, self.send)

    def send(self) -> None:
        if self.loop.time() >= self.until or (following := next(self.requests, None)) is None:
            self.transport.close()
            return
        self.waits = True
        self.transport.write(following)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        head = head.lower()
        if not end or len(body) < int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self.buffer = b""
        self.waits = False
        self.answered += 1
        self.failed += not head.startswith(b"http/1.1 2")
        self.due += self.every
        if self.due > self.loop.time():
            self.loop.call_at(self.due, self.send)
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.failed += self.waits
        self.closed.set_result(None)


async def run(
    port: int,
    requests: Iterator[bytes],
    *,
    connections: int,
    seconds: float = math.inf,
    rate: float = math.inf,
) -> Load:
    """Send requests until there are no more or the time is over.

    Each connection has one under way. All together send `rate` a second, or as many as they can.
    """
    loop = asyncio.get_running_loop()
    start, begun = loop.time(), time.perf_counter()
    every = connections / rate
    opened = [
        Connection(
            requests, first=start + n * every / connections, until=start + seconds, every=every
        )
        for n in range(connections)
    ]
    for connection in opened:
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
    bound = seconds + PATIENCE_SECONDS if math.isfinite(seconds) else None
    async with asyncio.timeout(bound):
        await asyncio.gather(*(connection.closed for connection in opened))
    return Load(
        requests=sum(connection.answered for connection in opened),
        failed=sum(connection.failed for connection in opened),
        seconds=time.perf_counter() - begun,
    )
