"""Copies for versions that answer nobody."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.gateway import model_servers, onnx_models, stage
from turnout.db import Sessions
from turnout.gateway.shadows import Shadows
from turnout.telemetry import SHADOWS_SHED


async def test_beyond_their_bound_copies_are_shed_and_counted():
    shadows = Shadows(bound=2)
    hanging = asyncio.Event()
    started = 0

    async def copy() -> None:
        nonlocal started
        started += 1
        await hanging.wait()

    before = SHADOWS_SHED._value.get()
    for _ in range(5):
        shadows.send(copy)
    await asyncio.sleep(0)

    assert started == 2
    assert SHADOWS_SHED._value.get() - before == 3
    await shadows.stop()


async def test_a_copy_that_is_done_makes_room():
    shadows = Shadows(bound=1)
    done = 0

    async def copy() -> None:
        nonlocal done
        done += 1

    for _ in range(3):
        shadows.send(copy)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert done == 3


HUGE = model_servers.answering(body=b'{"prediction": "' + b"x" * 40_000_000 + b'"}')


@pytest.mark.parametrize(
    ("handler", "config"),
    [
        pytest.param(model_servers.hanging, {"timeout": "20ms"}, id="times out"),
        pytest.param(model_servers.hanging, {}, id="is still at it when the caller has left"),
        pytest.param(model_servers.answering(500, json={}), {}, id="errors"),
        pytest.param(model_servers.dying, {}, id="dies"),
        pytest.param(HUGE, {}, id="returns a huge body"),
    ],
)
async def test_shadow_never_affects_response(
    live_client: AsyncClient,
    sessions: Sessions,
    tmp_path: Path,
    handler: model_servers.Handler,
    config: dict[str, Any],
) -> None:
    client = live_client
    await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "1.onnx", 1))
    async with model_servers.serving(handler) as url:
        await stage.register_server(client, "2.0.0", url, **config)
        await stage.split(
            client,
            {"version": "1.0.0", "weight": 100},
            {"version": "2.0.0", "shadow": True},
        )
        answers = [await stage.predict(client, [1, 2]) for _ in range(3)]
        rows = await stage.recorded(sessions, 3)

    assert [(found.status_code, found.json()["prediction"]) for found in answers] == [(200, 1)] * 3
    assert {found.json()["version"] for found in answers} == {"1.0.0"}
    assert not any(row.error for row in rows if not row.shadow)
