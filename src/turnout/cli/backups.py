"""Backup and restore: they work on the database itself, not over HTTP."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from turnout.cli.remote import fail
from turnout.cli.serve import DataDir

if TYPE_CHECKING:
    from turnout.backup.archive import Manifest
    from turnout.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `turnout backup` wrote.")]


def backup(
    to: Annotated[
        Path | None,
        typer.Option(help="The file to write. [default: a new one in TURNOUT_BACKUP_DIR]"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write database and model files into one file, and prove that it can be restored.

    The service may go on meanwhile. The file holds everything, secrets of webhooks included.
    """
    from turnout.backup import commands  # noqa: PLC0415
    from turnout.cli import processes  # noqa: PLC0415

    if to is not None and to.exists():
        raise fail(f"{to} is there already: name another file, or remove it first")

    async def work(settings: "Settings", url: str) -> None:
        with _Bars() as bars:
            made = await commands.make(url, settings, to, now=datetime.now(UTC), told=bars.tell)
        typer.echo(f"{made.path}: {made.size / 1e6:,.1f} MB, restored for a trial, all rows there")
        _say(made.manifest)

    processes.on_database(data_dir, work)


def restore(
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what is in the database now, all of it.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Put a backup into the database and the artifact store, then bring it to this release.

    Stop every serve, api and worker first. The file is checked as a whole before anything is
    changed, and the database changes in one transaction: all of it, or nothing.
    """
    from turnout import db, migrations  # noqa: PLC0415
    from turnout.backup import commands  # noqa: PLC0415
    from turnout.cli import processes  # noqa: PLC0415

    async def work(settings: "Settings", url: str) -> None:
        commands.check_schema(file, known=migrations.revisions())
        with _Bars() as bars:
            manifest = await commands.restore(file, url, settings, replace=replace, told=bars.tell)
        engine = db.create_engine(url, pool_size=1)
        await migrations.upgrade(engine)
        await engine.dispose()
        typer.echo(f"restored {file}, made {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
        _say(manifest)

    processes.on_database(data_dir, work)


def verify(file: File) -> None:
    """Restore a backup into a database of its own, count its rows, and throw that away."""
    from turnout.backup import commands  # noqa: PLC0415
    from turnout.cli import processes  # noqa: PLC0415

    async def work() -> None:
        with _Bars() as bars:
            manifest = await commands.verify(file, told=bars.tell)
        typer.echo(f"{file} can be restored; made {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
        _say(manifest)

    processes.until_done(work())


def _say(manifest: "Manifest") -> None:
    rows, files = sum(manifest.rows.values()), len(manifest.members) - 1
    typer.echo(f"{rows:,} rows in {len(manifest.rows)} tables, {files} model files")
    for sha256 in manifest.missing:
        typer.echo(f"missing: the model file {sha256} was not in the artifact store", err=True)


class _Bars(Progress):
    """A bar for each member of the file, on standard error."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._known: dict[str, TaskID] = {}

    def tell(self, name: str, done: int, size: int) -> None:
        if name not in self._known:
            self._known[name] = self.add_task(name, total=size or None)
        self.update(self._known[name], completed=done)


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)
    app.command("verify-backup")(verify)
