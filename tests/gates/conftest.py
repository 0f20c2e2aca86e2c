from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from tests.gates.people import As
from turnout import http


@pytest.fixture
def acting(client: AsyncClient) -> As:
    transport = client._transport
    assert isinstance(transport, ASGITransport)
    app = transport.app
    assert isinstance(app, FastAPI)

    @contextmanager
    def by(person: str) -> Iterator[None]:
        app.dependency_overrides[http.current_actor] = lambda: person
        try:
            yield
        finally:
            del app.dependency_overrides[http.current_actor]

    return by
