"""The thread in which a client's requests run, and all that goes on behind the caller's back.

There is one thread with one event loop, whatever kind of code calls: a blocking call waits for what
runs there, an awaited one awaits it, and neither an event loop that is stuck nor one that has ended
keeps recordings from being sent. It starts with the first thing to do.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from turnout.client.errors import TurnoutError, Unreachable
from turnout.client.exchange import Answer, Call, Reply, Request, content

if TYPE_CHECKING:
    from concurrent.futures import Future

    import httpx2

Result = TypeVar("Result")

RETRY_AFTER: Final = (0.2, 1.0)
"""Seconds before a request that got no answer is sent a second time, and a third."""

SILENT_FOR: Final = 60.0
"""A stream of events that says nothing for so long, not even a comment, is lost."""

BREATH: Final = 0.01

log: Final = logging.getLogger("turnout.client")

_abandoned: Final[list[object]] = []
"""What forked processes must not even clean up, because it is their parent's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the service is, and who calls. `timeout` is for one answer, in seconds."""

    url: str
    api_key: str | None
    timeout: float

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"{self.url!r} is no address: write it as http://127.0.0.1:8000 or"
                " https://turnout.example.com"
            )
        key = self.api_key
        if key and not (key.isascii() and key.isprintable()):
            raise ValueError("api_key is not an API key: was it copied with something else?")

    @property
    def base(self) -> str:
        return f"{self.url.rstrip('/')}/api/v1/"

    @property
    def secure(self) -> bool:
        """Whether certificates matter; loading them takes longer than all else."""
        return self.url.startswith("https://")

    @property
    def headers(self) -> dict[str, str]:
        from importlib.metadata import version  # noqa: PLC0415  (slow to import, as httpx2 is)

        who = {"User-Agent": f"turnout-client/{version('turnout')}"}
        return who | ({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {})


class Engine:
    def __init__(self, address: Address) -> None:
        self.address = address
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: httpx2.AsyncClient | None = None
        self._kept: list[Future[None]] = []
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def submit(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Run something in the thread; its result can be waited for, or awaited."""
        try:
            loop = self._started()
        except TurnoutError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or the client is closed."""
        future = self.submit(work)
        future.add_done_callback(_log_defect)
        self._kept.append(future)

    def soon(self, do: Callable[[], object]) -> None:
        """Have something done in the thread that takes no time."""
        self._started().call_soon_threadsafe(do)

    async def perform(self, call: Call[Answer]) -> Answer:
        """Have a call answered. It is tried again where no answer came, or the answer says so."""
        for pause in RETRY_AFTER:
            try:
                reply = await self.exchange(call.request)
            except Unreachable:
                await asyncio.sleep(pause)
                continue
            if reply.status != 503 or "retry-after" not in reply.headers:
                return call.read(content(reply))
            await asyncio.sleep(pause)
        return call.read(content(await self.exchange(call.request)))

    async def exchange(self, request: Request) -> Reply:
        import httpx2  # noqa: PLC0415  (which takes longer than the client itself)

        client = self._client()
        timeout = httpx2.Timeout(self.address.timeout, read=self.address.timeout + request.patience)
        try:
            response = await client.request(
                request.method,
                request.path,
                params=dict(request.query),
                headers=dict(request.headers),
                content=request.body,
                timeout=timeout,
            )
        except httpx2.RequestError as error:
            raise self._unreachable(error) from error
        except RuntimeError as error:
            if threading.main_thread().is_alive():
                raise
            # At the end of a process Python lets no thread resolve a name any more.
            raise self._unreachable(error) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, response.content)

    @asynccontextmanager
    async def lines(self, request: Request) -> AsyncIterator[AsyncIterator[str]]:
        """A stream, line by line; raises a refusal instead, and Unreachable wherever it breaks."""
        import httpx2  # noqa: PLC0415

        timeout = httpx2.Timeout(self.address.timeout, read=SILENT_FOR)
        client = self._client()
        try:
            async with client.stream(
                request.method,
                request.path,
                params=dict(request.query),
                headers=dict(request.headers),
                timeout=timeout,
            ) as response:
                if not response.is_success:
                    headers = {name.lower(): text for name, text in response.headers.items()}
                    content(Reply(response.status_code, headers, await response.aread()))
                yield response.aiter_lines()
        except httpx2.RequestError as error:
            raise self._unreachable(error) from error

    def stop(self) -> None:
        """End everything that goes on; what is asked afterwards is refused."""
        with self._starting:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).add_done_callback(
            lambda _: loop.call_soon_threadsafe(loop.stop)
        )
        thread.join(self.address.timeout)

    def leave_to_parent(self) -> None:
        """Begin anew in a process that was forked off: neither the thread nor the connections are
        of this process, and nothing may be said or ended on them."""
        _abandoned.append((self._loop, self._thread, self._http, self._kept))
        self._starting = threading.Lock()
        self._loop = self._thread = self._http = None
        self._kept = []

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise TurnoutError("this client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="turnout", daemon=True
                )
                self._thread.start()
            return self._loop

    def _client(self) -> "httpx2.AsyncClient":
        import httpx2  # noqa: PLC0415

        if self._http is None:
            self._http = httpx2.AsyncClient(
                base_url=self.address.base,
                headers=self.address.headers,
                verify=self.address.secure,
                # Whoever follows a route or events keeps a connection for it.
                limits=httpx2.Limits(max_connections=None),
            )
        return self._http

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"no answer from {self.address.url}: {str(error) or type(error).__name__}"
        )

    async def _end(self) -> None:
        # anyio warns of connections that are cancelled in the instant in which they begin.
        await asyncio.sleep(BREATH)
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _log_defect(ended: "Future[None]") -> None:
    if not ended.cancelled() and (error := ended.exception()):
        log.error("the client has stopped doing something: %s", error, exc_info=error)
