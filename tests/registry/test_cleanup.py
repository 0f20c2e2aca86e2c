"""Versions that have had their time, and the files that nobody needs any more."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.factories import NOON
from tests.registry.requests import VERSIONS, refused, register
from turnout.registry.artifacts import location
from turnout.registry.cleanup import LEAVING, remove_files
from turnout.registry.domain.cleanup import Aged, Retention, reason_to_keep
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.settings import Settings

CLEANUP = "models/fraud-detection/cleanup"


def aged(days: float = 100, **facts: Any) -> Aged:
    at = NOON - timedelta(days=days)
    usual: dict[str, Any] = {
        "id": 1,
        "version": "1.0.0",
        "stage": Lifecycle.ARCHIVED,
        "aliases": (),
    }
    return Aged(created_at=at, **(usual | facts))


@pytest.mark.parametrize(
    ("version", "rank", "reason"),
    [
        pytest.param(aged(), 11, None, id="old and out of use"),
        pytest.param(aged(), 10, "it is among the newest 10", id="among the newest"),
        pytest.param(aged(29.9), 11, "it is younger than 30 days", id="young"),
        pytest.param(aged(30), 11, None, id="just old enough"),
        pytest.param(aged(stage=Lifecycle.PRODUCTION), 11, "it is in production", id="serves"),
        pytest.param(aged(stage=Lifecycle.STAGING), 11, "it is in staging", id="another stage"),
        pytest.param(aged(aliases=("a", "b")), 11, "it has the alias a, b", id="aliases"),
    ],
)
def test_why_a_version_stays(version: Aged, rank: int, reason: str | None) -> None:
    found = reason_to_keep(version, rank=rank, retention=Retention(), now=NOON)

    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)


async def upload(client: AsyncClient, version: str, content: bytes) -> None:
    response = await client.put(f"{VERSIONS}/{version}/artifact", content=content)
    assert response.status_code == 200, response.text


def stored(settings: Settings, content: bytes, *, hours: float = 2) -> Path:
    """Where a file is kept; it was placed so many hours ago."""
    path = location(settings.artifacts_dir, hashlib.sha256(content).hexdigest())
    age = path.stat().st_mtime - hours * 3600
    os.utime(path, (age, age))
    return path


async def test_a_dry_run_says_what_a_cleanup_then_does(client: AsyncClient, clock: Any) -> None:
    for minor in range(5):
        await register(client, f"1.{minor}.0")
    for path, body in (
        ("split", {"variants": [{"version": "1.0.0", "weight": 100}]}),
        ("aliases/champion", {"version": "1.1.0"}),
    ):
        assert (await client.put(f"models/fraud-detection/{path}", json=body)).status_code == 200
    clock.advance(timedelta(days=31))
    wish = {"keep_last": 1, "older_than": "30d"}

    said = (await client.post(CLEANUP, json=wish)).json()
    before = (await client.get(VERSIONS)).json()["items"]
    done = (await client.post(CLEANUP, json=wish | {"dry_run": False})).json()
    after = (await client.get(VERSIONS)).json()["items"]

    assert said == done | {"dry_run": True}
    assert done["deleted"] == ["1.3.0", "1.2.0"]
    assert {each["version"]: each["reason"] for each in done["kept"]} == {
        "1.4.0": "it is among the newest 1",
        "1.1.0": "it has the alias champion",
        "1.0.0": "fraud-detection 1.0.0 is in use: a route refers to it",
    }
    assert [len(before), len(after)] == [5, 3]


async def test_files_go_with_the_last_version_that_needs_them(
    client: AsyncClient, settings: Settings, clock: Any
) -> None:
    for version, content in (("1.0.0", b"own"), ("1.1.0", b"shared"), ("1.2.0", b"shared")):
        await register(client, version)
        await upload(client, version, content)
    own, shared = stored(settings, b"own"), stored(settings, b"shared")
    clock.advance(timedelta(days=31))

    done = (await client.post(CLEANUP, json={"keep_last": 1, "dry_run": False})).json()

    assert (done["deleted"], done["files_removed"]) == (["1.1.0", "1.0.0"], 1)
    assert (own.exists(), shared.exists()) == (False, True)


async def test_a_file_that_was_just_placed_may_be_about_to_be_needed(
    client: AsyncClient, settings: Settings, clock: Any
) -> None:
    await register(client)
    await upload(client, "1.0.0", b"file")
    path = stored(settings, b"file", hours=0)
    clock.advance(timedelta(days=31))

    done = (await client.post(CLEANUP, json={"keep_last": 0, "dry_run": False})).json()

    assert (done["deleted"], done["files_removed"], path.exists()) == (["1.0.0"], 0, True)


async def test_what_a_killed_cleanup_left_is_brought_back_or_removed(
    client: AsyncClient, settings: Settings, joined: Any
) -> None:
    await register(client)
    await upload(client, "1.0.0", b"needed")
    needed = stored(settings, b"needed")
    needed.rename(needed.with_name(needed.name + LEAVING))
    forgotten = location(settings.artifacts_dir, "ab" * 32)
    forgotten.parent.mkdir(exist_ok=True)
    forgotten.with_name(forgotten.name + LEAVING).write_bytes(b"forgotten")

    removed = await remove_files(joined, settings.artifacts_dir)

    assert removed == 1
    assert needed.read_bytes() == b"needed"
    assert [path for path in settings.artifacts_dir.rglob("*") if path.is_file()] == [needed]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"keep_last": -1}, id="fewer than none"),
        pytest.param({"older_than": "soon"}, id="no duration"),
        pytest.param({"stages": []}, id="no stage"),
        pytest.param({"stages": ["retired"]}, id="an unknown stage"),
    ],
)
async def test_orders_that_are_refused(client: AsyncClient, body: dict[str, Any]) -> None:
    await register(client)

    assert "body." in refused(await client.post(CLEANUP, json=body), 422)
