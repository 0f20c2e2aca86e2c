"""Models behind HTTP: the Open Inference Protocol v2, or plain JSON."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

import aiohttp
import msgspec

from turnout import outgoing
from turnout.gateway.runtimes import oip
from turnout.gateway.runtimes.answers import (
    UNREADABLE,
    Answer,
    Failure,
    InputMismatch,
    RuntimeFailure,
    confidence_of,
    label_of,
    timed_out,
)
from turnout.observations.domain.prediction import LARGEST
from turnout.quantities import JsonValue
from turnout.registry.domain.runtime import MODEL_SERVERS, HttpRuntime, check_server
from turnout.registry.domain.version import VersionRef
from turnout.tracing import TRACES, answered, server_attributes

LARGEST_ANSWER: Final = 16_000_000
IN_FLIGHT: Final = 128
"""Calls to one version at once: a server that hangs must not use up the process's sockets."""

KEEP_ALIVE: Final = timedelta(seconds=4)
"""Below the five seconds after which uvicorn, and others, close an idle connection."""

_STALE: Final = (aiohttp.ServerDisconnectedError, ConnectionResetError)
_INPUT_REFUSED: Final = {400, 422}
_OVERLOADED: Final = {429, 503}


class PlainAnswer(msgspec.Struct):
    """What a server of protocol `json` answers, when its answer is an object with `prediction`."""

    prediction: Any
    confidence: float | None = None
    label: str | float | bool | None = None
    cost: Annotated[float, msgspec.Meta(ge=0, le=LARGEST)] | None = None


class Errors(msgspec.Struct):
    """`error` is v2's word, `detail` that of FastAPI and of problem documents."""

    error: Any = None
    detail: Any = None


def http_session() -> aiohttp.ClientSession:
    """The one session of a replica: connections are kept, cookies and proxies are not."""
    connector = outgoing.connector(
        MODEL_SERVERS, limit=0, keepalive_timeout=KEEP_ALIVE.total_seconds()
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    content: bytes
    retry_after: str | None


class Endpoint:
    """Where one version's server is asked: its address, its token, and its places for calls."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        version: VersionRef,
        url: str,
        *,
        token_env: str | None,
    ) -> None:
        self._session = session
        self._url = url
        self._traced = server_attributes(url) | {
            "turnout.model": version.model,
            "turnout.version": version.version,
        }
        self._token_env = token_env
        self._in_flight = 0

    async def ask(
        self, body: bytes, *, deadline: timedelta, traced: Mapping[str, str] | None = None
    ) -> Reply:
        """Post JSON and read what comes, whatever its status; raises RuntimeFailure."""
        if self._in_flight >= IN_FLIGHT:
            raise RuntimeFailure(
                Failure.OVERLOADED, f"{IN_FLIGHT} calls to it are waiting for an answer"
            )
        self._in_flight += 1
        try:
            with TRACES.call("POST", {**self._traced, **(traced or {})}) as span:
                reply = await self._answer(body, deadline)
                answered(span, reply.status)
                return reply
        finally:
            self._in_flight -= 1

    def refusal(self, reply: Reply) -> InputMismatch | RuntimeFailure:
        """What a status other than 200 means, in words that never hold the token."""
        said = _said(reply.content, token=os.environ.get(self._token_env or ""))
        if reply.status in _INPUT_REFUSED:
            return InputMismatch(f"the model server refuses this input ({reply.status}): {said}")
        if reply.status in _OVERLOADED:
            return RuntimeFailure(Failure.OVERLOADED, f"status {reply.status}: {said}")
        kind = Failure.FAILED if reply.status >= 500 else Failure.REFUSED
        return RuntimeFailure(kind, f"status {reply.status}: {said}")

    async def _answer(self, body: bytes, deadline: timedelta) -> Reply:
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                return await self._post_again_if_stale(body)
        except TimeoutError:
            raise timed_out(deadline) from None
        except aiohttp.ClientError as error:
            raise RuntimeFailure(Failure.UNREACHABLE, f"{type(error).__name__}: {error}") from None

    async def _post_again_if_stale(self, body: bytes) -> Reply:
        """A kept connection may be closed by the server while we write; that is nobody's failure.

        To ask a model twice changes nothing, so a request may be sent again, once.
        """
        try:
            return await self._post(body)
        except _STALE:
            return await self._post(body)

    async def _post(self, body: bytes) -> Reply:
        async with self._session.post(
            self._url, data=body, headers=self._headers(), allow_redirects=False
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise RuntimeFailure(
                        Failure.GARBAGE, f"its answer is longer than {LARGEST_ANSWER:,} bytes"
                    )
            return Reply(
                status=response.status,
                content=bytes(content),
                retry_after=response.headers.get("Retry-After"),
            )

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        TRACES.tell(headers)
        if self._token_env is not None:
            token = os.environ.get(self._token_env)
            if not token:
                raise RuntimeFailure(
                    Failure.NOT_LOADED,
                    f"the environment variable {self._token_env} of its token_env is not set here",
                )
            headers["Authorization"] = f"Bearer {token}"
        return headers


class HttpModel:
    """One version behind HTTP."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        version: VersionRef,
        config: HttpRuntime,
        *,
        deadline: timedelta,
    ) -> None:
        url = _address(config, version.model)
        self._endpoint = Endpoint(session, version, url, token_env=config.token_env)
        self._v2 = config.protocol == "v2"
        self._ports = oip.ports_of(version.signature) if version.signature else None
        self._deadline = config.timeout or deadline

    async def predict(self, inputs: JsonValue) -> Answer:
        if self._v2:
            body, lone = oip.request(inputs, self._ports)
            return oip.answer(await self._ask(body), lone=lone)
        return _plain(await self._ask(msgspec.json.encode({"inputs": inputs})))

    def close(self) -> None:
        """Nothing of its own to close: the session is the replica's."""

    async def _ask(self, body: bytes) -> bytes:
        reply = await self._endpoint.ask(body, deadline=self._deadline)
        if reply.status != 200:
            raise self._endpoint.refusal(reply)
        return reply.content


