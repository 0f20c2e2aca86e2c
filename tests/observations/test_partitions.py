from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.factories import NOON, prediction
from turnout import db
from turnout.db import Sessions
from turnout.observations import commands, partitions, queries

MODEL = 1
TODAY = NOON.date()
DAY = timedelta(days=1)


async def attached(session: AsyncSession) -> set[str]:
    found = await session.execute(
        text(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent IN ('prediction'::regclass, 'outcome'::regclass)"
        )
    )
    return set(found.scalars())


def named(*days: date) -> set[str]:
    return {partitions.partition(table, day) for table in partitions.TABLES for day in days}


async def test_there_is_room_for_the_days_to_come(session: AsyncSession):
    for now in (NOON, NOON + DAY):
        await commands.ensure_partitions(session, now=now)

    assert await attached(session) == named(*(TODAY + n * DAY for n in range(4)))


async def test_old_days_are_dropped_and_totals_stay(session: AsyncSession):
    old = prediction(at=NOON - 20 * DAY)
    await commands.record_predictions(session, MODEL, [old, prediction()], now=NOON)
    await commands.fold(session, now=NOON)
    before = await queries.evidence(session, [(MODEL, 7)])

    await commands.drop_old_partitions(session, now=NOON, days=20)
    kept = await attached(session)
    await commands.drop_old_partitions(session, now=NOON, days=10)

    assert named((NOON - 20 * DAY).date()) <= kept
    assert named((NOON - 20 * DAY).date()).isdisjoint(await attached(session))
    assert await queries.evidence(session, [(MODEL, 7)]) == before


async def test_a_key_is_forgotten_with_its_day_unless_its_rows_wait(session: AsyncSession):
    for key in ("folded", "waiting"):
        await commands.record_predictions(session, MODEL, [prediction()], now=NOON, key=key)
        if key == "folded":
            await commands.fold(session, now=NOON)

    await commands.drop_old_partitions(session, now=NOON + 31 * DAY, days=30)

    found = await session.execute(text("SELECT key FROM batch"))
    assert set(found.scalars()) == {"waiting"}


async def test_dropping_waits_for_nobody(sessions: Sessions):
    async with db.transaction(sessions) as session:
        await partitions.ensure(session, [TODAY - 40 * DAY])

    async with sessions() as reader:
        await reader.execute(text("SELECT count(*) FROM prediction"))
        async with db.transaction(sessions) as session:
            await commands.drop_old_partitions(session, now=NOON, days=30)
            assert await attached(session) == named(TODAY - 40 * DAY)
            assert (await session.execute(text("SHOW lock_timeout"))).scalar_one() == "0"

    async with db.transaction(sessions) as session:
        await commands.drop_old_partitions(session, now=NOON, days=30)
        assert await attached(session) == set()
