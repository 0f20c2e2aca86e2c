"""The product's own processes, started in milliseconds so that tests can spend them freely.

They are forked from a server that has imported everything and done nothing else; from there on
they are what `turnout worker` and `turnout api` run.
"""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.processes import free_port, status, wait_until
from turnout.cli import processes

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["tests.faults.forks", "turnout.api", "turnout.worker"])


def _run(
    data_dir: Path, settings: Mapping[str, str], address: tuple[str, int] | None, worker: bool
) -> None:
    os.environ.update(settings)
    processes.run(data_dir, address=address, worker=worker)


def fork(
    data_dir: Path, settings: Mapping[str, str], *, address: tuple[str, int] | None = None
) -> ForkServerProcess:
    """A worker, or with an address the API."""
    process = forks.Process(
        target=_run, args=(data_dir, settings, address, address is None), daemon=True
    )
    process.start()
    return process


def kill(process: ForkServerProcess) -> None:
    process.kill()
    process.join()


def end(process: ForkServerProcess) -> int | None:
    """Ask it to stop in order; its exit code."""
    process.terminate()
    process.join(30)
    return process.exitcode


@contextmanager
def serving(data_dir: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """The address of the API, once it is ready."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = fork(data_dir, settings, address=("127.0.0.1", port))
    try:
        wait_until(lambda: status(f"{url}/readyz") == 200, "the API is ready")
        yield url
    finally:
        end(process)
