from pathlib import Path

import pytest

from turnout import embedded
from turnout.demo.service import DemoFailed
from turnout.demo.workplace import workplace


def test_what_a_demo_leaves_is_kept_until_the_next_one(tmp_path: Path):
    with workplace(tmp_path / "demo") as home:
        (home / "postgres").mkdir()
        (home / "postgres" / "data").touch()
        (home / "serve.log").touch()
    assert (home / "postgres" / "data").exists()

    with workplace(tmp_path / "demo") as again:
        assert again == home
        assert [entry.name for entry in home.iterdir()] == ["made-by-turnout-demo"]


def test_a_directory_that_no_demo_has_made_is_left_alone(tmp_path: Path):
    (tmp_path / "precious").touch()

    with pytest.raises(DemoFailed, match="no demo has made"), workplace(tmp_path):
        pass

    assert (tmp_path / "precious").exists()


def test_two_demos_do_not_share_a_directory(tmp_path: Path):
    with (
        workplace(tmp_path) as home,
        pytest.raises(DemoFailed, match="another demo is running"),
        workplace(home),
    ):
        pass


async def test_a_directory_that_is_being_explored_is_not_emptied(tmp_path: Path):
    with workplace(tmp_path) as home:
        pass

    async with embedded.running(home, durable=False):
        with pytest.raises(DemoFailed, match="stop it first"), workplace(home):
            pass

    with workplace(home):
        assert not (home / "postgres").exists()
