"""Model servers on a loopback port: honest ones, and those of bad days."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Answer every POST by the handler; yields the address."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


UNREADABLE = [
    pytest.param(b'{"error": "\xff", "outputs": [{"name": "\xff"}]}', id="not UTF-8"),
    pytest.param(b'{"error": ' + b"[" * 100_000, id="nested too deeply"),
]


def answering(status: int = 200, *, json: object = None, body: bytes | None = None) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if body is not None:
            return web.Response(status=status, body=body)
        return web.json_response(json, status=status)

    return handler


async def hanging(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def dying(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"0" * 1_000_000)
    except ConnectionResetError:
        return response


@dataclass
class ChatServer:
    """Speaks OpenAI's chat completions: refuses a wrong key and an unknown model as it does.

    A model's answer is a text, a status with its headers, or a handler of bad days.
    """

    models: Mapping[str, str | tuple[int, Mapping[str, str]] | Handler]
    key: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/chat/completions":
            return web.json_response({"detail": "Not Found"}, status=404)
        given = request.headers.get("Authorization", "")
        if self.key is not None and given != f"Bearer {self.key}":
            return _error(401, f"Incorrect API key provided: {given.removeprefix('Bearer ')}")
        body = await request.json()
        self.asked.append(body)
        answer = self.models.get(body["model"])
        if answer is None:
            return _error(404, f"The model `{body['model']}` does not exist")
        if callable(answer):
            return await answer(request)
        if isinstance(answer, tuple):
            return _error(answer[0], "try later", answer[1])
        return web.json_response(completion(answer))


def completion(text: str | None, **choice: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
    }


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)
