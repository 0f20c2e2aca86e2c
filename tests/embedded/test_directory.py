"""Where the database may live: any directory, however long its name or whoever asks."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from tests.embedded.users import (
    USER,
    as_root,
    connected,
    connection,
    leave,
    on_linux,
    server,
    status,
    user,
)
from turnout import embedded, embedded_guard
from turnout.embedded import EmbeddedUnavailable

COMMONER = """
import pwd, sys
from pathlib import Path
from turnout import embedded, embedded_guard

home = Path(sys.argv[1])
embedded_guard.become_owner(home, embedded.binaries())
"""
"""Gives up root for the owner of the directory, before it uses the database as `USER` does."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("deep/" * 30, id="longer than the address of a socket may be"),
        pytest.param("a b, c:5432 & d=é", id="characters that mean something in a URL"),
    ],
)
async def test_any_directory_will_do(links: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPORT", "6543")

    async with connection(links / name) as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_a_way_that_leads_elsewhere_is_refused(links: Path):
    home = links / ("deep/" * 30) / "postgres"
    link = embedded._short_way(home)
    link.unlink()
    link.symlink_to(links)

    with pytest.raises(EmbeddedUnavailable, match="something else is there"):
        embedded._short_way(home)


@as_root
@on_linux
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(0o755, id="where everybody may enter"),
        pytest.param(0o700, id="where only root may enter"),
    ],
)
async def test_root_hands_the_server_to_a_user_who_can_do_nothing_more(mode: int):
    with tempfile.TemporaryDirectory(prefix="turnout-embedded-") as name:
        os.chmod(name, mode)  # noqa: PTH101  (a call on a Path would count as blocking)
        data_dir = Path(name, "project", ".turnout")
        async with connection(data_dir) as db:
            assert await db.fetchval("SELECT 1") == 1
            pid = server(data_dir)

            assert "0" not in status(pid, "Uid").split()
            assert "0" not in status(pid, "Groups").split() + status(pid, "Gid").split()
            sets = {status(pid, kind) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")}

    doors = [Path(name).parent, *embedded.binaries().parents]
    may_enter = mode & 0o001 and all(door.stat().st_mode & 0o001 for door in doors)
    keys = {1 << embedded_guard.CAP_DAC_READ_SEARCH, 1 << embedded_guard.CAP_DAC_OVERRIDE}
    assert len(sets) == 1
    assert int(sets.pop(), 16) in ({0} if may_enter else keys)


@as_root
@on_linux
async def test_a_user_who_is_not_root_runs_the_server_itself(tmp_path: Path):
    nobody = pwd.getpwnam("nobody")
    tmp_path.joinpath("theirs").mkdir()
    os.chown(tmp_path / "theirs", nobody.pw_uid, nobody.pw_gid)

    async with user(tmp_path / "theirs", COMMONER + USER) as (process, url):
        assert status(process.pid, "Uid").split() == [str(nobody.pw_uid)] * 4
        assert status(server(tmp_path / "theirs"), "Uid") == status(process.pid, "Uid")
        async with connected(url) as db:
            assert await db.fetchval("SELECT 1") == 1
        await leave(process)
