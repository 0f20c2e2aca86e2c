"""Aliases over HTTP: set, moved, raced for, followed and deleted."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.registry.requests import VERSIONS, refused, register
from turnout.registry.domain.alias import check_alias

ALIASES = "models/fraud-detection/aliases"
CHAMPION = f"{ALIASES}/champion"


async def point(client: AsyncClient, alias: str, version: str, **more: Any) -> dict[str, Any]:
    response = await client.put(f"{ALIASES}/{alias}", json={"version": version, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize("name", ["champion", "Champion", "a-b_c", "1", "größter", "version", "vx"])
def test_names_that_mlflow_takes(name: str) -> None:
    assert check_alias(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a.b", "@a", "a/b", "latest", "LATEST", "v1", "V22"])
def test_names_that_mlflow_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=r"an alias|cannot be an alias"):
        check_alias(name)


async def test_an_alias_is_moved_and_its_history_kept(
    client: AsyncClient, session: AsyncSession, clock: Any
) -> None:
    for version in ("1.0.0", "2.0.0"):
        await register(client, version)
    first = await point(client, "champion", "v1.0", reason="the first")
    clock.advance(timedelta(hours=1))
    await point(client, "champion", "2.0.0", expected="1.0.0", reason="won")
    clock.advance(timedelta(hours=1))
    gone = await client.delete(f"{CHAMPION}?expected=2.0.0&reason=renamed")

    assert first == {
        "alias": "champion",
        "version": "1.0.0",
        "moved_at": "2026-03-02T12:00:00Z",
        "moved_by": "developer",
    }
    assert gone.status_code == 204
    history = (await client.get(f"{CHAMPION}/history")).json()["items"]
    assert [(step["from_version"], step["to_version"], step["reason"]) for step in history] == [
        ("2.0.0", None, "renamed"),
        ("1.0.0", "2.0.0", "won"),
        (None, "1.0.0", "the first"),
    ]
    noted = await session.execute(
        text("SELECT action, after ->> 'version' FROM audit_entry WHERE subject = :s ORDER BY id"),
        {"s": CHAMPION},
    )
    assert [tuple(row) for row in noted] == [
        ("alias.moved", "1.0.0"),
        ("alias.moved", "2.0.0"),
        ("alias.deleted", None),
    ]


async def test_the_same_again_changes_nothing(client: AsyncClient, clock: Any) -> None:
    await register(client)
    first = await point(client, "champion", "1.0.0")
    clock.advance(timedelta(hours=1))

    assert await point(client, "champion", "1.0.0") == first
    assert len((await client.get(f"{CHAMPION}/history")).json()["items"]) == 1


async def test_a_version_shows_its_aliases_and_is_found_by_them(client: AsyncClient) -> None:
    before = await register(client)
    for alias in ("shadow", "champion"):
        await point(client, alias, "1.0.0")

    shown = (await client.get(f"{VERSIONS}/@champion")).json()
    listed = (await client.get(VERSIONS)).json()["items"]
    edited = await client.patch(f"{VERSIONS}/@champion", json={"owner": "ada"})

    assert before["aliases"] == []
    assert shown["version"] == "1.0.0"
    assert [view["aliases"] for view in (shown, *listed, edited.json())] == [
        ["champion", "shadow"]
    ] * 3
    assert "no alias 'nobody'" in refused(await client.get(f"{VERSIONS}/@nobody"), 404)
    assert "an alias has" in refused(await client.get(f"{VERSIONS}/@a.b"), 422)


async def test_aliases_are_listed_page_by_page(client: AsyncClient) -> None:
    await register(client)
    for alias in ("b", "a", "B", "c"):
        await point(client, alias, "1.0.0")
    names, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"{ALIASES}?limit=3{cursor and f'&cursor={cursor}'}")).json()
        names += [item["alias"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert names == ["B", "a", "b", "c"]


@pytest.mark.parametrize(
    ("method", "alias", "arguments", "status", "sentence"),
    [
        pytest.param("PUT", "v7", {"json": {"version": "1.0.0"}}, 422, "reserved", id="v7"),
        pytest.param(
            "PUT", "x", {"json": {"version": "3.0.0"}}, 404, "no version 3.0.0", id="no version"
        ),
        pytest.param(
            "PUT",
            "champion",
            {"json": {"version": "1.0.0", "expected": "2.0.0"}},
            409,
            "leads to 1.0.0, not to 2.0.0",
            id="somebody was faster",
        ),
        pytest.param(
            "PUT",
            "new",
            {"json": {"version": "1.0.0", "expected": "1.0.0"}},
            409,
            "'new' does not exist",
            id="expected, but not there",
        ),
        pytest.param(
            "DELETE", "champion", {"params": {"expected": "2.0.0"}}, 409, "leads to", id="delete"
        ),
        pytest.param("DELETE", "x", {}, 404, "has no alias 'x'", id="delete what is not there"),
    ],
)
async def test_what_is_refused(
    client: AsyncClient,
    *,
    method: str,
    alias: str,
    arguments: dict[str, Any],
    status: int,
    sentence: str,
) -> None:
    await register(client)
    await point(client, "champion", "1.0.0")

    response = await client.request(method, f"{ALIASES}/{alias}", **arguments)

    assert sentence in refused(response, status)
    assert [
        (item["alias"], item["version"]) for item in (await client.get(ALIASES)).json()["items"]
    ] == [("champion", "1.0.0")]


async def test_a_version_with_an_alias_is_not_deleted(client: AsyncClient) -> None:
    await register(client)
    await point(client, "champion", "1.0.0")

    assert "has the alias champion" in refused(await client.delete(f"{VERSIONS}/1.0.0"), 409)

    await client.delete(CHAMPION)
    assert (await client.delete(f"{VERSIONS}/1.0.0")).status_code == 204
    assert len((await client.get(f"{CHAMPION}/history")).json()["items"]) == 2


async def test_of_two_who_move_it_at_once_one_is_refused(live_client: AsyncClient) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await register(live_client, version)
    await point(live_client, "champion", "1.0.0")

    answers = await asyncio.gather(
        *(
            live_client.put(CHAMPION, json={"version": version, "expected": "1.0.0"})
            for version in ("2.0.0", "3.0.0")
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_prediction_may_force_a_version_by_its_alias(live_client: AsyncClient) -> None:
    for version in ("1.0.0", "2.0.0"):
        await register(live_client, version)
    await point(live_client, "challenger", "2.0.0")
    split = {"variants": [{"version": "1.0.0", "weight": 100}]}
    await live_client.put("models/fraud-detection/split", json=split)

    asked = {"version": "@challenger"}
    answer = (await live_client.post("models/fraud-detection/assign", json=asked)).json()

    assert (answer["version"], answer["reason"]) == ("2.0.0", "forced")
