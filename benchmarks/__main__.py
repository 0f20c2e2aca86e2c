"""Run the measurements named on the command line, or all, and print their tables."""

import sys
import time
from collections.abc import Callable, Iterator

from benchmarks import (
    analyses,
    client,
    decision_quality,
    detection,
    disk,
    drifting,
    folding,
    gateway,
    ingestion,
    performance,
    release_quality,
    replicas,
    startup,
    ticks,
)
from benchmarks.result import HEAD, Result, Table, note

MEASUREMENTS: dict[str, Callable[[], Iterator[Result | Table]]] = {
    "gateway": gateway.measure,
    "ingestion": ingestion.measure,
    "folding": folding.measure,
    "performance": performance.measure,
    "ticks": ticks.measure,
    "analyses": analyses.measure,
    "drift": drifting.measure,
    "replicas": replicas.measure,
    "detection": detection.measure,
    "disk": disk.measure,
    "client": client.measure,
    "startup": startup.measure,
    "decisions": decision_quality.measure,
    "releases": release_quality.measure,
}


def main(names: list[str]) -> None:
    if unknown := set(names) - MEASUREMENTS.keys():
        sys.exit(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    results: list[Result] = []
    tables: list[Table] = []
    begun = time.monotonic()
    for name, measure in MEASUREMENTS.items():
        if names and name not in names:
            continue
        note(f"measuring {name}")
        for found in measure():
            if isinstance(found, Table):
                tables.append(found)
            else:
                note(found.row())
                results.append(found)
    note(f"done in {time.monotonic() - begun:.0f} s")
    if results:
        print(HEAD, *(result.row() for result in results), sep="\n")
    for table in tables:
        print(table.text())


if __name__ == "__main__":
    main(sys.argv[1:])
