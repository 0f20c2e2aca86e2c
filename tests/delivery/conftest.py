from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.conftest import Clock
from tests.delivery.receivers import Receiver, receiving
from turnout.db import Sessions
from turnout.delivery.courier import Courier
from turnout.outgoing import Calls
from turnout.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow_private_networks": True})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def calls(settings: Settings) -> AsyncIterator[Calls]:
    async with Calls(settings) as calls:
        yield calls


@pytest.fixture
def courier(sessions: Sessions, calls: Calls, clock: Clock, settings: Settings) -> Courier:
    return Courier(
        sessions,
        calls,
        clock=clock,
        delays=settings.webhook_delays or (timedelta(seconds=5),),
        public_url="https://turnout.example.com",
    )
