"""The file that a backup is: a tar archive whose first member says what the others must be."""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from pydantic import TypeAdapter, ValidationError

from turnout.backup.domain import BackupFailed, writing

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
FILES: Final = "artifacts/"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 1 << 20
_LARGEST_MANIFEST: Final = 256 << 20

Progress = Callable[[str, int, int], None]
"""Told of each member: its name, the bytes done of it, and its size."""


class Damaged(BackupFailed):
    """The file is no backup, or not what was written; the message says what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be restored: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds.

    `rows` are those of each table in the very snapshot that was dumped; `missing` are files that
    a version names and that were not in the artifact store.
    """

    format: int = FORMAT
    turnout: str
    schema: str
    postgresql: int
    made_at: datetime
    rows: Mapping[str, int]
    members: Mapping[str, Member]
    missing: tuple[str, ...] = ()


_manifests: Final = TypeAdapter(Manifest)


def measured(path: Path) -> Member:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(_BLOCK), b""):
            digest.update(block)
        return Member(size=source.tell(), sha256=digest.hexdigest())


def write(target: Path, manifest: Manifest, sources: Mapping[str, Path], told: Progress) -> None:
    """Write the archive under another name first: what bears the name is whole."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600, exist_ok=False)  # whoever reads it reads everything
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            head = _manifests.dump_json(manifest, indent=1)
            archive.addfile(_entry(MANIFEST, len(head), manifest.made_at), io.BytesIO(head))
            for name, source in sources.items():
                size = manifest.members[name].size
                with source.open("rb") as stream:
                    entry = _entry(name, size, manifest.made_at)
                    archive.addfile(entry, _Watched(stream, name, size, told))
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def _entry(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(at.timestamp())
    return entry


class _Watched(io.RawIOBase):
    """A stream that tells how far it has been read."""

    def __init__(self, stream: IO[bytes], name: str, size: int, told: Progress) -> None:
        self._stream, self._name, self._size, self._told = stream, name, size, told
        self._done = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._done += len(block)
        self._told(self._name, self._done, self._size)
        return block


@contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """Open a backup of a format that is known here. Raises Damaged."""
    try:
        with tarfile.open(path, "r:") as archive:
            yield _manifest(path, archive), archive
    except FileNotFoundError:
        raise Damaged(path, "there is no such file") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Damaged(path, f"it is not a backup, or not all of it is there ({error})") from error


def _manifest(path: Path, archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > _LARGEST_MANIFEST:
        raise Damaged(path, f"it is not a backup: it does not begin with {MANIFEST}")
    head = archive.extractfile(first)
    assert head is not None
    try:
        found = _manifests.validate_json(head.read())
    except ValidationError as error:
        raise Damaged(path, f"its {MANIFEST} is not readable: {error}") from error
    if found.format != FORMAT:
        raise Damaged(
            path,
            f"it has format {found.format}, written by Turnout {found.turnout}; this release reads"
            f" format {FORMAT}",
        )
    for name, member in found.members.items():
        if name not in {DUMP, f"{FILES}{member.sha256}"} or not _SHA256.fullmatch(member.sha256):
            raise Damaged(path, f"its {MANIFEST} names {name!r}, which is no member of a backup")
    return found


def extract(
    path: Path, wanted: Callable[[str], Path | None], told: Progress
) -> tuple[Manifest, frozenset[str]]:
    """Write members to where `wanted` says, and check all of them against the manifest.

    A name is that of the dump, or of a model file by its SHA-256, so it leads nowhere else. Raises
    Damaged; what was written until then is the caller's to remove.
    """
    with opened(path) as (manifest, archive):
        seen = set()
        for entry in archive:
            if entry.name == MANIFEST:
                continue
            told_of = manifest.members.get(entry.name)
            if told_of is None or not entry.isreg():
                raise Damaged(path, f"{entry.name} is in it, which its manifest does not name")
            stream = archive.extractfile(entry)
            assert stream is not None
            watched = _Watched(stream, entry.name, told_of.size, told)
            if _copied(watched, wanted(entry.name)) != told_of:
                raise Damaged(path, f"{entry.name} in it is not what was written: it was changed")
            seen.add(entry.name)
        if lost := sorted(manifest.members.keys() - seen):
            raise Damaged(path, f"{lost[0]} is not in it (and {len(lost) - 1} more)")
    return manifest, frozenset(seen)


def _copied(stream: _Watched, target: Path | None) -> Member:
    digest, size = hashlib.sha256(), 0
    with writing():
        output = nullcontext() if target is None else target.open("wb")
    with output as file:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
            if file is not None:
                with writing():
                    file.write(block)
    return Member(size=size, sha256=digest.hexdigest())
