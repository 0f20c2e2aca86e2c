"""Keys at work: who gets in, what is refused, and what a replica does without its database."""

from httpx2 import AsyncClient

OTHER = "trn_0123456789abcdef_" + "A" * 43


async def test_without_keys_everybody_is_the_developer(live_client: AsyncClient) -> None:
    me = (await live_client.get("me")).json()
    document = (await live_client.get("http://test/openapi.json")).json()

    assert me == {"name": "developer", "role": "admin", "models": None, "development": True}
    assert "Development mode" in document["info"]["description"]
    assert "development mode" in (await live_client.get("http://test/docs")).text
