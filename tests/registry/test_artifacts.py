import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from turnout.registry.artifacts import Incoming, StoreFailed, keep, location, received
from turnout.registry.domain.upload import ArtifactTooLarge, EmptyArtifact

CONTENT = b"weights" * 300_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def chunks(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def entries(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]


async def test_a_file_is_kept_under_its_hash(tmp_path: Path) -> None:
    async with received(tmp_path, chunks(CONTENT), megabytes=3) as incoming:
        keep(tmp_path, incoming)

    assert incoming.file.sha256 == SHA256
    assert incoming.file.size == len(CONTENT)
    assert files(tmp_path) == [location(tmp_path, SHA256)]
    assert location(tmp_path, SHA256).read_bytes() == CONTENT
    assert location(tmp_path, SHA256) == tmp_path / SHA256[:2] / SHA256


async def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        async with received(tmp_path, chunks(CONTENT), megabytes=3) as incoming:
            keep(tmp_path, incoming)

    assert files(tmp_path) == [location(tmp_path, SHA256)]


async def test_a_file_that_is_not_kept_is_gone(tmp_path: Path) -> None:
    async with received(tmp_path, chunks(CONTENT), megabytes=3) as incoming:
        assert incoming.path.read_bytes() == CONTENT

    assert entries(tmp_path) == []


async def test_a_file_over_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(100_000)

    with pytest.raises(ArtifactTooLarge, match="at most 2 MB"):
        async with received(tmp_path, endless(), megabytes=2):
            raise AssertionError

    assert asked == 21
    assert entries(tmp_path) == []


async def test_an_empty_body_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(EmptyArtifact):
        async with received(tmp_path, chunks(b""), megabytes=2):
            raise AssertionError


async def test_what_a_killed_upload_left_is_swept(tmp_path: Path) -> None:
    old, young = tmp_path / "incoming-old", tmp_path / "incoming-young"
    for left in (old, young):
        left.mkdir()
        (left / "part").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    async with received(tmp_path, chunks(b"x"), megabytes=1):
        pass

    assert entries(tmp_path) == ["incoming-young"]


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "artifacts"
    blocked.write_text("a file where a directory should be")

    with pytest.raises(StoreFailed, match="does not take the file: "):
        async with received(blocked, chunks(b"x"), megabytes=1):
            raise AssertionError


async def test_a_store_that_loses_the_file_says_so(tmp_path: Path) -> None:
    async with received(tmp_path, chunks(b"x"), megabytes=1) as incoming:
        lost = Incoming(path=tmp_path / "gone", file=incoming.file)

        with pytest.raises(StoreFailed, match="No such file"):
            keep(tmp_path, lost)
