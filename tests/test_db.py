import asyncio

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


async def test_a_connection_that_the_server_closed_is_replaced(engine: AsyncEngine):
    async with engine.connect() as other:
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)
        closed = driver.get_server_pid()
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": closed})
        async with asyncio.timeout(10):
            while not driver.is_closed():
                await asyncio.sleep(0)

        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()

    assert found != closed