def checked_server(url: str) -> str:
    """Check an address again, as at registration: the rules may have become stricter since."""
    try:
        return check_server(url)
    except ValueError as error:
        raise RuntimeFailure(Failure.NOT_LOADED, str(error)) from None


def _address(config: HttpRuntime, model: str) -> str:
    """Where to post: for v2, `url` is the server, unless it names the infer endpoint itself."""
    url = checked_server(config.url)
    if config.protocol == "json" or url.endswith("/infer"):
        return url
    return f"{url.rstrip('/')}/v2/models/{config.model_name or model}/infer"


def _plain(body: bytes) -> Answer:
    try:
        found = msgspec.json.decode(body)
        if not isinstance(found, dict) or "prediction" not in found:
            return Answer(prediction=found, label=label_of(found))
        read = msgspec.convert(found, PlainAnswer)
    except UNREADABLE as error:
        raise RuntimeFailure(Failure.GARBAGE, f"its answer cannot be read: {error}") from None
    return Answer(
        prediction=read.prediction,
        confidence=confidence_of(read.confidence),
        label=label_of(read.prediction if read.label is None else read.label),
        cost=read.cost,
    )


def _said(content: bytes, *, token: str | None) -> str:
    """A line of what a server says of its trouble; the token goes before the line is cut, or the
    cut could leave the beginning of it."""
    try:
        errors = msgspec.json.decode(content, type=Errors)
        error = errors.error
        if isinstance(error, dict) and "message" in error:  # OpenAI's
            error = error["message"]
        text = str(error or errors.detail or "")
    except UNREADABLE:
        text = content[:10_000].decode(errors="replace")
    line = " ".join(text.split())
    if token:
        line = line.replace(token, "…")
    return line[:200] or "without a word"
