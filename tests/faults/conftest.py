from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.conftest import Clock
from tests.experiments.conftest import Driver as Experiments
from tests.faults.forks import fork, kill
from tests.rollouts.conftest import Driver as Rollouts
from turnout.db import Sessions
from turnout.http import system_clock

Start = Callable[[], ForkServerProcess]


@pytest.fixture
def environment(database: str) -> dict[str, str]:
    return {
        "TURNOUT_DATABASE_URL": database,
        "TURNOUT_TICK_SECONDS": "0.05",
        "TURNOUT_FOLD_SECONDS": "0.1",
        "TURNOUT_LOG_LEVEL": "error",
    }


@pytest.fixture
def worker(environment: Mapping[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts a worker on the test's database; what is left of them is killed at the end."""
    started: list[ForkServerProcess] = []

    def start() -> ForkServerProcess:
        started.append(fork(tmp_path, environment))
        return started[-1]

    yield start
    for process in started:
        kill(process)


@pytest.fixture
def rollouts(sessions: Sessions) -> Rollouts:
    """By the clock on the wall, as the workers have it."""
    return Rollouts(sessions, Clock(system_clock()))


@pytest.fixture
def experiments(sessions: Sessions) -> Experiments:
    return Experiments(sessions, Clock(system_clock()))
