"""A rollback rehearsed on a running application."""

from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.gateway import onnx_models, stage
from tests.gateway.stage import MODEL
from turnout.gateway import drill_routes
from turnout.settings import Settings

PATH = f"models/{MODEL}/rollback/drill"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def client(live_client: AsyncClient) -> AsyncClient:
    return live_client


async def release(client: AsyncClient, version: str) -> None:
    """Let a version succeed in a rollout."""
    body = {"candidate": version, "stages": [{"weight": 100, "bake": 0, "guardrails": []}]}
    started = (await client.post(f"models/{MODEL}/rollouts", json=body)).json()
    if started["phase"] != "succeeded":
        await client.post(f"rollouts/{started['id']}/promote")


async def drilled(client: AsyncClient, **body: object) -> tuple[bool, list[tuple[str, str]]]:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    drill = answer.json()
    return drill["possible"], [(trial["result"], trial["sentence"]) for trial in drill["trials"]]


async def test_a_drill_loads_the_last_proven_version_and_changes_nothing(client, tmp_path: Path):
    for version in ("1.0.0", "2.0.0"):
        await stage.register_onnx(client, version, onnx_models.constant(tmp_path / version, 42))
        await release(client, version)
    split = (await client.get(f"models/{MODEL}/split")).json()

    assert await drilled(client) == (
        True,
        [("proven", "1.0.0 may take all traffic"), ("proven", "it is loaded")],
    )
    assert await drilled(client, inputs=[1, 2]) == (
        True,
        [("proven", "1.0.0 may take all traffic"), ("proven", "it answers 42.0")],
    )
    assert (await client.get(f"models/{MODEL}/split")).json() == split
    assert (await client.get(f"models/{MODEL}/rollbacks")).json()["items"] == []


async def test_a_drill_in_the_middle_of_a_rollout_is_about_its_baseline(client, tmp_path: Path):
    for version in ("1.0.0", "2.0.0"):
        await stage.register(client, version)
    await release(client, "1.0.0")
    await client.post(f"models/{MODEL}/rollouts", json={"candidate": "2.0.0"})

    drill = (await client.post(PATH)).json()

    assert (drill["from_version"], drill["to_version"]) == ("2.0.0", "1.0.0")
    assert [trial["result"] for trial in drill["trials"]] == ["proven", "unproven"]
    assert await drilled(client, to_version="2.0.0") == (
        False,
        [
            (
                "obstacle",
                "2.0.0 is the candidate of the rollout under way: promote that instead",
            )
        ],
    )


async def test_a_drill_finds_that_a_file_is_gone(client, tmp_path: Path, settings: Settings):
    for version in ("1.0.0", "2.0.0"):
        await stage.register_onnx(client, version, onnx_models.constant(tmp_path / version, 42))
    for file in settings.artifacts_dir.rglob("*"):
        if file.is_file():
            file.unlink()
    for version in ("1.0.0", "2.0.0"):
        await release(client, version)

    possible, trials = await drilled(client)

    assert not possible
    assert trials[-1][0] == "obstacle"
    assert "it does not answer: not_loaded" in trials[-1][1]


async def test_a_drill_finds_that_a_server_is_gone(client):
    await stage.register_server(client, "1.0.0", NOWHERE)
    await stage.register(client, "2.0.0")
    for version in ("1.0.0", "2.0.0"):
        await release(client, version)

    unasked = await drilled(client)
    asked = await drilled(client, inputs=[1])

    assert unasked[1][-1] == ("unproven", "its server was not asked: send inputs for it")
    assert not asked[0]
    assert "unreachable" in asked[1][-1][1]


async def test_a_drill_without_a_proven_version_says_so(client):
    await stage.register(client, "1.0.0")
    await release(client, "1.0.0")

    possible, ((result, sentence),) = await drilled(client)

    assert (possible, result) == (False, "obstacle")
    assert "no other version" in sentence


async def test_a_drill_finds_a_quarantine(client):
    for version in ("1.0.0", "2.0.0"):
        await stage.register(client, version)
        await release(client, version)
    await client.post(f"models/{MODEL}/rollback", json={"reason": "customers complain"})

    possible, trials = await drilled(client, to_version="2.0.0")

    assert not possible
    assert "was taken off the road" in trials[0][1]


@pytest.mark.parametrize("name", drill_routes.EXAMPLES)
async def test_every_example_works_as_sent(client, name: str):
    await stage.register(client, "1.0.0")
    answer = await client.post(PATH, json=drill_routes.EXAMPLES[name]["value"])

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("model", "body"), [("nobody", {}), (MODEL, {"to_version": "9.0.0"})], ids=["model", "version"]
)
async def test_a_drill_for_what_is_not_there_is_404(client, model: str, body: dict[str, str]):
    await stage.register(client, "1.0.0")

    assert (await client.post(f"models/{model}/rollback/drill", json=body)).status_code == 404
