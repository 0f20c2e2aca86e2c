"""One database that the tests of this folder take turns to run."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.embedded.users import connection, stopped


@pytest.fixture(scope="session")
async def initialised() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="turnout-embedded-") as name:
        async with connection(Path(name)) as db:
            await db.execute("CREATE TABLE note (words text)")
        yield Path(name)


@pytest.fixture
async def data_dir(initialised: Path) -> AsyncIterator[Path]:
    """A directory with a database that does not run, nor may it when the test is over."""
    yield initialised
    await stopped(initialised)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory for temporary files, which is where short ways start."""
    with tempfile.TemporaryDirectory(prefix="turnout-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
