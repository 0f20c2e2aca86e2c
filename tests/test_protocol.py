"""Bounds on what comes before and behind a body, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from turnout.cli import protocol
from turnout.cli.processes import Server

SOON = 30


class Plain(Server):
    """Without what the service does at its end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await uvicorn.Server.shutdown(self, sockets)


async def measure(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} of {len(request.url.query)}")


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    app = Starlette(routes=[Route("/", measure, methods=["GET", "POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Plain(
            uvicorn.Config(app, http=protocol.BoundedProtocol, log_config=None, lifespan="off")
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


async def answer(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends."""
    async with asyncio.timeout(SOON):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


async def flood(writer: asyncio.StreamWriter) -> None:
    """Send without end, as long as it is taken."""
    async with asyncio.timeout(SOON):
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"a" * 100_000)
                await writer.drain()
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: here\r\nX-Long: ", id="a header"),
        pytest.param(b"GET /?", id="an address"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nX-Long: ",
            id="a trailer",
        ),
    ],
)
async def test_a_head_without_end_is_not_read(begun: bytes):
    async with connected() as (reader, writer):
        writer.write(begun)
        await flood(writer)

        assert (await answer(reader))[:12] in {b"HTTP/1.1 400", b""}


async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "HEAD_WITHIN", timedelta(seconds=0.05))
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: he")

        assert (await answer(reader)).startswith(b"HTTP/1.1 400")


async def test_bodies_are_as_long_as_they_are():
    chunk = b"186a0\r\n" + b"a" * 100_000 + b"\r\n"
    head = b"POST /?a HTTP/1.1\r\nHost: here\r\n"
    async with connected() as (reader, writer):
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 30 + b"0\r\n\r\n")
        writer.write(head + b"Connection: close\r\nContent-Length: 3000000\r\n\r\n")
        writer.write(b"a" * 3_000_000)

        assert (await answer(reader)).count(b"3000000 of 1") == 2
