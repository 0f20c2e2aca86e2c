"""Run the measurements named on the command line, or all, and print their table."""

import sys
import time
from collections.abc import Callable, Iterator

from benchmarks import detection, folding, gateway, ingestion, replicas, startup, ticks
from benchmarks.result import HEAD, Result, note

MEASUREMENTS: dict[str, Callable[[], Iterator[Result]]] = {
    "gateway": gateway.measure,
    "ingestion": ingestion.measure,
    "folding": folding.measure,
    "ticks": ticks.measure,
    "replicas": replicas.measure,
    "detection": detection.measure,
    "startup": startup.measure,
}


def main(names: list[str]) -> None:
    if unknown := set(names) - MEASUREMENTS.keys():
        sys.exit(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    results = []
    begun = time.monotonic()
    for name, measure in MEASUREMENTS.items():
        if names and name not in names:
            continue
        note(f"measuring {name}")
        for result in measure():
            note(result.row())
            results.append(result)
    note(f"done in {time.monotonic() - begun:.0f} s")
    print(HEAD, *(result.row() for result in results), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
