"""Calls to a running Turnout; refusals are shown in the words of their problem documents."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Final
from uuid import UUID

import httpx2
import typer
from rich.console import Console
from rich.text import Text

DEFAULT_URL: Final = "http://127.0.0.1:8000"
RECENT: Final = 50

Url = Annotated[
    str, typer.Option("--url", envvar="TURNOUT_URL", help="Where Turnout runs.", show_default=True)
]

api_key: ContextVar[str | None] = ContextVar("api_key", default=None)
"""What `turnout --api-key` or TURNOUT_API_KEY says."""

problems = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def connected(url: str) -> Iterator[httpx2.Client]:
    """Open a client whose trouble ends the command with a sentence and status 1."""
    try:
        with httpx2.Client(
            base_url=f"{url.rstrip('/')}/api/v1/",
            timeout=30,
            headers=_authorization(),
            verify=trusted(url),
        ) as client:
            yield client
    except httpx2.InvalidURL as error:
        raise fail(f"{url!r} is not an address: {error}") from None
    except httpx2.TransportError as error:
        reason = str(error).rstrip(".")
        raise fail(f"no answer from {url}: {reason}. Is `turnout serve` running there?") from None


def trusted(url: str) -> ssl.SSLContext | bool:
    """Whose certificates are believed. Without TLS nobody's: to load them takes as long as many a
    command does."""
    if url.lower().startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return True


def _authorization() -> dict[str, str]:
    key = api_key.get()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise fail("TURNOUT_API_KEY is not an API key: was it copied with something else?")
    return {"Authorization": f"Bearer {key.strip()}"}


def fail(sentence: str) -> typer.Exit:
    problems.print(Text.assemble(("turnout:", "bold red"), f" {sentence}"))
    return typer.Exit(1)


def call(client: httpx2.Client, method: str, path: str, **arguments: Any) -> Any:
    """Send a request and read its JSON, if any; a refusal is printed and ends the command."""
    content = _answer(client, method, path, **arguments)
    return json.loads(content) if content else None


def fetched(client: httpx2.Client, path: str, **arguments: Any) -> bytes:
    """Read what is no JSON, such as a page."""
    return _answer(client, "GET", path, **arguments)


def _answer(client: httpx2.Client, method: str, path: str, **arguments: Any) -> bytes:
    response = client.request(method, path, **arguments)
    if response.is_success:
        return response.content
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        problem: Mapping[str, Any] = response.json()
        raise fail(f"{problem['detail']} ({problem['status']})")
    raise fail(f"{method} {response.url} answered {response.status_code}: {response.text[:500]}")


def pages(client: httpx2.Client, path: str, limit: int, **query: str | None) -> list[Any]:
    """Read a list, at most `limit` items of it."""
    items: list[Any] = []
    wanted = {name: value for name, value in query.items() if value is not None}
    cursor: str | None = None
    while len(items) < limit:
        size = {"limit": min(500, limit - len(items))} | ({"cursor": cursor} if cursor else {})
        page = call(client, "GET", path, params=wanted | size)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return items


def rollout_id(client: httpx2.Client, name: str) -> str:
    """Take a rollout's id, or a model's name for the rollout under way, or else the newest one.

    One that only waits for its turn is newer than the one that moves the traffic.
    """
    try:
        return str(UUID(name))
    except ValueError:
        newest = pages(client, "rollouts", RECENT, model=name)
    if not newest:
        raise fail(f"{name} has had no rollout; name a rollout's id or a model that has had one")
    under_way = (
        rollout
        for rollout in newest
        if not rollout["finished_at"] and rollout["phase"] != "scheduled"
    )
    found: str = next(under_way, newest[0])["id"]
    return found
