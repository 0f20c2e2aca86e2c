from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from tests.gates.people import As
from turnout.callers import Caller, Headers, Role


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
