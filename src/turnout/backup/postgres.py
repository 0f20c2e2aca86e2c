"""The database as a file and back, by PostgreSQL's own programs."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy.engine import URL, make_url

from turnout import embedded
from turnout.backup.domain import BackupFailed

OLDEST_WITH_TRANSACTION_TIMEOUT: Final = 17

SCHEMA: Final = "public"
_EMPTIED: Final = b"""\
SET client_min_messages = warning;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""


class ToolFailed(BackupFailed):
    """One of PostgreSQL's programs did not do what it was asked to."""

    def __init__(self, tool: str, said: str) -> None:
        super().__init__(f"{tool} failed: {said.strip() or 'it said nothing'}")


class StillUsed(BackupFailed):
    def __init__(self, count: int) -> None:
        super().__init__(
            f"{count} other connections of Turnout use the database: stop every serve, api and"
            " worker on it first"
        )


class NotEmpty(BackupFailed):
    def __init__(self) -> None:
        super().__init__(
            "the database holds a registry already. Restore into an empty one, or replace all that"
            " is in it with --replace"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is in the database at one moment, by a name that pg_dump can be given."""

    name: str
    server: int
    schema: str
    rows: Mapping[str, int]
    files: tuple[str, ...]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(
        plain, server_settings={"application_name": "turnout-backup"}
    )
    try:
        yield connection
    finally:
        await connection.close()


async def rows_of(connection: asyncpg.Connection) -> dict[str, int]:
    """Count the rows of every table that a dump holds; of a partitioned one, all partitions
    together."""
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition AND NOT EXISTS (SELECT FROM pg_depend"
        " WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')"
        " ORDER BY relname"
    )
    return {
        name: await connection.fetchval(f'SELECT count(*) FROM public."{name}"')  # noqa: S608
        for (name,) in tables
    }


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[Snapshot]:
    """Hold one moment of the database for as long as it is being read."""
    async with (
        connected(url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        files = await connection.fetch(
            "SELECT DISTINCT file_sha256 FROM version WHERE file_sha256 IS NOT NULL ORDER BY 1"
        )
        yield Snapshot(
            name=await connection.fetchval("SELECT pg_export_snapshot()"),
            server=connection.get_server_version().major,
            schema=await connection.fetchval("SELECT version_num FROM alembic_version"),
            rows=await rows_of(connection),
            files=tuple(sha256 for (sha256,) in files),
        )


async def dump(url: str, snapshot: Snapshot, target: Path) -> None:
    """Write all of Turnout's tables, compressed, as they were at that moment.

    A server's extensions and other schemas are not Turnout's: no other server need have them.
    """
    arguments = ["--format=custom", f"--schema={SCHEMA}", "--no-owner", "--no-privileges"]
    await _run(
        "pg_dump",
        [*arguments, f"--snapshot={snapshot.name}", f"--file={target}"],
        _environment(url),
    )


async def load(url: str, source: Path, *, replace: bool) -> None:
    """Put a dump in place of what is in the database, in one transaction: all of it, or nothing.

    Raises NotEmpty for a database that holds something, unless that is to be replaced, and
    StillUsed while the service runs on it.
    """
    async with connected(url) as connection:
        if (
            await connection.fetchval("SELECT to_regclass('public.alembic_version')")
            and not replace
        ):
            raise NotEmpty
        others = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'turnout'"
        )
        if others:
            raise StillUsed(others)
        server = connection.get_server_version().major
    environment = _environment(url)
    # Of the schema only what is in it: the schema itself is made anew before.
    arguments = ["--no-owner", f"--schema={SCHEMA}", "--file=-", str(source)]
    script = await _start("pg_restore", arguments, environment)
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    client = await _start("psql", [*options, "--file=-"], environment, reads=True)
    try:
        _, failures = await asyncio.gather(
            _passed_on(script, client, server=server), _last_words(script, client)
        )
    except asyncio.CancelledError:
        client.kill()
        script.kill()
        raise
    for tool, process, said in zip(("pg_restore", "psql"), (script, client), failures, strict=True):
        if await process.wait():
            raise ToolFailed(tool, said)


async def _passed_on(
    script: asyncio.subprocess.Process, client: asyncio.subprocess.Process, *, server: int
) -> None:
    """Hand pg_restore's script to psql, without the one setting that older servers do not know."""
    assert script.stdout is not None
    assert client.stdin is not None
    output, written, head = script.stdout, client.stdin, server < OLDEST_WITH_TRANSACTION_TIMEOUT
    try:
        written.write(_EMPTIED)
        while head and (line := await output.readline()):
            if line.startswith(b"SET transaction_timeout"):
                break
            written.write(line)
        while block := await output.read(1 << 18):
            written.write(block)
            await written.drain()
        if await script.wait():
            client.kill()  # at the end of its input it would commit
        written.close()
    except ConnectionError:  # psql has stopped at an error, and says which
        script.kill()


async def _last_words(*processes: asyncio.subprocess.Process) -> list[str]:
    async def said(process: asyncio.subprocess.Process) -> str:
        assert process.stderr is not None
        return (await process.stderr.read()).decode(errors="replace")

    return list(await asyncio.gather(*map(said, processes)))


async def _run(tool: str, arguments: list[str], environment: Mapping[str, str]) -> None:
    process = await _start(tool, arguments, environment)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise ToolFailed(tool, said.decode(errors="replace"))


async def _start(
    tool: str, arguments: list[str], environment: Mapping[str, str], *, reads: bool = False
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        embedded.binaries() / tool,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE if reads else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def _environment(url: str) -> dict[str, str]:
    """Say where the database is by environment, where no list of processes shows the password."""
    address: URL = make_url(url)
    host, port = address.host, address.port
    given = {key: value for key, value in address.query.items() if isinstance(value, str)}
    settings = {
        "PGHOST": host or given.get("host"),
        "PGPORT": str(port) if port else given.get("port"),
        "PGUSER": address.username,
        "PGPASSWORD": address.password and str(address.password),
        "PGDATABASE": address.database,
        "PGSSLMODE": given.get("sslmode") or given.get("ssl"),
        "PGAPPNAME": "turnout-backup",
        "PATH": os.environ.get("PATH", ""),
        "LC_ALL": "C",
    }
    return {name: value for name, value in settings.items() if value}
