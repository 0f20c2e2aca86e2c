"""What the registry's HTTP tests ask again and again."""

from typing import Any, Final

from httpx2 import AsyncClient, Response

VERSIONS: Final = "models/fraud-detection/versions"
UPLOAD: Final = f"{VERSIONS}/1.0.0/artifact"


async def register(client: AsyncClient, version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
    response = await client.post(VERSIONS, json={"version": version, **fields})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def refused(response: Response, status: int) -> str:
    """The sentence of a problem document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    detail: str = response.json()["detail"]
    return detail
