"""Calls to addresses that people gave, against real servers on loopback."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.gateway.model_servers import Handler, answering, dying, endless, hanging, serving
from turnout.addresses import Reach
from turnout.outgoing import (
    AddressForbidden,
    Answer,
    AnswerTooLarge,
    Calls,
    Redirected,
    TooSlow,
    Unreachable,
    check,
    connector,
)
from turnout.settings import Settings

SOON = timedelta(seconds=30)


@pytest.fixture
async def public(settings: Settings) -> AsyncIterator[Calls]:
    async with Calls(settings) as calls:
        yield calls


@pytest.fixture
async def calls(settings: Settings) -> AsyncIterator[Calls]:
    allowing = settings.model_copy(update={"allow_private_networks": True})
    async with Calls(allowing) as calls:
        yield calls


async def post(calls: Calls, url: str, **options: Any) -> Answer:
    given: dict[str, Any] = {"deadline": SOON, "limit": 1000, "body": b"{}"}
    return await calls.send("POST", url, **given | options)


async def test_an_answer_comes_back_whatever_its_status(calls: Calls):
    seen: list[tuple[str, bytes, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, await request.read(), request.headers["X-Signature"]))
        return web.Response(status=418, body=b"no", headers={"Retry-After": "3"})

    async with serving(handler) as url:
        answer = await post(calls, f"{url}/hook", body=b"news", headers={"X-Signature": "s"})

    assert (answer.status, answer.headers["retry-after"], answer.body) == (418, "3", b"no")
    assert seen == [("POST", b"news", "s")]


@pytest.mark.parametrize(
    ("handler", "kind", "sentence"),
    [
        pytest.param(hanging, TooSlow, "did not answer within 0.05 s", id="hangs"),
        pytest.param(dying, Unreachable, "cannot be talked to", id="dies"),
        pytest.param(endless, AnswerTooLarge, "more than 1,000 bytes", id="never ends"),
        pytest.param(answering(body=b"0" * 1001), AnswerTooLarge, "more than", id="a byte more"),
    ],
)
async def test_what_is_no_answer(
    calls: Calls, handler: Handler, kind: type[Exception], sentence: str
):
    deadline = timedelta(seconds=0.05) if kind is TooSlow else SOON
    async with serving(handler) as url:
        with pytest.raises(kind, match=sentence):
            await post(calls, url, deadline=deadline)


async def test_the_deadline_is_for_the_whole_call(calls: Calls):
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    start = time.monotonic()
    async with serving(dripping) as url:
        with pytest.raises(TooSlow):
            await post(calls, url, deadline=timedelta(seconds=0.2), limit=10_000_000)
    assert time.monotonic() - start < 20


async def test_an_answer_is_not_unpacked(calls: Calls):
    bomb = gzip.compress(b"0" * 10_000_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url:
        answer = await post(calls, url, limit=100_000)

    assert answer.body == bomb


async def test_nobody_listens(calls: Calls):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="cannot be reached"):
            await post(calls, f"http://127.0.0.1:{taken.getsockname()[1]}/secret-path")


async def test_a_name_that_can_be_no_hosts(calls: Calls):
    with pytest.raises(Unreachable, match="cannot be talked to"):
        await post(calls, f"http://{'ü' * 64}.example/hook")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(calls: Calls, status: int):
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.path == "/hook", "it was followed"
        return web.Response(status=status, headers={"Location": "/there"})

    async with serving(handler) as url:
        with pytest.raises(Redirected, match=f"answers {status}, a redirect") as caught:
            await post(calls, f"{url}/hook")

    assert caught.value.facts == {"status_answered": status}


async def test_cookies_and_proxies_are_not_kept(calls: Calls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "track=1"})

    async with serving(handler) as url:
        await post(calls, url)
        await post(calls, url)

    assert cookies == [None, None]


async def test_loopback_is_not_called_unless_allowed(public: Calls):
    async with serving(answering(json="reached")) as url:
        with pytest.raises(AddressForbidden, match="TURNOUT_ALLOW_PRIVATE_NETWORKS"):
            await post(public, url)
        with pytest.raises(AddressForbidden, match=r"localhost:.* leads to a loopback address"):
            await post(public, url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("host", ["0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "[fe80::1]"])
async def test_what_is_never_called_is_not_even_where_the_inside_is(calls: Calls, host: str):
    with pytest.raises(AddressForbidden, match="link-local address"):
        await post(calls, f"http://{host}/latest/meta-data")


class Rebinding(AbstractResolver):
    """A server of names that gives a harmless address when first asked, then another."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers.pop(0)
        return [
            ResolveResult(
                hostname=host, host=answer, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_changes_its_answer_is_refused_by_where_it_leads(calls: Calls):
    async with serving(answering(json="reached")) as url:
        port = url.rpartition(":")[2]
        resolver = Rebinding("127.0.0.1", "169.254.169.254")
        calls._opened()._connector = connector(
            Reach.PRIVATE, resolver=resolver, use_dns_cache=False, force_close=True
        )
        named = f"http://hooks.example:{port}/"

        calls.check(named)
        assert (await post(calls, named)).status == 200
        with pytest.raises(AddressForbidden, match="leads to a link-local address"):
            await post(calls, named)

    assert not resolver.answers


def test_an_address_is_refused_when_it_is_registered():
    with pytest.raises(AddressForbidden, match="a private address") as caught:
        check("https://10.0.0.1/hook", reach=Reach.PUBLIC)

    assert caught.value.status == 422
    assert caught.value.facts == {"field": "body.url"}
    check("https://10.0.0.1/hook", reach=Reach.PRIVATE)


async def test_what_is_said_of_a_failure_shows_no_secrets_of_the_path(calls: Calls):
    async with serving(dying) as url:
        with pytest.raises(Unreachable) as caught:
            await post(calls, f"{url}/services/T0/s3cret?token=s3cret")

    assert "s3cret" not in caught.value.detail
