"""The artifact store: files named by the SHA-256 of what they contain, in one directory."""

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from turnout.errors import Unavailable
from turnout.registry.domain.upload import ArtifactTooLarge, EmptyArtifact, File

_INCOMING: Final = "incoming-"
_ABANDONED_SECONDS: Final = 86_400
_BLOCK: Final = 1 << 20


class StoreFailed(Unavailable):
    def __init__(self, error: OSError) -> None:
        super().__init__(f"the artifact store does not take the file: {error.strerror or error}")


class NotHere(Unavailable):
    def __init__(self, sha256: str) -> None:
        super().__init__(
            f"the file {sha256} is not in this replica's artifact store: all replicas need the"
            " same TURNOUT_DATA_DIR",
            sha256=sha256,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A received file, alone in a directory of its own until it is kept."""

    path: Path
    file: File


def location(root: Path, sha256: str) -> Path:
    return root / sha256[:2] / sha256


@asynccontextmanager
async def received(
    root: Path, chunks: AsyncIterator[bytes], *, megabytes: int
) -> AsyncIterator[Incoming]:
    """Write a stream to disk, hashed and measured; it is gone afterwards unless `keep` took it."""
    try:
        directory = await asyncio.to_thread(_new_directory, root)
    except OSError as error:
        raise StoreFailed(error) from error
    try:
        # A name of chance, so that a model cannot name itself as its external data.
        path = directory / os.urandom(16).hex()
        yield Incoming(path=path, file=await _write(path, chunks, megabytes))
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def _write(path: Path, chunks: AsyncIterator[bytes], megabytes: int) -> File:
    digest = hashlib.sha256()
    size = 0
    block = bytearray()
    target = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > megabytes * 1_000_000:
                raise ArtifactTooLarge(megabytes)
            block += chunk
            if len(block) >= _BLOCK:
                await asyncio.to_thread(_append, target, digest, block)
                block = bytearray()
        await asyncio.to_thread(_append, target, digest, block)
        await asyncio.to_thread(_flush, target)
    except OSError as error:
        raise StoreFailed(error) from error
    finally:
        target.close()
    if not size:
        raise EmptyArtifact
    return File(sha256=digest.hexdigest(), size=size)


def keep(root: Path, incoming: Incoming) -> None:
    """Move a received file to its place, durably; one that is there already is as good."""
    target = location(root, incoming.file.sha256)
    try:
        target.parent.mkdir(exist_ok=True)
        incoming.path.replace(target)
        _flush_directory(target.parent)
        _flush_directory(root)
    except OSError as error:
        raise StoreFailed(error) from error


def _new_directory(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    # What a killed process left behind.
    for left in root.glob(f"{_INCOMING}*"):
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_INCOMING, dir=root))


def _append(target: BinaryIO, digest: "hashlib._Hash", block: bytearray) -> None:
    target.write(block)
    digest.update(block)


def _flush(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
