"""Receivers on real sockets that answer as they are told, and remember what they got."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Got:
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answer` is asked for the status of each request; `hold` keeps requests waiting."""

    answer: Callable[[Got], int] = lambda _: 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    url: str = ""
    hold: asyncio.Event | None = None

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(headers=headers, body=await request.text())
        self.got.append(got)
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.answer(got), headers=self.headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    yield receiver
    if receiver.hold is not None:
        receiver.hold.set()
    await runner.cleanup()
