"""`assign` and `predict` against a bare FastAPI endpoint that takes and answers the same bodies."""

import itertools
import statistics
from collections.abc import Iterator

import uvloop
from httpx2 import Client

from benchmarks.load import Load, request, run
from benchmarks.result import Result, note
from benchmarks.service import Service, beside, scratch, server, turnout

CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 5
REACH = 0.6
MODEL = "fraud-detection"
VERSIONS = ("1.0.0", "1.1.0")
BODIES = {
    "assign": '{"unit": "user-#"}',
    "predict": '{"unit": "user-#", "inputs": [5.1, 3.5, 1.4, 0.2]}',
}


def measure() -> Iterator[Result]:
    with scratch() as directory:
        with turnout("serve", directory) as service:
            _split_in_half(service)
        # Without the worker: folding has a row of its own.
        with (
            turnout("api", directory, program=[beside("instant_server.py")]) as ours,
            server(directory, beside("bare_server.py")) as bare,
        ):
            for name, body in BODIES.items():
                yield _compare(name, body, ours, bare)


def _split_in_half(service: Service) -> None:
    with Client(base_url=f"{service.url}/api/v1/models/{MODEL}/") as client:
        for version in VERSIONS:
            body = {"version": version, "runtime": {"kind": "http", "url": "http://localhost/"}}
            client.post("versions", json=body).raise_for_status()
        variants = [{"version": version, "weight": 50} for version in VERSIONS]
        client.put("split", json={"variants": variants}).raise_for_status()


def _compare(name: str, body: str, ours: Service, bare: Service) -> Result:
    mine = _requests(f"/api/v1/models/{MODEL}/{name}", body)
    theirs = _requests(f"/{name}", body)
    _load(ours, mine, 1.0)
    _load(bare, theirs, 1.0)
    rates = []
    for _ in range(ROUNDS):
        found = _load(ours, mine, SECONDS).per_second, _load(bare, theirs, SECONDS).per_second
        note(f"{name}: {found[0]:,.0f} requests/s, bare {found[1]:,.0f}")
        rates.append(found)
    ratio = statistics.median(a / b for a, b in rates)
    a, b = (statistics.median(found) for found in zip(*rates, strict=True))
    return Result(
        what=f"`{name}` against a bare FastAPI endpoint",
        reach=f"≥ {REACH} × its requests/s",
        measured=f"{ratio:.2f} × ({a:,.0f} against {b:,.0f} requests/s)",
        reached=ratio >= REACH,
    )


def _requests(path: str, body: str) -> Iterator[bytes]:
    """Requests without end, each of another unit, so that no answer can be remembered."""
    return (request(path, body.replace("#", str(n)).encode()) for n in itertools.count())


def _load(service: Service, requests: Iterator[bytes], seconds: float) -> Load:
    found = uvloop.run(run(service.port, requests, connections=CONNECTIONS, seconds=seconds))
    if found.failed:
        raise RuntimeError(f"{found.failed} of {found.requests} requests failed")
    return found
