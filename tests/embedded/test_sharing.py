"""Processes that use one directory at the same time share one server."""

import asyncio
from pathlib import Path

from tests.embedded.users import (
    PATIENCE,
    connected,
    connection,
    ended,
    leave,
    note,
    pid_file,
    server,
    user,
)


async def test_a_second_process_shares_the_server_and_may_outlive_the_first(data_dir: Path):
    async with user(data_dir) as (first, first_url), user(data_dir) as (second, second_url):
        started = server(data_dir)
        assert first_url == second_url

        await leave(first)

        assert server(data_dir) == started
        async with connected(second_url) as db:
            await note(db, "after the first has left")

        await leave(second)
        assert not pid_file(data_dir).exists()


async def test_a_second_process_keeps_the_server_when_the_first_is_killed(data_dir: Path):
    async with user(data_dir) as (first, url), user(data_dir) as (second, _):
        started = server(data_dir)
        first.kill()
        await ended(first)

        async with connected(url) as db:
            assert await db.fetchval("SELECT 1") == 1
        assert server(data_dir) == started

        await leave(second)


async def test_processes_that_start_at_once_share_one_server(tmp_path: Path):
    everyone = asyncio.Barrier(4)

    async def start() -> int:
        async with connection(tmp_path):
            await everyone.wait()
            found = server(tmp_path)
            await everyone.wait()
            return found

    async with asyncio.timeout(PATIENCE):
        servers = await asyncio.gather(*(start() for _ in range(4)))

    assert len(set(servers)) == 1


async def test_whoever_comes_while_the_server_stops_gets_a_new_one(data_dir: Path):
    async def come_and_go() -> None:
        for _ in range(4):
            async with connection(data_dir) as db:
                assert await db.fetchval("SELECT 1") == 1

    await asyncio.gather(*(come_and_go() for _ in range(3)))
