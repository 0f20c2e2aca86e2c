"""What goes into a backup comes out of it, or nothing does."""

import asyncio
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.conftest import Clock, administer, on
from tests.factories import NOON
from tests.registry import onnx_files
from turnout import migrations
from turnout.access.audit_commands import seal_entries
from turnout.access.audit_queries import verification
from turnout.alerts.domain import State
from turnout.alerts.tables import Alert
from turnout.backup import archive, commands, postgres
from turnout.backup.archive import DUMP, MANIFEST, Damaged
from turnout.backup.domain import CannotWrite
from turnout.backup.postgres import NotEmpty, StillUsed
from turnout.backup.schedule import back_up_if_due
from turnout.backup.tables import BackupRow
from turnout.db import Sessions, create_engine, transaction
from turnout.db import sessions as engine_sessions
from turnout.settings import Settings

FILE = onnx_files.adding()
VERSION = "models/kept/versions"


@pytest.fixture
async def filled(live_client: AsyncClient) -> AsyncClient:
    """A registry with a model file, and a prediction that was recorded."""
    await live_client.post(VERSION, json={"version": "1.0.0", "runtime": {"kind": "onnx"}})
    answer = await live_client.put(f"{VERSION}/1.0.0/artifact", content=FILE)
    assert answer.status_code == 200, answer.text
    prediction = {"prediction_id": "p-1", "version": "1.0.0", "unit": "ada"}
    answer = await live_client.post("models/kept/observations", json={"predictions": [prediction]})
    assert answer.json()["accepted"] == 1
    return live_client


@pytest.fixture
async def elsewhere(server: str, database: str) -> AsyncIterator[str]:
    """The address of another database, without anything in it."""
    name = f"{database.rpartition('/')[2].partition('?')[0]}_elsewhere"
    await administer(server, f"CREATE DATABASE {name}")
    yield on(server, name)
    await administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def backup(
    filled: AsyncClient, database: str, settings: Settings, clock: Clock, tmp_path: Path
) -> commands.Backup:
    return await commands.make(database, settings, tmp_path / "all.backup", now=clock())


async def test_what_goes_in_comes_out(
    backup: commands.Backup, database: str, elsewhere: str, settings: Settings, tmp_path: Path
):
    new = settings.model_copy(update={"data_dir": tmp_path / "new"})
    await commands.restore(backup.path, elsewhere, new, replace=False)
    async with postgres.connected(database) as old, postgres.connected(elsewhere) as other:
        version = "SELECT version, details, created_at FROM version"
        assert await old.fetch(version) == await other.fetch(version)
        assert await other.fetchval("SELECT unit FROM prediction") == "ada"
        assert await postgres.rows_of(other) == backup.manifest.rows

    assert backup.path.stat().st_mode & 0o077 == 0
    stored = [path for path in new.artifacts_dir.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in stored] == [FILE]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".turnout-")]  # noqa: PTH208


