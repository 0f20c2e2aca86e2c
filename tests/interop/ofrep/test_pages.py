"""Web pages of other origins: what a browser asks beforehand, and the provider in a real one."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from httpx2 import AsyncClient
from pydantic import ValidationError
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait
from sqlalchemy.ext.asyncio import AsyncEngine

import tests.browser
from tests.browser import NEEDED
from tests.conftest import Clock
from tests.interop.conftest import key_of, listening, run
from tests.interop.ofrep.conftest import put_in_place
from tests.interop.ofrep.test_clients import JS, NPM
from turnout.api import create_app
from turnout.settings import Settings

browser = tests.browser.browser
SHOP = "https://shop.example.com"
ALL = "/ofrep/v1/evaluate/flags"
ASKED = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,if-none-match,x-api-key",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"ofrep_origins": SHOP})


async def test_a_page_of_an_origin_that_is_named_may_ask(client: AsyncClient) -> None:
    before = await client.options(f"http://test{ALL}", headers=ASKED)
    answer = await client.post(f"http://test{ALL}", headers={"Origin": SHOP}, json={})

    assert before.status_code == 200
    allowed = before.headers["access-control-allow-headers"].lower()
    assert {"x-api-key", "authorization", "if-none-match"} <= set(allowed.split(", "))
    for said in (before, answer):
        assert said.headers["access-control-allow-origin"] == SHOP
        assert "Origin" in said.headers["vary"]
        assert "access-control-allow-credentials" not in said.headers
    assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_a_refusal_can_be_read_by_the_page(client: AsyncClient) -> None:
    broken = await client.post(f"http://test{ALL}", headers={"Origin": SHOP}, content="{")

    assert (broken.status_code, broken.json()["errorCode"]) == (400, "PARSE_ERROR")
    assert broken.headers["access-control-allow-origin"] == SHOP


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        pytest.param(ALL, "https://evil.example", id="another origin"),
        pytest.param(ALL, "https://shop.example.com.evil.example", id="one that begins like it"),
        pytest.param("/api/v1/models", SHOP, id="the origin, at the native API"),
        pytest.param("/predict", SHOP, id="the origin, at another door"),
    ],
)
async def test_no_other_page_may_and_nothing_else(
    client: AsyncClient, path: str, origin: str
) -> None:
    asked = {**ASKED, "Origin": origin}
    before = await client.options(f"http://test{path}", headers=asked)
    after = await client.post(f"http://test{path}", headers={"Origin": origin}, json={})

    assert before.status_code in {400, 405}
    for said in (before, after):
        assert "access-control-allow-origin" not in said.headers


@pytest.mark.parametrize(
    ("origins", "reason"),
    [
        pytest.param("shop.example.com", "is not an origin", id="no scheme"),
        pytest.param("https://shop.example.com/", "is not an origin", id="a path"),
        pytest.param("https://Shop.example.com", "small letters", id="capitals"),
        pytest.param(f"*,{SHOP}", "stands for every origin", id="all and one"),
        pytest.param("*", "name the origins", id="all, and nobody is asked for a key"),
    ],
)
def test_a_setting_that_means_something_else_is_refused(origins: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings(_env_file=None, allow_unauthenticated=True, ofrep_origins=origins)  # type: ignore[call-arg]


def test_all_origins_may_be_named_where_a_key_is_asked_for() -> None:
    Settings(_env_file=None, ofrep_origins="*")  # type: ignore[call-arg]


@asynccontextmanager
async def shop(directory: Path) -> AsyncIterator[str]:
    """A page of an origin of its own, with the providers from npm."""
    app = web.Application()
    app.router.add_static("/", directory)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@NEEDED
@pytest.mark.skipif(NPM is None, reason="no npm here")
async def test_the_provider_works_in_a_browser(
    engine: AsyncEngine, settings: Settings, clock: Clock, tmp_path: Path, browser: Chrome
) -> None:
    assert NPM is not None
    program = shutil.copytree(JS, tmp_path / "js")
    status, said = await run(NPM, "ci", "--ignore-scripts", "--prefix", program)
    assert status == 0, said
    async with shop(program) as origin, shop(program) as another:
        known = settings.model_copy(update={"ofrep_origins": origin})
        async with listening(create_app(known, engine, clock=clock)) as service:
            async with AsyncClient(base_url=f"{service}/api/v1/", timeout=60) as api:
                await key_of(api, role="admin")
                await put_in_place(api)
                key = await key_of(api, role="recorder")
            page = f"{origin}/page.html?service={service}&key={key}"
            assert await asyncio.to_thread(title, browser, page) == "2.0.0 TARGETING_MATCH"
            said = await asyncio.to_thread(title, browser, page.replace(origin, another, 1))
            assert said.startswith("refused:")


def title(browser: Chrome, page: str) -> str:
    """What the page says in the end."""
    browser.get(page)
    WebDriverWait(browser, 120).until(lambda seen: seen.title != "waiting")
    return browser.title
