"""`assign` and `predict` against a bare FastAPI endpoint that takes and answers the same bodies."""

import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvloop
from httpx2 import Client

from benchmarks.load import Load, request, run
from benchmarks.result import Result
from benchmarks.service import free_port, running, stop, wait_until

CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 5
VERSIONS = ("1.0.0", "1.1.0")
MODEL = "fraud-detection"


def bodies(path: str, body: str) -> Callable[[], bytes]:
    """Requests that differ in their unit, so that nothing can be answered from memory."""
    numbers = itertools.count()
    return lambda: request("localhost", path, body.replace("#", str(next(numbers))).encode())


def load(url: str, make: Callable[[], bytes], seconds: float) -> Load:
    port = int(url.rsplit(":", 1)[1])
    found = uvloop.run(run("127.0.0.1", port, make, connections=CONNECTIONS, seconds=seconds))
    if found.failed:
        raise RuntimeError(f"{found.failed} of {found.requests} requests failed")
    return found


def start(stack: ExitStack, module: str, *arguments: str) -> str:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port), *arguments])
    stack.callback(stop, process)
    url = f"http://127.0.0.1:{port}"
    wait_until(f"{url}/readyz", process)
    return url


def prepare(url: str) -> None:
    """Two versions, half of the traffic each."""
    with Client(base_url=f"{url}/api/v1/", timeout=30) as client:
        for version in VERSIONS:
            client.post(f"models/{MODEL}/versions", json={"version": version}).raise_for_status()
        variants = [{"version": version, "weight": 50} for version in VERSIONS]
        client.put(f"models/{MODEL}/split", json={"variants": variants}).raise_for_status()


def measure() -> list[Result]:
    assign = '{"unit": "user-#"}'
    predict = '{"unit": "user-#", "inputs": [5.1, 3.5, 1.4, 0.2]}'
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        data_dir = Path(directory)
        url, _ = stack.enter_context(running("serve", data_dir))
        prepare(url)
        ours = start(stack, "benchmarks.instant_server", str(data_dir))
        bare = start(stack, "benchmarks.bare_server")
        rows = []
        for name, body in (("assign", assign), ("predict", predict)):
            mine = bodies(f"/api/v1/models/{MODEL}/{name}", body)
            theirs = bodies(f"/{name}", body)
            ratios, rates = [], []
            load(ours, mine, 1)
            load(bare, theirs, 1)
            for _ in range(ROUNDS):
                a, b = load(ours, mine, SECONDS), load(bare, theirs, SECONDS)
                ratios.append(a.per_second / b.per_second)
                rates.append((a.per_second, b.per_second))
            median = sorted(rates)[len(rates) // 2]
            rows.append(
                Result(
                    f"`{name}`, requests/s against a bare FastAPI endpoint",
                    "≥ 0.6 ×",
                    statistics.median(ratios),
                    0.6,
                    "×",
                    "higher",
                    f"{median[0]:,.0f} against {median[1]:,.0f}",
                )
            )
    return rows


if __name__ == "__main__":
    for result in measure():
        print(result.row())
