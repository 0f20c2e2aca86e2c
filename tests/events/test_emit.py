import asyncio

import asyncpg
from sqlalchemy import select
from sqlalchemy.engine import make_url

from tests.factories import NOON
from turnout.db import Sessions, transaction
from turnout.events.commands import emit
from turnout.events.domain import EventType
from turnout.events.tables import EventRow
from turnout.rollouts.domain.phases import Phase

SUBJECT = "models/checkup/rollouts/1"


async def test_who_listens_is_woken_by_the_commit_and_not_before(database: str, sessions: Sessions):
    url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    listener = await asyncpg.connect(url)
    heard = asyncio.Event()
    await listener.add_listener("turnout_events", lambda *_: heard.set())
    async with transaction(sessions) as session:
        emit(
            session,
            EventType.ROLLOUT_ROLLED_BACK,
            subject=SUBJECT,
            model="checkup",
            data={"phase": Phase.ROLLED_BACK, "at": NOON},
            now=NOON,
        )
        await session.flush()
        await listener.execute("SELECT 1")
        assert not heard.is_set()
    await asyncio.wait_for(heard.wait(), 5)
    await listener.close()

    async with sessions() as session:
        event = (await session.scalars(select(EventRow))).one()
    assert (event.type, event.subject, event.model) == ("rollout.rolled_back", SUBJECT, "checkup")
    assert event.data == {"phase": "rolled_back", "at": "2026-03-02T12:00:00Z"}
