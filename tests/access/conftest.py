"""A service that asks for credentials, and keys to it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import AsyncClient

Made = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def admin(live_client: AsyncClient) -> dict[str, str]:
    """The header of the first key; with it development mode has ended."""
    return bearer(await make(live_client, name="admin", role="admin"))


@pytest.fixture
def holder(live_client: AsyncClient, admin: dict[str, str]) -> Made:
    """Makes a key and answers the header that brings it."""

    async def made(**wanted: Any) -> dict[str, str]:
        return bearer(await make(live_client, headers=admin, **wanted))

    return made


async def make(
    client: AsyncClient, *, headers: dict[str, str] | None = None, **wanted: Any
) -> dict[str, Any]:
    response = await client.post("api-keys", json=wanted, headers=headers or {})
    assert response.status_code == 201, response.text
    key: dict[str, Any] = response.json()
    return key


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}
