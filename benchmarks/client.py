"""What the Python client costs the program that uses it, beside other libraries' clients."""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from httpx2 import Client

from benchmarks.choosing import MODEL, SHARE
from benchmarks.decisions import peers
from benchmarks.result import Result, note
from benchmarks.service import beside, scratch, turnout
from turnout.client import Turnout
from turnout.client.routing import Route, RouteDocument
from turnout.traffic.domain.assignment import assign
from turnout.traffic.domain.draws import draws
from turnout.traffic.domain.overrides import NO_OVERRIDES
from turnout.traffic.domain.split import Owner, OwnerKind, Split, Spread, Variant

ROUNDS = 5
CHANGES = 50
RECORDINGS = 20_000
UNITS = 1_000_000
MICROSECONDS = 1.2
PEERS = ("growthbook", "unleash")
HTTP: Final = Client(timeout=30)


def measure() -> Iterator[Result]:
    yield _agreement()
    with (
        scratch() as directory,
        turnout("serve", directory) as service,
        Turnout(service.url) as client,
    ):
        for version in ("1.0.0", "2.0.0"):
            client.register_version(MODEL, version)
        _put_split(service.url, SHARE)
        yield _choices(service.url)
        yield _changes(client, service.url)
        yield _recording(client)


def _choices(url: str) -> Result:
    """By turns, because machines differ from minute to minute."""
    asked = ("turnout", *(PEERS if peers.INSTALLED.exists() else ()))
    taken: dict[str, list[float]] = {library: [] for library in asked}
    for _ in range(ROUNDS):
        for library in asked:
            python = sys.executable if library == "turnout" else peers.PYTHON
            ran = subprocess.run(
                [python, beside("choosing.py"), library, url], check=True, capture_output=True
            )
            answer = json.loads(ran.stdout)
            assert abs(answer["share"] - SHARE) < 1, answer
            taken[library].append(answer["microseconds"])
        note(", ".join(f"{library} {times[-1]:.2f} µs" for library, times in taken.items()))
    median = {library: statistics.median(times) for library, times in taken.items()}
    ours = median.pop("turnout")
    others = "; ".join(
        f"{library} {theirs:.1f} µs, {theirs / ours:.0f} ×" for library, theirs in median.items()
    )
    return Result(
        what="Python client: one choice of a version, one core",
        reach=f"≤ {MICROSECONDS} µs",
        measured=f"{ours:.2f} µs ({others or 'the peers are not installed'})",
        reached=ours <= MICROSECONDS,
    )


def _changes(client: Turnout, url: str) -> Result:
    """From before a change is sent until the client chooses by it."""
    client.select_version(MODEL, "user")
    delays = []
    for share, _ in zip(itertools.cycle([0, 100]), range(CHANGES), strict=False):
        wanted = "1.0.0" if share else "2.0.0"
        time.sleep(0.15)
        begun = time.perf_counter()
        _put_split(url, share)
        while client.select_version(MODEL, "user").version != wanted:
            time.sleep(0.0002)
        delays.append(time.perf_counter() - begun)
    delays.sort()
    p99 = delays[int(0.99 * CHANGES) - 1] * 1000
    return Result(
        what="Python client: change of a split sent → chosen by",
        reach="p99 ≤ 1 s",
        measured=f"p99 {p99:.0f} ms (median {statistics.median(delays) * 1000:.0f} ms, worst of"
        f" {CHANGES}: {delays[-1] * 1000:.0f} ms)",
        reached=p99 <= 1000,
    )


def _recording(client: Turnout) -> Result:
    choice = client.select_version(MODEL, "user")
    begun = time.thread_time()
    for _ in range(RECORDINGS):
        client.record_prediction(choice, latency_ms=1.5, confidence=0.9, label="billing")
    each = (time.thread_time() - begun) * 1e6 / RECORDINGS
    client.flush(120)
    lost = RECORDINGS - client.recordings.taken
    return Result(
        what="Python client: one recording, while others are sent",
        reach="≤ 20 µs, none lost",
        measured=f"{each:.0f} µs, {lost} of {RECORDINGS:,} lost",
        reached=each <= 20 and not lost,
    )


def _agreement() -> Result:
    differing = 0
    for strategy in (Spread.STICKY, Spread.CANARY, Spread.ROUND_ROBIN):
        split = _split(strategy)
        route, draw = Route(_document(split)), draws(split)
        for number in range(UNITS):
            unit = f"user-{number}"
            answer = assign(split, NO_OVERRIDES, unit=unit, attributes={}, draw=draw())
            choice = route.choose(unit, None)
            differing += choice.version != answer.version or choice.split_id != answer.split_id
        note(f"{strategy}: {differing} differ")
    return Result(
        what=f"Python client and service on {UNITS:,} units, sticky, canary and round robin",
        reach="agree on each",
        measured=f"{differing} differ",
        reached=not differing,
    )


def _split(strategy: Spread) -> Split:
    weights = (3_334, 0, 3_333, 1, 3_332)
    variants = (
        Variant(name=f"v{n}", version_id=n, version=f"{n}.0.0", weight=weight)
        for n, weight in enumerate(weights)
    )
    return Split(
        id=1,
        model_id=1,
        salt="8f14e45fceea167a",
        strategy=strategy,
        variants=tuple(variants),
        owner=Owner(kind=OwnerKind.PERSON, id="bench"),
        created_at=datetime.now(UTC),
    )


def _document(split: Split) -> RouteDocument:
    return {
        "model": MODEL,
        "split_id": split.id,
        "strategy": split.strategy.value,
        "salt": split.salt,
        "owner": {},
        "experiment": None,
        "variants": [
            {"name": v.name, "version": v.version, "buckets": split.buckets[v.version_id]}
            for v in split.variants
        ],
        "pins": [],
        "rules": [],
    }


def _put_split(url: str, share: int) -> None:
    shares = {"1.0.0": share, "2.0.0": 100 - share}
    variants = [{"version": version, "weight": weight} for version, weight in shares.items()]
    answer = HTTP.put(f"{url}/api/v1/models/{MODEL}/split", json={"variants": variants})
    answer.raise_for_status()
