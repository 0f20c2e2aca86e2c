"""Copies for versions that answer nobody."""

import asyncio

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
