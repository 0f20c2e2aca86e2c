"""Make a backup, try it, and put it back."""

import asyncio
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from turnout import embedded
from turnout.backup import archive, postgres
from turnout.backup.archive import DUMP, FILES, Damaged, Manifest, Progress
from turnout.backup.domain import named, outlived, writing
from turnout.backup.postgres import Snapshot
from turnout.registry.artifacts import location
from turnout.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    path: Path
    size: int
    manifest: Manifest


def silently(name: str, done: int, size: int) -> None:
    """Tell nobody of progress."""


async def make(
    url: str, settings: Settings, target: Path | None, *, now: datetime, told: Progress = silently
) -> Backup:
    """Write one file that holds the database and all model files, and try to restore it.

    The service may go on meanwhile: what is written is one moment of the database. `target` is a
    file, or by default one in the directory of backups, named by the time. Raises Damaged when
    what was written cannot be restored; it is removed then.
    """
    path = target or settings.backup_directory / named(now)
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = tempfile.TemporaryDirectory(dir=path.parent, prefix=".turnout-")
    with scratch as name:
        dumped = Path(name, DUMP)
        async with postgres.snapshot(url) as snapshot:
            told("the database", 0, 0)
            await postgres.dump(url, snapshot, dumped)
        with writing():
            manifest, sources = await asyncio.to_thread(_contents, snapshot, dumped, settings, now)
            await asyncio.to_thread(archive.write, path, manifest, sources, told)
    try:
        await verify(path, told=told)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Backup(path=path, size=path.stat().st_size, manifest=manifest)


def _contents(
    snapshot: Snapshot, dumped: Path, settings: Settings, now: datetime
) -> tuple[Manifest, Mapping[str, Path]]:
    sources, missing = {DUMP: dumped}, []
    for sha256 in snapshot.files:
        stored = location(settings.artifacts_dir, sha256)
        if stored.is_file():
            sources[FILES + sha256] = stored
        else:
            missing.append(sha256)
    manifest = Manifest(
        turnout=version("turnout"),
        schema=snapshot.schema,
        postgresql=snapshot.server,
        made_at=now,
        rows=snapshot.rows,
        members={name: archive.measured(source) for name, source in sources.items()},
        missing=tuple(missing),
    )
    return manifest, sources


async def verify(path: Path, *, told: Progress = silently) -> Manifest:
    """Restore a backup into a database of its own, and count what is in it. Raises Damaged."""
    with tempfile.TemporaryDirectory(prefix="turnout-verify-") as scratch:
        directory = Path(scratch)
        dumped = directory / DUMP
        manifest, _ = await asyncio.to_thread(
            archive.extract, path, lambda name: dumped if name == DUMP else None, told
        )
        told("trying to restore it", 0, 0)
        async with embedded.running(directory / "try", durable=False) as url:
            await _loaded(path, url, dumped, manifest, replace=False)
    return manifest


def check_schema(path: Path, *, known: Collection[str]) -> None:
    """Refuse a backup that could not be brought to this release. Raises Damaged."""
    with archive.opened(path) as (manifest, _):
        if manifest.schema not in known:
            raise Damaged(
                path,
                f"its schema {manifest.schema} is not known to this release: restore it with"
                f" Turnout {manifest.turnout}, which made it, or a later one",
            )


async def restore(
    path: Path, url: str, settings: Settings, *, replace: bool, told: Progress = silently
) -> Manifest:
    """Put a backup into a database, and its model files into the artifact store.

    The whole file is checked before anything is changed. Then the model files come first, which
    do no harm without the rows that name them; then the database, all of it or nothing.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as scratch:
        directory = Path(scratch)
        manifest, names = await asyncio.to_thread(
            archive.extract, path, lambda name: directory / name.removeprefix(FILES), told
        )
        for name in names - {DUMP}:
            await asyncio.to_thread(_keep, directory, name.removeprefix(FILES), settings)
        told("the database", 0, 0)
        await _loaded(path, url, directory / DUMP, manifest, replace=replace)
    return manifest


def _keep(directory: Path, sha256: str, settings: Settings) -> None:
    stored = location(settings.artifacts_dir, sha256)
    stored.parent.mkdir(parents=True, exist_ok=True)
    (directory / sha256).replace(stored)


async def _loaded(path: Path, url: str, dumped: Path, manifest: Manifest, *, replace: bool) -> None:
    try:
        await postgres.load(url, dumped, replace=replace)
    except postgres.ToolFailed as error:
        raise Damaged(path, str(error)) from error
    async with postgres.connected(url) as connection:
        found = await postgres.rows_of(connection)
    if found != manifest.rows:
        raise Damaged(path, _differing(found, manifest.rows))


def _differing(found: Mapping[str, int], written: Mapping[str, int]) -> str:
    tables = sorted(name for name in {*found, *written} if found.get(name) != written.get(name))
    return "; ".join(
        f"{name} has {found.get(name, 0):,} rows and had {written.get(name, 0):,}"
        for name in tables
    )


def remove_outlived(directory: Path, *, now: datetime, kept: timedelta) -> list[str]:
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    gone = outlived(names, now, kept)
    for name in gone:
        (directory / name).unlink(missing_ok=True)
    return gone


LEFT_OVER: Final = timedelta(days=1)


def sweep(directory: Path, *, now: datetime) -> None:
    """Remove what a backup that was killed has left behind, once nobody can be at it any more."""
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        ours = entry.name.startswith(".turnout-") or entry.name.endswith(".backup.partial")
        if ours and now.timestamp() - entry.stat().st_mtime > LEFT_OVER.total_seconds():
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
