"""The one way in which the service calls addresses that people gave it: webhooks, gates,
pipelines.

Every socket is checked where it is made, against the address it is about to connect to. So what
was checked is what is called, whatever a name resolved to a moment ago, and however it is written.
"""

import asyncio
import errno
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

import aiohttp

from turnout.addresses import Reach, check_url, forbidden, literal
from turnout.errors import Unavailable
from turnout.settings import Settings
from turnout.tracing import TRACES, answered, host_attributes

CONNECTIONS: Final = 100
PER_HOST: Final = 16
"""A server that hangs must not use up the process's connections."""


class CallFailed(Unavailable):
    """A call that brought no answer; its leaves say why."""


class AddressForbidden(CallFailed):
    status = 422
    title = "Malformed request"


class Unreachable(CallFailed):
    pass


class TooSlow(CallFailed):
    pass


class AnswerTooLarge(CallFailed):
    pass


class Redirected(CallFailed):
    pass


class ForbiddenSocket(OSError):
    """Raised where the socket would be made; `strerror` says what the address is."""

    def __init__(self, said: str) -> None:
        super().__init__(errno.EACCES, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said, whatever its status: only redirects are refused."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check(url: str, *, reach: Reach) -> None:
    """Refuse an address that will not be called, when it is registered."""
    try:
        check_url(url, reach)
    except ValueError as error:
        raise AddressForbidden(str(error), field="body.url") from None


def reach(settings: Settings) -> Reach:
    return Reach.PRIVATE if settings.allow_private_networks else Reach.PUBLIC


def connector(reach: Reach, **options: Any) -> aiohttp.TCPConnector:
    """Connect within reach only: also the gateway's model servers are called through it."""

    def guarded(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        address = literal(str(sockaddr[0]))
        wrong = forbidden(address, reach) if address else "no address"
        if wrong:
            raise ForbiddenSocket(f"leads to {wrong}, which is not called")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(socket_factory=guarded, **options)


class Calls:
    """The calls of one process; its session is made with the first of them.

    Connections are not kept, cookies neither, and proxies of the environment are not used.
    """

    def __init__(self, settings: Settings) -> None:
        self.reach = reach(settings)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def check(self, url: str) -> None:
        check(url, reach=self.reach)

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        deadline: timedelta,
        limit: int,
    ) -> Answer:
        """Call once, within `deadline` from the look-up of the name to the last byte of the answer.

        An answer of more than `limit` bytes is refused. Nothing is sent a second time.
        """
        self.check(url)
        with TRACES.call(method, host_attributes(url)) as span:
            sending = self._send(method, url, body, dict(headers or {}), limit)
            answer = await _within(deadline, sending, _host(url))
            answered(span, answer.status)
            return answer

    async def _send(
        self, method: str, url: str, body: bytes, headers: dict[str, str], limit: int
    ) -> Answer:
        # The answer is not unpacked, so that its limit is one of memory, too.
        headers["Accept-Encoding"] = "identity"
        TRACES.tell(headers)
        async with self._opened().request(
            method, url, data=body or None, headers=headers, allow_redirects=False
        ) as response:
            if 300 <= response.status < 400:
                raise Redirected(
                    f"{_host(url)} answers {response.status}, a redirect, and redirects are not"
                    " followed: give the address it leads to",
                    status_answered=response.status,
                )
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > limit:
                    raise AnswerTooLarge(f"{_host(url)} answers more than {limit:,} bytes")
            return Answer(status=response.status, headers=response.headers, body=bytes(answer))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(
                    self.reach, limit=CONNECTIONS, limit_per_host=PER_HOST, force_close=True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": "turnout"},
            )
        return self._session


async def _within(deadline: timedelta, sending: Coroutine[Any, Any, Answer], host: str) -> Answer:
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            return await sending
    except TimeoutError:
        raise TooSlow(f"{host} did not answer within {deadline.total_seconds():g} s") from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ForbiddenSocket):
            raise AddressForbidden(f"{host} {error.strerror}") from None
        raise Unreachable(f"{host} cannot be reached: {error.os_error}") from None
    except (aiohttp.ClientError, UnicodeError) as error:  # of a host whose name cannot be one
        said = str(error) or "it closed the connection"
        raise Unreachable(f"{host} cannot be talked to: {said}") from None


def _host(url: str) -> str:
    """The part of an address that may be shown: paths and queries of webhooks hold secrets."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0]
