"""Whoever reads on from a position misses no event, in whatever order transactions commit."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON
from turnout.db import Sessions, transaction
from turnout.events import queries
from turnout.events.commands import emit, forget, number
from turnout.events.domain import EventType
from turnout.events.tables import EventRow


async def say(session: AsyncSession, subject: str) -> None:
    emit(session, EventType.ROLLOUT_ADVANCED, subject=subject, model="checkup", data={}, now=NOON)
    await session.flush()


async def read(sessions: Sessions, after: int = 0, limit: int = 100) -> list[tuple[int, str]]:
    async with transaction(sessions) as session:
        await number(session)
    async with sessions() as session:
        found = await queries.events(session, after=after, limit=limit)
    return [(event.position, event.subject) for event in found]


async def test_what_commits_late_is_read_late_and_not_missed(sessions: Sessions):
    async with transaction(sessions) as slow:
        await say(slow, "written first, committed last")
        async with transaction(sessions) as fast:
            await say(fast, "written last, committed first")
        assert await read(sessions) == [(1, "written last, committed first")]
    assert await read(sessions, after=1) == [(2, "written first, committed last")]


async def test_a_long_transaction_elsewhere_holds_nothing_back(sessions: Sessions):
    async with transaction(sessions) as long:
        await long.execute(text("SELECT pg_current_xact_id()"))
        async with transaction(sessions) as session:
            await say(session, "in the meantime")

        assert await read(sessions) == [(1, "in the meantime")]


async def test_who_numbers_second_waits_and_goes_on_from_there(sessions: Sessions):
    async with transaction(sessions) as session:
        await say(session, "one")
    async with transaction(sessions) as first:
        await number(first)
        async with transaction(sessions) as session:
            await say(session, "two")
        second = asyncio.create_task(read(sessions))
        await until_somebody_waits(sessions)
        assert not second.done()

    assert await second == [(1, "one"), (2, "two")]


async def until_somebody_waits(sessions: Sessions) -> None:
    """Each look in a transaction of its own: within one, the activity stays as first seen."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(120):
        while True:
            async with sessions() as session:
                if await session.scalar(waiting):
                    return
            await asyncio.sleep(0.01)


async def test_a_numbering_that_fails_leaves_no_hole_that_matters(sessions: Sessions):
    async with transaction(sessions) as session:
        await say(session, "one")
    async with sessions() as session:
        await number(session)
        await session.rollback()

    assert await read(sessions) == [(1, "one")]


async def test_many_writers_and_readers_see_one_order(sessions: Sessions):
    seen: list[list[tuple[int, str]]] = [[], []]

    async def write(name: int) -> None:
        for nth in range(5):
            async with transaction(sessions) as session:
                await say(session, f"{name}.{nth}")
                await asyncio.sleep(0)

    async def follow(known: list[tuple[int, str]]) -> None:
        while len(known) < 20:
            known += await read(sessions, after=known[-1][0] if known else 0, limit=3)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for name in range(4):
            group.create_task(write(name))
        for known in seen:
            group.create_task(follow(known))

    assert seen[0] == seen[1]
    assert [position for position, _ in seen[0]] == list(range(1, 21))
    of_one = [subject for _, subject in seen[0] if subject.startswith("2.")]
    assert of_one == [f"2.{nth}" for nth in range(5)]


async def test_old_events_are_dropped_but_not_what_is_still_to_be_read(sessions: Sessions):
    async with transaction(sessions) as session:
        for subject in ("read", "wanted still", "unread"):
            await say(session, subject)
    await read(sessions)
    async with transaction(sessions) as session:
        await forget(
            session,
            before=NOON + timedelta(seconds=1),
            up_to=2,
            keeping=select(EventRow.id).where(EventRow.subject == "wanted still"),
        )
    assert await read(sessions) == [(2, "wanted still"), (3, "unread")]
    async with sessions() as session:
        assert await queries.newest(session) == 3
        assert await session.scalar(select(func.count()).select_from(EventRow)) == 2