async def test_a_database_that_holds_something_is_replaced_only_when_told_to(
    backup: commands.Backup,
    filled: AsyncClient,
    database: str,
    settings: Settings,
    tmp_path: Path,
):
    await filled.post(VERSION, json={"version": "2.0.0"})
    with pytest.raises(NotEmpty, match="--replace"):
        await commands.restore(backup.path, database, settings, replace=False)
    with pytest.raises(StillUsed, match="stop every serve"):
        await commands.restore(backup.path, database, settings, replace=True)
    async with postgres.connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM version") == 2
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'turnout' AND datname = current_database()"
        )
    await postgres.load(database, await dumped(backup.path, tmp_path), replace=True)
    async with postgres.connected(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM version") == 1


def manifest_of(path: Path) -> bytes:
    with tarfile.open(path) as archive:
        member = archive.extractfile(MANIFEST)
        assert member is not None
        return member.read()


async def dumped(path: Path, directory: Path) -> Path:
    with tarfile.open(path) as archive:
        member = archive.extractfile(DUMP)
        assert member is not None
        (directory / DUMP).write_bytes(member.read())
    return directory / DUMP


def rewritten(path: Path, **changes: bytes | None) -> None:
    """Change members of an archive, or leave them out."""
    with tarfile.open(path) as archive:
        members = [(entry.name, archive.extractfile(entry)) for entry in archive]
        contents = {name: stream.read() for name, stream in members if stream is not None}
    with tarfile.open(path, "w") as archive:
        for name, content in (contents | changes).items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


async def test_a_damaged_file_changes_nothing(
    backup: commands.Backup, elsewhere: str, settings: Settings, tmp_path: Path
):
    whole = backup.path
    damaged: dict[str, tuple[dict[str, bytes | None], str]] = {
        "changed": ({DUMP: b"PGDMP nonsense"}, "database.dump in it is not what was written"),
        "lost": ({DUMP: None}, "database.dump is not in it"),
        "added": ({"../../etc/passwd": b"x"}, "which its manifest does not name"),
        "foreign": ({MANIFEST: None}, "does not begin with manifest.json"),
        "unreadable": ({MANIFEST: b"{}"}, "is not readable"),
    }
    manifest = manifest_of(whole).replace(b'"members": {', b'"members": {"artifacts/../../x": %s,')
    member = b'{"size": 1, "sha256": "%s"}' % (b"0" * 64)
    damaged["leading out"] = ({MANIFEST: manifest % member}, "which is no member of a backup")
    for name, (changes, reason) in damaged.items():
        path = tmp_path / f"{name}.backup"
        shutil.copy(whole, path)
        rewritten(path, **changes)
        with pytest.raises(Damaged, match=reason):
            await commands.restore(path, elsewhere, settings, replace=False)
    cut = tmp_path / "cut.backup"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(Damaged, match="not all of it is there"):
        await commands.restore(cut, elsewhere, settings, replace=False)
    with pytest.raises(Damaged, match="there is no such file"):
        await commands.restore(tmp_path / "none", elsewhere, settings, replace=False)

    async with postgres.connected(elsewhere) as connection:
        assert await postgres.rows_of(connection) == {}


async def test_a_dump_that_breaks_off_leaves_the_database_as_it_was(
    backup: commands.Backup, elsewhere: str, tmp_path: Path
):
    whole = await dumped(backup.path, tmp_path)
    whole.write_bytes(whole.read_bytes()[:-200])

    with pytest.raises(postgres.ToolFailed, match="pg_restore failed"):
        await postgres.load(elsewhere, whole, replace=False)

    async with postgres.connected(elsewhere) as connection:
        assert await postgres.rows_of(connection) == {}


async def test_nobody_else_may_read_it_while_it_is_written(
    filled: AsyncClient, database: str, settings: Settings, clock: Clock, tmp_path: Path
):
    seen: set[int] = set()

    def told(name: str, done: int, size: int) -> None:
        if (partial := tmp_path / "all.backup.partial").exists():
            seen.add(partial.stat().st_mode & 0o777)

    await commands.make(database, settings, tmp_path / "all.backup", now=clock(), told=told)

    assert seen == {0o600}


async def test_what_is_not_turnouts_stays_out_of_it(
    filled: AsyncClient,
    database: str,
    elsewhere: str,
    settings: Settings,
    tmp_path: Path,
):
    async with postgres.connected(database) as connection:
        await connection.execute("CREATE SCHEMA others; CREATE TABLE others.notes (id int)")
    async with postgres.connected(elsewhere) as connection:
        await connection.execute("CREATE SCHEMA others")
    backup = await commands.make(database, settings, tmp_path / "all.backup", now=NOON)

    await commands.restore(backup.path, elsewhere, settings, replace=False)

    async with postgres.connected(elsewhere) as connection:
        assert await connection.fetchval("SELECT to_regclass('others.notes')") is None
        assert await connection.fetchval("SELECT count(*) FROM version") == 1


async def test_a_log_that_was_restored_is_as_it_was_sealed_and_cannot_be_changed(
    filled: AsyncClient,
    sessions: Sessions,
    database: str,
    elsewhere: str,
    settings: Settings,
):
    async with transaction(sessions) as session:
        assert await seal_entries(session)
    async with sessions() as session:
        before = await verification(session)
    backup = await commands.make(database, settings, settings.data_dir / "all.backup", now=NOON)
    await commands.restore(backup.path, elsewhere, settings, replace=False)

    engine = create_engine(elsewhere, pool_size=1)
    async with engine_sessions(engine)() as session:
        assert await verification(session, before.head) == before
        with pytest.raises(DBAPIError, match="append-only"):
            await session.execute(text("DELETE FROM audit_entry"))
    await engine.dispose()


async def test_a_backup_of_a_later_release_is_refused(backup: commands.Backup):
    commands.check_schema(backup.path, known=migrations.revisions())

    with pytest.raises(Damaged, match="is not known to this release"):
        commands.check_schema(backup.path, known=migrations.revisions() - {migrations.head()})


async def test_a_missing_model_file_is_named(
    filled: AsyncClient, database: str, settings: Settings, clock: Clock, tmp_path: Path
):
    shutil.rmtree(settings.artifacts_dir)
    backup = await commands.make(database, settings, tmp_path / "all.backup", now=clock())

    assert backup.manifest.missing == (hashlib.sha256(FILE).hexdigest(),)


async def test_workers_make_one_backup_when_it_is_due(
    sessions: Sessions, settings: Settings, clock: Clock
):
    daily = settings.model_copy(update={"backup_hours": 24.0, "backup_retention_days": 2})

    async def beat(after: timedelta) -> list[str]:
        clock.advance(after)
        await asyncio.gather(*(back_up_if_due(sessions, daily, now=clock()) for _ in range(2)))
        return sorted(entry.name for entry in daily.backup_directory.iterdir())

    first = await beat(timedelta())
    assert len(first) == 1
    assert await beat(timedelta(hours=23)) == first
    assert len(await beat(timedelta(hours=1))) == 2
    assert not set(await beat(timedelta(days=2, hours=1))) & set(first)


async def test_a_backup_that_fails_says_why_and_is_tried_again(
    sessions: Sessions, settings: Settings, clock: Clock, tmp_path: Path
):
    (tmp_path / "file").write_text("in the way")
    hourly = settings.model_copy(update={"backup_hours": 24.0, "backup_dir": tmp_path / "file"})
    await back_up_if_due(sessions, hourly, now=clock())
    assert await told(sessions) == [("backup", State.FIRING)]
    good = hourly.model_copy(update={"backup_dir": tmp_path / "backups"})
    await back_up_if_due(sessions, good, now=clock.advance(timedelta(minutes=59)))
    await back_up_if_due(sessions, good, now=clock.advance(timedelta(minutes=1)))

    async with sessions() as session:
        rows = (await session.scalars(select(BackupRow).order_by(BackupRow.id))).all()
    assert [row.error is None for row in rows] == [False, True]
    assert "could not be written" in str(rows[0].error)
    assert await told(sessions) == [("backup", State.RESOLVED)]


async def told(sessions: Sessions) -> list[tuple[str, State]]:
    async with sessions() as session:
        alerts = await session.scalars(select(Alert).order_by(Alert.id))
        return [(alert.kind.value, alert.state) for alert in alerts]


async def test_a_full_disk_is_not_called_a_damaged_backup(backup: commands.Backup, tmp_path: Path):
    def into_nowhere(name: str) -> Path:
        return tmp_path / "no such directory" / name

    with pytest.raises(CannotWrite, match="No such file or directory"):
        archive.extract(backup.path, into_nowhere, commands.silently)


async def test_a_database_that_is_away_is_not_called_a_full_disk(
    settings: Settings, clock: Clock, tmp_path: Path
):
    nowhere = f"postgresql+asyncpg://nobody@/none?host={tmp_path}"

    with pytest.raises(OSError, match="No such file"):
        await commands.make(nowhere, settings, tmp_path / "backups" / "all", now=clock())
    assert not list(tmp_path.glob("backups/*"))  # noqa: ASYNC240
