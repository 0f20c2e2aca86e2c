"""The route as a caller gets it who assigns by itself, and how it is followed."""

import asyncio
import time

import pytest
from httpx2 import AsyncClient
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import administer
from tests.gateway import stage
from tests.gateway.stage import MODEL
from turnout.gateway.snapshot import SnapshotKeeper
from turnout.settings import Settings
from turnout.telemetry import REQUESTS

EVEN = ({"version": "1.0.0", "weight": 50}, {"version": "2.0.0", "weight": 50})
PINNED = {"pins": [{"unit": "tester-1", "version": "3.0.0"}]}


@pytest.fixture
async def client(live_client: AsyncClient) -> AsyncClient:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await stage.register(live_client, version)
    await stage.split(live_client, *EVEN)
    return live_client


async def test_it_has_everything_that_decides(client: AsyncClient):
    await client.put(f"models/{MODEL}/overrides", json=PINNED)
    split = (await client.get(f"models/{MODEL}/split")).json()
    async with asyncio.timeout(30):
        while not (found := (await client.get(f"models/{MODEL}/route")).json())["pins"]:
            await asyncio.sleep(0.001)

    assert found == {
        "model": MODEL,
        "split_id": split["split_id"],
        "strategy": "sticky",
        "salt": split["salt"],
        "owner": split["owner"],
        "experiment": None,
        "variants": [
            {key: variant[key] for key in ("name", "version", "buckets")}
            for variant in split["variants"]
        ],
        "pins": PINNED["pins"],
        "rules": [],
    }


async def test_it_names_the_experiment_that_owns_the_split(client: AsyncClient):
    plan = {
        "key": "accuracy-of-2-0",
        "control": "1.0.0",
        "treatments": [{"version": "2.0.0"}],
        "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
        "target_sample_size": 6000,
    }
    draft = (await client.post(f"models/{MODEL}/experiments", json=plan)).json()
    await client.post(f"experiments/{draft['id']}/start", json={})
    async with asyncio.timeout(30):
        while not (found := (await client.get(f"models/{MODEL}/route")).json())["experiment"]:
            await asyncio.sleep(0.001)

    assert found["experiment"] == "accuracy-of-2-0"
    assert found["owner"] == {"kind": "experiment", "id": draft["id"]}


@pytest.mark.parametrize(
    "known",
    [
        pytest.param("{}", id="the tag"),
        pytest.param("W/{}", id="as a proxy that compresses hands it on"),
        pytest.param('"another", {}', id="one of several"),
    ],
)
async def test_who_knows_it_is_told_so_at_once(client: AsyncClient, known: str):
    tag = (await client.get(f"models/{MODEL}/route")).headers["etag"]

    again = await client.get(f"models/{MODEL}/route", headers={"If-None-Match": known.format(tag)})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        pytest.param("split", {"variants": [{"version": "2.0.0", "weight": 100}]}, id="a split"),
        pytest.param("overrides", PINNED, id="a pin"),
    ],
)
async def test_who_waits_is_told_of_a_change_when_it_happens(client: AsyncClient, change, body):
    known = await client.get(f"models/{MODEL}/route")
    follow = client.get(
        f"models/{MODEL}/route?wait=60", headers={"If-None-Match": known.headers["etag"]}
    )
    following = asyncio.create_task(follow)
    await asyncio.sleep(0)
    await client.put(f"models/{MODEL}/{change}", json=body)

    told = await asyncio.wait_for(following, 20)

    assert told.status_code == 200
    assert told.headers["etag"] != known.headers["etag"]
    assert told.json() != known.json()


async def test_a_pin_to_a_version_that_is_rejected_leads_nowhere(client: AsyncClient):
    await client.put(f"models/{MODEL}/overrides", json=PINNED)
    async with asyncio.timeout(30):
        while not (known := await client.get(f"models/{MODEL}/route")).json()["pins"]:
            await asyncio.sleep(0.001)
    (pinned,) = PINNED["pins"]
    rejected = f"models/{MODEL}/versions/{pinned['version']}/transitions"
    assert (await client.post(rejected, json={"to": "rejected"})).status_code == 200

    told = await client.get(
        f"models/{MODEL}/route?wait=60", headers={"If-None-Match": known.headers["etag"]}
    )

    assert (told.status_code, told.json()["pins"]) == (200, [])


async def test_who_waits_in_vain_is_told_when_time_is_up(client: AsyncClient):
    tag = (await client.get(f"models/{MODEL}/route")).headers["etag"]

    labels = ("GET", "/api/v1/models/{model}/route", 304)
    before, begun = REQUESTS.labels(*labels)._sum.get(), time.perf_counter()
    told = await client.get(f"models/{MODEL}/route?wait=1", headers={"If-None-Match": tag})

    taken, noted = time.perf_counter() - begun, REQUESTS.labels(*labels)._sum.get() - before
    assert told.status_code == 304
    assert taken - noted > 0.9  # waiting because one was asked to is no slowness


async def test_who_waits_does_not_hold_up_the_end(
    client: AsyncClient, engine: AsyncEngine, settings: Settings
):
    keeper = SnapshotKeeper(engine, poll=settings.split_poll, on_change=lambda _: None)
    await keeper.start()
    waiting = asyncio.create_task(
        keeper.another(keeper.current.routes[MODEL], within=settings.split_poll * 1000)
    )
    await asyncio.sleep(0)

    keeper.close()

    await asyncio.wait_for(waiting, 10)
    await keeper.stop()


async def test_a_model_without_a_route_says_why(client: AsyncClient):
    await client.post("models/idle/versions", json={"version": "1.0.0"})

    unknown = await client.get("models/nobody/route?wait=5")
    idle = await client.get("models/idle/route?wait=5")

    assert (unknown.status_code, idle.status_code) == (404, 503)
    assert "nothing serves idle yet" in idle.json()["detail"]


async def test_it_goes_on_while_the_database_is_away(
    client: AsyncClient, server: str, database: str
):
    known = (await client.get(f"models/{MODEL}/route")).json()
    name = make_url(database).database

    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await administer(
        server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    found = await client.get(f"models/{MODEL}/route")
    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert found.json() == known
