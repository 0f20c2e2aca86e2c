"""Development mode answers this machine's programs, and no web page of somebody else."""

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.conftest import bearer, make
from turnout.access.domain.local import NotLocal, check_local
from turnout.api import create_app
from turnout.settings import Settings


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"host", b"127.0.0.1:8000")], id="an address"),
        pytest.param([(b"host", b"localhost")], id="its name"),
        pytest.param([(b"host", b"LOCALHOST:8000")], id="its name in capitals"),
        pytest.param([(b"host", b"[::1]:8000")], id="an address of IPv6"),
        pytest.param(
            [(b"host", b"127.0.0.1:8000"), (b"origin", b"http://127.0.0.1:8000")], id="its own page"
        ),
        pytest.param([], id="an old client without Host"),
    ],
)
def test_this_machine_is_answered(headers: list[tuple[bytes, bytes]]) -> None:
    check_local(headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"host", b"evil.example:8000")], id="a name that leads here"),
        pytest.param([(b"host", b"127.0.0.1.evil.example")], id="a name that looks like here"),
        pytest.param([(b"host", b"localhost@evil.example")], id="a name behind a user"),
        pytest.param([(b"host", b"10.0.0.7")], id="another machine"),
        pytest.param([(b"host", b"")], id="no name"),
        pytest.param([(b"host", b"[::1")], id="half an address"),
        pytest.param([(b"host", b"\xff")], id="no text"),
        pytest.param(
            [(b"host", b"localhost"), (b"origin", b"https://evil.example")], id="across origins"
        ),
        pytest.param([(b"host", b"localhost"), (b"origin", b"null")], id="a page without origin"),
    ],
)
def test_nobody_else_is(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(NotLocal, match="turnout keys create"):
        check_local(headers)


async def test_that_is_so_until_there_is_a_key(engine: AsyncEngine, settings: Settings) -> None:
    alone = settings.model_copy(update={"allow_unauthenticated": False})
    app = create_app(alone, engine)
    elsewhere = {"Host": "turnout.example.com"}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://localhost/api/v1/") as client,
    ):
        refused = await client.get("models", headers=elsewhere)
        key = await make(client, name="admin", role="admin")
        answered = await client.get("models", headers=elsewhere | bearer(key))

    assert (refused.status_code, answered.status_code) == (403, 200)
    assert refused.json()["type"] == "urn:turnout:problem:not-local"
