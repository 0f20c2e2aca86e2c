"""The directory that a demo works in: the next demo begins by emptying it."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from turnout import embedded
from turnout.demo.service import DemoFailed

MARK: Final = "made-by-turnout-demo"
STOPPING_LOOKS: Final = 20


@contextmanager
def workplace(directory: Path) -> Iterator[Path]:
    """Make the directory, or empty one that an earlier demo has made; nobody else's.

    No other demo gets it meanwhile. What the demo leaves in it is kept, to be explored.
    """
    home = directory.resolve()
    _check(home)
    home.mkdir(parents=True, exist_ok=True)
    with (home / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"another demo is running in {home}") from None
        for entry in home.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != MARK:
                entry.unlink()
        yield home


def _check(home: Path) -> None:
    if home.exists() and any(home.iterdir()) and not (home / MARK).exists():
        raise DemoFailed(f"{home} holds something that no demo has made: move it away")
    if _stays_in_use(home):
        raise DemoFailed(
            f"a service still runs on what the last demo left in {home}: stop it first"
        )


def _stays_in_use(home: Path) -> bool:
    """Give a server that is just stopping the time to do so."""
    for _ in range(STOPPING_LOOKS):
        if not embedded.in_use(home):
            return False
        time.sleep(0.1)
    return True
