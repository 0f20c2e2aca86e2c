"""A load generator that costs less than what it measures: raw HTTP/1.1 on kept-alive sockets."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run of requests took: a request per second figure and sorted latencies in seconds."""

    requests: int
    seconds: float
    latencies: tuple[float, ...]
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    def quantile(self, q: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(q * len(self.latencies)))]


def request(host: str, path: str, body: bytes, kind: str = "application/json") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last is complete."""

    def __init__(self, make: Callable[[], bytes], until: float, done: asyncio.Future[None]) -> None:
        self.make, self.until, self.done = make, until, done
        self.latencies: list[float] = []
        self.failed = 0
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.make())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        start = head.find(b"content-length: ")
        stop = head.find(b"\r\n", start)
        length = int(head[start + 16 : stop if stop > 0 else None]) if start > 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        self.failed += not head.startswith(b"http/1.1 2")
        self.buffer = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(
    host: str, port: int, make: Callable[[], bytes], *, connections: int, seconds: float
) -> Load:
    """Keep `connections` requests under way for `seconds`; bounded, loopback only."""
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    all_done: list[asyncio.Future[None]] = []
    all_connections: list[Connection] = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = Connection(make, start + seconds, done)
        await loop.create_connection(lambda c=connection: c, host, port)  # type: ignore[misc]
        all_done.append(done)
        all_connections.append(connection)
    await asyncio.gather(*all_done)
    elapsed = time.perf_counter() - start
    latencies = sorted(latency for c in all_connections for latency in c.latencies)
    return Load(
        requests=len(latencies),
        seconds=elapsed,
        latencies=tuple(latencies),
        failed=sum(c.failed for c in all_connections),
    )
