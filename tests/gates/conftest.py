from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from tests.gates.people import As
from turnout.callers import Caller, Headers, Role
from turnout.gates.runs import Runner
from turnout.outgoing import Calls
from turnout.settings import Settings

PRIVATE: Final = Settings(_env_file=None, allow_private_networks=True)  # type: ignore[call-arg]


@dataclass(frozen=True)
class Doorkeeper:
    """Takes everybody for one person. Keys are not seen inside the test's transaction."""

    person: str
    open: bool = False

    async def admit(self, headers: Headers, *, again: bool = False) -> Caller:
        return Caller(name=self.person, role=Role.ADMIN)

    def expect_change(self) -> None: ...

    async def models_of(self, parameter: str, identity: str) -> Collection[str] | None:
        raise AssertionError("nobody here is confined to models")


@pytest.fixture
def acting(client: AsyncClient) -> As:
    transport = client._transport
    assert isinstance(transport, ASGITransport)
    app = transport.app
    assert isinstance(app, FastAPI)

    @contextmanager
    def by(person: str) -> Iterator[None]:
        before = app.state.resources
        app.state.resources = replace(before, gate=Doorkeeper(person))
        try:
            yield
        finally:
            app.state.resources = before

    return by


@pytest.fixture
async def calling(live_client: AsyncClient) -> AsyncIterator[AsyncClient]:
    """A service that may call private addresses, as an installation may allow."""
    transport = live_client._transport
    assert isinstance(transport, ASGITransport)
    app: Any = transport.app
    async with Calls(PRIVATE) as calls:
        app.state.gates = Runner(bench=app.state.gates.bench, calls=calls)
        yield live_client
