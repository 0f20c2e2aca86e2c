"""What `turnout keys` does, in one transaction on the database."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer
from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from turnout import db
from turnout.access import key_commands, key_queries
from turnout.access.domain.credentials import MARK
from turnout.access.domain.keys import KeyNotFound, NewKey
from turnout.cli import processes
from turnout.cli.remote import fail
from turnout.cli.render import out
from turnout.errors import Refusal
from turnout.problems import location

ACTOR: Final = "command-line"
MOST: Final = 10_000


def create(data_dir: Path | None, wanted: Mapping[str, object]) -> None:
    try:
        order = TypeAdapter(NewKey).validate_python(wanted)
    except ValidationError as wrong:
        raise fail(
            "; ".join(
                f"{location(error['loc']) or 'key'}: {error['msg'].removeprefix('Value error, ')}"
                for error in wrong.errors()
            )
        ) from None

    async def make(session: AsyncSession) -> None:
        _, made = await key_commands.create_key(session, order, actor=ACTOR, now=_now())
        typer.echo(made)
        typer.echo("Keep it now: it is not shown again.", err=True)

    _on_database(data_dir, make)


def show(data_dir: Path | None) -> None:
    async def read(session: AsyncSession) -> None:
        table = Table("name", "id", "role", "models", "made", "last used", "valid", box=SIMPLE)
        for row in await key_queries.key_rows(session, limit=MOST, after=None):
            table.add_row(
                row.name,
                row.id,
                row.role,
                "all" if row.models is None else ", ".join(row.models),
                f"{row.created_at:%Y-%m-%d %H:%M} by {row.created_by}",
                "never" if row.last_used_at is None else f"{row.last_used_at:%Y-%m-%d %H:%M}",
                _validity(row.revoked_at, row.expires_at),
            )
        out.print(table)

    _on_database(data_dir, read)


def revoke(data_dir: Path | None, key: str, reason: str | None) -> None:
    async def withdraw(session: AsyncSession) -> None:
        rows = await key_queries.key_rows(session, limit=MOST, after=None)
        wanted = key.removeprefix(MARK)
        # A name may have been used before: the one that is valid is meant.
        named = [row.id for row in rows if row.name == key and row.revoked_at is None]
        found = named or [row.id for row in rows if row.id == wanted]
        if not found:
            raise KeyNotFound(key)
        row = await key_commands.revoke_key(
            session, found[0], actor=ACTOR, now=_now(), reason=reason
        )
        typer.echo(f"{row.name} ({MARK}{row.id}) is refused from now on")

    _on_database(data_dir, withdraw)


def _on_database(data_dir: Path | None, do: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def once(sessions: db.Sessions) -> None:
        async with db.transaction(sessions) as session:
            await do(session)

    try:
        processes.administer(data_dir, once)
    except Refusal as refusal:
        raise fail(refusal.detail) from None


def _validity(revoked: datetime | None, expires: datetime | None) -> str:
    if revoked is not None:
        return f"revoked {revoked:%Y-%m-%d %H:%M}"
    if expires is None:
        return "until revoked"
    return f"{'expired' if expires <= _now() else 'until'} {expires:%Y-%m-%d %H:%M}"


def _now() -> datetime:
    return datetime.now(UTC)
