"""When a backup is due, and which ones have been kept long enough."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final


class BackupFailed(Exception):
    """There is no backup, or no way back; the message says why, and what to do."""


class CannotWrite(BackupFailed):
    def __init__(self, error: OSError) -> None:
        super().__init__(f"a file of the backup could not be written: {error}")


@contextmanager
def writing() -> Iterator[None]:
    """Trouble with files is told as such; the database's is not taken for it."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(error) from error


_NAME: Final = re.compile(r"turnout-(\d{8}T\d{6}Z)\.backup")
_STAMP: Final = "%Y%m%dT%H%M%SZ"


def named(at: datetime) -> str:
    return f"turnout-{at.astimezone(UTC):{_STAMP}}.backup"


def made_at(name: str) -> datetime | None:
    """When the backup of that name was made; None for any other file."""
    found = _NAME.fullmatch(name)
    return None if found is None else datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)


def outlived(names: Iterable[str], now: datetime, kept: timedelta) -> list[str]:
    """The backups to remove: those that are older than `kept`, but never the newest of all."""
    dated = sorted((at, name) for name in names if (at := made_at(name)) is not None)
    return [name for at, name in dated[:-1] if now - at > kept]
