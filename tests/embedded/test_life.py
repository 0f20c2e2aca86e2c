"""The server starts, stops and recovers with the process that uses it, however that one ends."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.embedded.users import (
    USER,
    connected,
    connection,
    ended,
    guard,
    hand_over,
    leave,
    note,
    notes,
    on_linux,
    pid_file,
    server,
    stopped,
    user,
)
from turnout import embedded


async def test_a_new_database_is_safe_and_out_of_reach_for_others(tmp_path: Path):
    async with embedded.running(tmp_path) as url, connected(url) as db:
        settings = {row["name"]: row["setting"] for row in await db.fetch("SHOW ALL")}
        who = await db.fetchrow("SELECT current_user, current_database()")

    assert who is not None
    assert tuple(who) == ("turnout", "turnout")
    assert settings["server_version"].startswith(f"{embedded.MAJOR}.")
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "autovacuum"):
        assert settings[name] == "on", name
    assert (settings["listen_addresses"], settings["TimeZone"]) == ("", "UTC")
    assert (tmp_path / "postgres").stat().st_mode & 0o777 == 0o700
    assert not pid_file(tmp_path).exists()


async def test_what_was_written_is_there_after_a_restart(data_dir: Path):
    async with connection(data_dir) as db:
        await note(db, "kept")
    assert not pid_file(data_dir).exists()

    async with connection(data_dir) as db:
        assert "kept" in await notes(db)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_the_server_stops_however_its_user_ends(data_dir: Path, number: signal.Signals):
    async with user(data_dir) as (process, url):
        async with connected(url) as db:
            await note(db, number.name)
        process.send_signal(number)
        await ended(process)

        await stopped(data_dir)

    async with connection(data_dir) as db:
        assert number.name in await notes(db)


@on_linux
async def test_the_server_stops_when_its_guard_is_killed(data_dir: Path):
    async with user(data_dir):
        os.kill(guard(data_dir), signal.SIGKILL)

        await stopped(data_dir)


@on_linux
async def test_the_next_start_recovers_when_everything_was_killed(data_dir: Path):
    async with user(data_dir) as (process, url), connected(url) as db:
        await note(db, "survived")
        for pid in (server(data_dir), guard(data_dir), process.pid):
            os.kill(pid, signal.SIGKILL)
        db.terminate()
    await stopped(data_dir)
    assert pid_file(data_dir).exists()

    async with connection(data_dir) as db:
        assert "survived" in await notes(db)


@on_linux
async def test_a_process_that_has_the_number_of_a_killed_server_is_in_nobodys_way(data_dir: Path):
    runs_the_server = (data_dir / "postgres").stat().st_uid
    stranger = await asyncio.create_subprocess_exec("sleep", "60", user=runs_the_server)
    pid_file(data_dir).write_text(f"{stranger.pid}\n{data_dir}\n1\n5432\n..\n\n  1  1\nready\n")
    hand_over(pid_file(data_dir))
    try:
        async with connection(data_dir) as db:
            assert await db.fetchval("SELECT 1") == 1
    finally:
        stranger.kill()
        await ended(stranger)


async def test_an_interrupt_in_the_terminal_does_not_reach_the_server(data_dir: Path):
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + USER
    async with user(data_dir, deaf) as (process, url):
        os.killpg(process.pid, signal.SIGINT)

        async with connected(url) as db:
            assert await db.fetchval("SELECT 1") == 1
        await leave(process)


async def test_a_database_that_was_only_half_made_is_made_anew(tmp_path: Path):
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text(f"{embedded.MAJOR}\n")
    hand_over(half.parent, half)

    async with connection(tmp_path) as db:
        assert await db.fetchval("SELECT 1") == 1
    assert not half.exists()
